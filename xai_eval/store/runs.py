"""What a run writes into its folder: one folder per case, and `run.json`, the record of what the run planned."""

from __future__ import annotations

import dataclasses
import datetime
import functools
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from xai_eval.disk.door import require_no_links
from xai_eval.disk.files import accessible, exists, read_json, write_file
from xai_eval.disk.signed import sign, signed_object
from xai_eval.disk.stray_files import is_stray
from xai_eval.disk.typed import WrongValue, below, entry, read_as, shown
from xai_eval.errors import InputUnavailable, StorageError
from xai_eval.media.shell import command, option
from xai_eval.result.result import RESULT_FILE, Result

RESULTS_FOLDER = "results"
RUN_FILE = "run.json"
SCHEMA = 2
# Entries of a request that are texts, if it has them; what `params` may be, the task knows.
_TEXTS = ("task", "task_file", "model_name", "inputs", "device", "precision")


@dataclass(frozen=True)
class RunRecord:
    """The record of a run.

    Attributes:
        tasks: names of the tasks.
        models: model specs; none if tests computed everything themselves.
        inputs: names of the input sets.
        selections: the input sets of which only a part was run, so that goldens of the rest do not count as unused. Of
            tests that failed before their end: what comes before the last "/" in the inputs of their cases.
        planned: number of cases that the run should measure.
        failures: reasons why inputs could not be measured, by input; a run with failures is incomplete.
        requests: the arguments of each task (model, images, device, params, precision if one was asked for, and
            task_file if it comes from a file) as JSON values, so that a case can be computed again on the same machine.
            If a task was asked for several times, its requests are numbered, and have the names of task, model and
            inputs. A test that calls `evaluate` itself leaves none.
        versions: library name -> version.
        device: as torch names it.
        precision: flags of torch that change arithmetic; none if nothing was computed.
        when: start of the run, ISO 8601 in UTC. Results contain no time, so that equal results are equal bytes.
        seconds: wall-clock time.
        finished: False until the last case is written.
        commit: the full hash of what git had checked out where the run was started; empty if that is unknown, as in
            runs of earlier versions.
        uncommitted: whether files that git tracks differed from that commit.
    """

    tasks: tuple[str, ...]
    models: tuple[str, ...]
    inputs: tuple[str, ...]
    planned: int
    selections: tuple[str, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)
    requests: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    device: str = "cpu"
    precision: Mapping[str, Any] = field(default_factory=dict)
    when: str = ""
    seconds: float = 0.0
    finished: bool = False
    commit: str = ""
    uncommitted: bool = False

    @property
    def left_out_inputs(self) -> bool:
        """Whether only a part of an input set was run; tests that failed before their end have left out none."""
        return not set(self.selections).isdisjoint(self.inputs)

    def save(self, folder: Path) -> None:
        """Write `run.json` into `folder`."""
        document = json.dumps(sign({"schema": SCHEMA, **dataclasses.asdict(self)}), indent=1)
        write_file(folder / RUN_FILE, f"{document}\n".encode())

    @classmethod
    def load(cls, folder: Path) -> RunRecord:
        """Read `run.json` of `folder`.

        Raises:
            InputUnavailable: no run was written there.
            StorageError: truncated, of another schema, or edited by hand.
        """
        path = folder / RUN_FILE
        with accessible(path):
            present = exists(path)
        if not present:
            raise InputUnavailable(f"{folder} holds no run: {path} is missing. {_how_to_get_a_run(folder)}")
        try:
            with accessible(path):
                document = read_json(path)
            schema = document.get("schema") if isinstance(document, dict) else None
            if schema != SCHEMA:
                raise StorageError(f"{path} has schema {shown(schema)}, but this version reads {SCHEMA}. Run again.")
            signed = signed_object(document)
            record: RunRecord = read_as(
                cls, {name: each for name, each in signed.items() if name not in ("schema", "digest")}
            )
            return _checked(record)
        except ValueError as error:
            raise StorageError(f"{path} is truncated or not a record of a run ({error}). Run again.") from error


def _how_to_get_a_run(folder: Path) -> str:
    """Say what to do where no run is. A run into a folder of goldens or of results would be refused."""
    if any(folder.glob(f"*/*/{RESULT_FILE}")):
        return "There are goldens in it, or results alone: name the folder of a run in its place, such as reports."
    return f"Run `{command('run', (), option('--out', str(folder)))}` first."


