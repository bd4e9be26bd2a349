"""Reads and writes goldens: one folder per case."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from xai_eval.disk.files import accessible, exists, remove_folder, temporary_of, write_files
from xai_eval.disk.strict_json import folded
from xai_eval.disk.system_errors import refusal
from xai_eval.errors import StorageError, UsageError, unknown_name
from xai_eval.result.result import ARRAYS_FILE, RESULT_FILE, Case, Result, is_case_id
from xai_eval.store.default_folders import GOLDEN
from xai_eval.store.history import (
    HISTORY_FILE,
    NOT_JUDGED,
    Acceptance,
    Overruled,
    acceptance,
    history_bytes,
    read_history,
)
from xai_eval.store.lazy import open_checked, open_result
from xai_eval.store.lock import is_left_locked, locked
from xai_eval.store.noise import NOISE_FILE, Noise
from xai_eval.store.quarantine import LONGEST_DAYS, Quarantine, read_quarantine
from xai_eval.store.runs import Over, case_folders, load_cases, read_case, results_around
from xai_eval.store.settle import settle, settle_folders
from xai_eval.store.vouching import load_vouched, open_vouched, open_vouched_checked, standing_history

_NAMED = 8  # cases that an error lists
_FILES = (HISTORY_FILE, ARRAYS_FILE, RESULT_FILE, NOISE_FILE)


@dataclass(frozen=True)
class Goldens:
    """A folder of goldens, with one folder per case: `<folder>/<task>/<case id>/`.

    Attributes:
        folder: the folder of all goldens.
        read: how each golden is read; by default in full, and only if somebody accepted it.
        quarantine_days: how many days ahead the last day of a quarantine may lie.
    """

    folder: Path
    read: Callable[[Path], Result] = load_vouched
    quarantine_days: int = LONGEST_DAYS

    def require_folder(self) -> None:
        """Check the folder before anything is measured, so that no run is wasted on goldens that cannot be read.

        Raises:
            UsageError: there is a file where the folder is expected, or it lies among the results of a run.
            StorageError: the system denies access to it.
        """
        with accessible(self.folder):
            if exists(self.folder) and not self.folder.is_dir():
                raise UsageError(
                    f"{self.folder} is a file; expected the folder of goldens. Name another one with --golden."
                )
            if around := results_around(self.folder):
                raise UsageError(
                    f"{self.folder} cannot hold goldens, because the next run removes what lies in {around[0]}. Name "
                    f"a folder elsewhere, such as {GOLDEN}."
                )

    def load(self, case: Case) -> Result | None:
        """Return the golden of `case`, None if there is none. Raises StorageError for one that cannot be read."""
        place = self.folder / case.key
        with accessible(place):
            present = exists(place)
        return read_case(self.folder, place, self.read) if present else None

    def opened(self) -> Goldens:
        """Return the same goldens, of which the arrays are read only when they are used: many do not fit into memory.

        Damaged arrays raise StorageError only then.
        """
        return dataclasses.replace(self, read=open_vouched if self.read is load_vouched else self.read)

    def checked(self) -> Goldens:
        """Return the same goldens, each of which is read in full once, when it is opened, and then as `opened` does."""
        checks = {load_vouched: open_vouched_checked, open_vouched: open_vouched_checked, open_result: open_checked}
        return dataclasses.replace(self, read=checks.get(self.read, self.read))

    def load_all(
        self, tasks: Collection[str] | None = None, over: Over = map
    ) -> tuple[dict[str, Result], dict[str, StorageError]]:
        """Return every golden by case key, and the errors of those that cannot be read.

        If `tasks` are given, goldens of other tasks are not even looked at. `over` is that of `load_cases`.
        """
        return load_cases(self.folder, self.read, tasks, over)

    def case_keys(self) -> list[str]:
        """Return the keys of all cases that have a folder here, readable or not."""
        return [f"{path.parent.name}/{path.name}" for path in case_folders(self.folder)]

    def quarantine(self, today: datetime.date | None = None) -> dict[str, Quarantine]:
        """Return the entries of the quarantine by case key. Raises StorageError as `read_quarantine` does."""
        return read_quarantine(self.folder, today, self.quarantine_days)

    def store(self, result: Result, reason: str, overruled: Overruled = NOT_JUDGED) -> Path:
        """Make `result` the golden of its case, and add reason and overruled verdict to the history of the case."""
        place, condensed = self.folder / result.case.key, result.condensed()
        history = [*standing_history(place), acceptance(condensed.digest, reason, overruled)]
        # All files are written together, so that no golden changes without its reason.
        files = {HISTORY_FILE: history_bytes(history), **condensed.files()}
        write_files(place, files, root=self.folder)
        return place

    def store_noise(self, key: str, noise: Noise) -> None:
        """Write the noise of a case beside its golden. Raises StorageError if it cannot be written."""
        noise.save(self.folder / key, root=self.folder)

    def history(self, name: str, over: Over = map) -> tuple[str, list[Acceptance]]:
        """Return the key of the case that `name` names, and what was accepted for it, oldest first.

        `over` is that of `load_cases`: unless `name` is a whole key, all goldens are looked through.

        Raises:
            UsageError: there is no such golden, or several.
            StorageError: its history cannot be read.
        """
        if name in self.case_keys():
            return name, read_history(self.folder / name)
        results, broken = load_cases(self.folder, open_result, over=over)  # also if their history vouches for nothing
        cases = {key: result.case for key, result in results.items()}
        key = resolve(name, {**cases, **{each: case_of_folder(each) for each in broken}})
        return key, read_history(self.folder / key)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder for this process while the context is open, and clear what a killed process left there.

        Raises:
            UsageError: another process has locked it.
            StorageError: it cannot be written.
        """
        with locked(self.folder):
            self._settle()
            yield

    def has_leftovers(self) -> bool:
        """Whether a killed process left something here that `locked` clears."""
        return is_left_locked(self.folder) or any(self._leftovers())

    def _leftovers(self) -> Iterator[Path]:
        with accessible(self.folder):
            hidden = (path for depth in ("*/.*", "*/*/.*") for path in self.folder.glob(depth))
            yield from (path for path in hidden if temporary_of(path) in _FILES or is_case_id(temporary_of(path)))

    def _settle(self) -> None:
        left = {path.parent for path in self._leftovers()}
        with accessible(self.folder):
            for task in self.folder.iterdir():
                settle_folders(task)
        for place in case_folders(self.folder):
            if place in left:  # every other one is as it should be, and there may be many
                self._settle_history(place)
                settle(place, _FILES)

    def _settle_history(self, place: Path) -> None:
        """Take the entry from the history whose golden was not stored, because its process was killed before."""
        with contextlib.suppress(StorageError):  # a damaged history is told to whoever needs it
            history = standing_history(place)
            if len(history) < len(read_history(place)):
                write_files(place, {HISTORY_FILE: history_bytes(history)}, root=self.folder)

    def remove(self, key: str) -> None:
        """Delete one golden. Raises StorageError if it cannot be deleted."""
        try:
            remove_folder(self.folder, self.folder / key)
        except OSError as error:
            found = refusal(error, "do it by hand")
            raise StorageError(f"{self.folder / key} cannot be deleted ({found.reason}). {found.sentence}") from error


