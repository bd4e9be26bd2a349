"""The folder of a run, used by pytest and the command line alike: its lock, its results, and its record."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from xai_eval.disk.arrays import deflated_quickly
from xai_eval.disk.door import is_link, is_own_folder, require_no_links
from xai_eval.disk.files import (
    accessible,
    exists,
    is_temporary,
    read_json,
    remove_folder,
    temporary_of,
    write_files,
)
from xai_eval.disk.stray_files import is_stray
from xai_eval.disk.system_errors import refusal
from xai_eval.errors import StorageError, UsageError, XaiEvalError
from xai_eval.result.result import ARRAYS_FILE, FORMER_ARRAYS_FILE, RESULT_FILE, Result, case_of, is_case_id
from xai_eval.store.default_folders import RESULTS
from xai_eval.store.lock import acquire, locked, release, this_process
from xai_eval.store.made_from import MADE_FROM_FILE, Contents, made_from_bytes
from xai_eval.store.runs import (
    RESULTS_FOLDER,
    Over,
    RunRecord,
    case_folders,
    load_cases,
    results_around,
)
from xai_eval.store.settle import settle, settle_folders

_OURS = (RESULT_FILE, ARRAYS_FILE, FORMER_ARRAYS_FILE, MADE_FROM_FILE)
_ADVICE = "so it is left alone. Choose another folder for the report, or move it away."


@dataclass(frozen=True)
class RunFolder:
    """Where a run leaves its results, its record and its report.

    Attributes:
        path: the folder itself.
        owner: the process that writes there: this one, or for workers of pytest-xdist their controller.
    """

    path: Path
    owner: str = field(default_factory=this_process)

    @property
    def results(self) -> Path:
        """The folder of the results."""
        return self.path / RESULTS_FOLDER

    def claim(self) -> bool:
        """Lock the folder for the owner.

        Returns:
            False if the owner had locked it already; among the workers of one pytest run, only the first gets True.

        Raises:
            UsageError: another process has locked it.
            StorageError: it cannot be written, or its `results` contain files that no run has written.
        """
        try:
            self.check_results()
            foreign = None
        except StorageError as error:
            foreign = error  # this may also be because another worker of this run has begun to write there
        if not acquire(self.path, self.owner):
            return False
        if foreign:
            self.release()
            raise foreign
        return True

    def release(self) -> None:
        """Unlock the folder if the owner has locked it."""
        release(self.path, self.owner)

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Lock the folder for the owner while the context is open; a lock it had before stays. Raises as `claim`."""
        first = self.claim()
        try:
            yield
        finally:
            if first:
                self.release()

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Lock the folder for this process, whatever it contains. Raises what `acquire` raises."""
        return locked(self.path)

    def record(self) -> RunRecord:
        """Return the record of the run: what it planned, and how.

        Raises:
            InputUnavailable: no run was written here.
            StorageError: the record is truncated or of another schema.
        """
        return RunRecord.load(self.path)

    def save_record(self, record: RunRecord) -> None:
        """Write the record of the run. Raises StorageError if the folder cannot be written."""
        record.save(self.path)

    def folder_of(self, key: str) -> Path:
        """Return the folder for the result of the case `key`, whether or not it exists."""
        return self.results / key

    def save(self, result: Result, made_from: Contents | None = None) -> Path:
        """Write a result, and what it was made from if that is known; return its folder.

        Raises:
            StorageError: it cannot be written; the files that were there before are unchanged.
        """
        place, files = self.folder_of(result.case.key), result.files(deflated_quickly)
        if made_from is not None:
            digest = str(json.loads(files[RESULT_FILE])["digest"])
            files = {MADE_FROM_FILE: made_from_bytes(digest, made_from), **files}
        write_files(place, files, root=self.path)
        return place

    def load(
        self, read: Callable[[Path], Result], over: Over = map
    ) -> tuple[dict[str, Result], dict[str, StorageError]]:
        """Return every result by case key, and the errors of those that cannot be read.

        A result of which the document is missing was never written whole: the run was killed while it wrote it. The
        record of the run says that it was planned. `read` and `over` are those of `load_cases`. Raises as that does,
        and if the folder is a link.
        """
        self._require_no_links()
        results, errors = load_cases(self.results, read, over=over)
        return results, {key: each for key, each in errors.items() if self._has_document(key)}

    def measured(self) -> int:
        """Return how many results there are, readable or not. Raises StorageError as `load` does."""
        self._require_no_links()
        return sum(self._has_document(f"{place.parent.name}/{place.name}") for place in case_folders(self.results))

    def _has_document(self, key: str) -> bool:
        document = self.folder_of(key) / RESULT_FILE
        with accessible(document):
            return is_link(document) or exists(document)

    def check_results(self) -> None:
        """Refuse a folder whose `results` contain anything that no run has written, so that no foreign file is lost.

        Raises:
            StorageError: a file does not belong to a result, or there is no valid record of a run beside the results.
        """
        try:
            require_no_links(self.path, self.results)
            found = sorted(self.results.rglob("*"))
            foreign = next((path for path in found if not self._is_ours(path)), None)
        except OSError as error:
            refused = refusal(error, "choose another folder")
            raise StorageError(f"{self.results} cannot be read ({refused.reason}). {refused.sentence}") from error
        if foreign:
            raise StorageError(f"{foreign} was not written by xai-eval, {_ADVICE}")
        try:
            if found:
                self.record()
        except XaiEvalError as error:
            raise StorageError(f"{self.results} was not written by xai-eval ({error}), {_ADVICE}") from error

    def remove_results(self, keep: Collection[str] = ()) -> None:
        """Delete the results of earlier runs, except those of the case keys in `keep`.

        Raises:
            StorageError: there are other files among them, and nothing was deleted; or the system refused, and some may
                be left.
        """
        self.check_results()
        try:
            for task in self.results.glob("*"):
                settle_folders(task)
            places = {place: f"{place.parent.name}/{place.name}" for place in case_folders(self.results)}
            gone = [place for place, key in places.items() if key not in keep]
            foreign = next((place for place in gone if _is_of_another(place, places[place])), None)
            if foreign:
                raise StorageError(f"{foreign / RESULT_FILE} was not written by xai-eval for this folder, {_ADVICE}")
            for place in places.keys() - gone:
                settle(place, _OURS)
            for place in gone:
                remove_folder(self.path, place)
        except OSError as error:
            refused = refusal(error, "choose another folder")
            raise StorageError(f"{self.results} cannot be replaced ({refused.reason}). {refused.sentence}") from error

    def _is_ours(self, path: Path) -> bool:
        """Whether `path` is a folder or file of a saved result, or a file left by a killed run or an editor."""
        parts = path.relative_to(self.results).parts
        if any(map(is_stray, parts)):
            return True
        case = len(parts) > 1 and is_case_id(temporary_of(Path(parts[1])) or parts[1])
        if is_own_folder(path):
            return len(parts) == 1 or (len(parts) == 2 and case)
        return len(parts) == 3 and case and (path.name in _OURS or is_temporary(path, _OURS))

    def _require_no_links(self) -> None:
        with accessible(self.results):
            require_no_links(self.path, self.results)


def require_apart(folder: Path, golden: Path) -> None:
    """Refuse to write a run or a report among goldens or results: all that lies there is taken for cases.

    Raises:
        UsageError: `folder` is the folder of goldens, or lies there, or among the results of a run.
    """
    for each in (golden.resolve(), *results_around(folder)):
        if each in (folder.resolve(), *folder.resolve().parents):
            what = "goldens" if each == golden.resolve() else "results of a run"
            raise UsageError(
                f"{folder} cannot hold a run or a report, because what lies in {each} is taken for {what}. Name a "
                f"folder elsewhere, such as {RESULTS}."
            )


def _is_of_another(place: Path, key: str) -> bool:
    """Whether a folder holds a document that is not the result of the case `key`.

    A killed run may have left no document or half of one; then only the name of the folder decides.
    """
    try:
        document = read_json(place / RESULT_FILE)
    except (FileNotFoundError, ValueError):
        return False
    try:
        return not isinstance(document, dict) or case_of(document).key != key
    except ValueError:
        return True