def _checked(record: RunRecord) -> RunRecord:
    """Return `record` if its values fit each other, and its requests are such that a case can be asked for again."""
    below("requests", lambda requests: [below(*each) for each in _requests(requests)], record.requests)
    if record.planned < 0:
        raise WrongValue(f"is {record.planned}; expected 0 or more", ".planned")
    if record.failures and not (record.tasks and record.models):
        raise ValueError("it has failures, but names no task or no model")
    return record


def _requests(requests: Mapping[str, Any]) -> Iterator[tuple[str, Callable[[Any], object], Any]]:
    for name, request in requests.items():
        yield name, _check_request, request


def _check_request(request: Mapping[str, Any]) -> None:
    entry(request, "params", Mapping[str, Any], {})
    for name in _TEXTS:
        entry(request, name, str | None, None)


def now() -> str:
    """Return the current time as records and histories store it: ISO 8601 in UTC, in seconds."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


class Over(Protocol):
    """Does something with each folder, in order, as `map` does."""

    def __call__(
        self, work: Callable[[Path], Result | StorageError], folders: Sequence[Path], /
    ) -> Iterable[Result | StorageError]:
        """Return what `work` returns for each folder."""
        ...


def load_cases(
    folder: Path,
    read: Callable[[Path], Result] = Result.load,
    tasks: Collection[str] | None = None,
    over: Over = map,
) -> tuple[dict[str, Result], dict[str, StorageError]]:
    """Read every case below `folder`, laid out as `<task>/<case id>/`.

    Args:
        folder: of results or goldens.
        read: how to read each case; `open_result` if all of them together may not fit into memory.
        tasks: the tasks whose cases are read; all if None.
        over: what reads all of them; several processes may do it at once.

    Returns:
        Results by case key, and for each case that cannot be read the error by `<task>/<folder>`.

    Raises:
        StorageError: the folder, or one of a task in it, cannot be listed, or that of a task is a link.
    """
    folders = [path for path in case_folders(folder) if tasks is None or path.parent.name in tasks]
    found = dict(zip(map(_key_of, folders), over(functools.partial(_read_case, read, folder), folders), strict=True))
    errors = {key: each for key, each in found.items() if isinstance(each, StorageError)}
    return {key: each for key, each in found.items() if isinstance(each, Result)}, errors


def _read_case(read: Callable[[Path], Result], root: Path, path: Path) -> Result | StorageError:
    try:
        return read_case(root, path, read)
    except StorageError as error:
        return StorageError(str(error))  # the traceback of the error itself would keep what was read in memory


def read_case(root: Path, path: Path, read: Callable[[Path], Result]) -> Result:
    """Read the result in the folder of a case, which lies below `root`.

    Raises:
        StorageError: as `read` does; or it is the result of another case, or a folder below `root` is a link.
    """
    with accessible(path):
        require_no_links(root, path)
    result = read(path)
    if result.case.key != _key_of(path):
        raise StorageError(
            f"{path / RESULT_FILE} is the result of {result.case.key}: the folder was renamed. Rename it back."
        )
    return result


def _key_of(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def case_folders(folder: Path) -> list[Path]:
    """Return the folders two levels below `folder`, sorted, without hidden ones; none if `folder` does not exist.

    A link in the place of a case is among them, so that whoever reads it is told.

    Raises:
        StorageError: the folder, or one of a task in it, cannot be listed, or that of a task is a link.
    """
    with accessible(folder):
        tasks = _folders(folder) if exists(folder) else []
        for task in tasks:
            require_no_links(folder, task)
        found = [path for task in tasks for path in _folders(task) if not path.name.startswith(".")]
    return sorted(found)


def _folders(folder: Path) -> list[Path]:
    """Return the folders in a folder, and links to folders. Listing it tells which entries are folders themselves."""
    with os.scandir(folder) as entries:
        found = [folder / each.name for each in entries if each.is_dir(follow_symlinks=False) or Path(each).is_dir()]
    return [path for path in found if not is_stray(path.name)]


def results_around(folder: Path) -> list[Path]:
    """Return the folders of results of runs in which a folder lies, or which it is."""
    within = [folder.resolve(), *folder.resolve().parents]
    return [each for each in within if each.name == RESULTS_FOLDER and (each.parent / RUN_FILE).is_file()]