def resolve(name: str, cases: Mapping[str, Case]) -> str:
    """Return the key of the case that a person names by its key, without its hash, its input, or any part of them.

    Raises:
        UsageError: no case has this name, or several have.
    """
    if name in cases:
        return name
    own = unicodedata.normalize("NFC", name)  # a shell may complete a name in the spelling of the file system
    matches = [key for key, case in cases.items() if own in _names(case)] or _holding(name, cases)
    if len(matches) == 1:
        return matches[0]
    if matches:
        more = f" and {len(matches) - _NAMED} more" if len(matches) > _NAMED else ""
        told = ", ".join(_with_models({key: cases[key].model for key in matches})[:_NAMED])
        raise UsageError(f"{name!r} names {len(matches)} cases: {told}{more}. Give a longer part, or the whole key.")
    if not cases:
        raise UsageError(f"unknown case {name!r}: there are no cases.")
    images = [case.input.split("/", 1)[-1] for case in cases.values()]
    raise unknown_name("case", name, dict.fromkeys([*cases, *images]))


def _with_models(models: Mapping[str, str]) -> list[str]:
    """Return keys of cases, each with its model if they differ: nobody can tell them apart by their hashes."""
    several = len(set(models.values())) > 1
    return [f"{key} ({model})" if several and model else key for key, model in models.items()]


def _holding(name: str, cases: Mapping[str, Case]) -> list[str]:
    """Return the keys of the cases whose key or input holds a text, whatever its capitals."""
    part = folded(name)
    return [key for key, case in cases.items() if part in folded(key) or part in folded(case.input)]


def _names(case: Case) -> set[str]:
    """Return the names by which a person may call a case: key or folder, with or without hash, or the input's name."""
    full = {case.key, case.id, case.input, case.input.split("/", 1)[-1]}
    every = full | {name.rpartition("-")[0] for name in (case.key, case.id)}
    return {unicodedata.normalize("NFC", name) for name in every}


def case_of_folder(key: str) -> Case:
    """Return a substitute for a case whose file cannot be read: only its folder is known."""
    task, _, name = key.partition("/")
    return _Unread(task, "?", name)


class _Unread(Case):
    """A case whose input has the name of its folder, because nothing else is known of it."""

    @property
    def id(self) -> str:
        """The name of the folder, so that the key is the path of the folder."""
        return self.input
