"""The folder of a run, for every door alike: who may write into it, its results, and the record of the run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from xai_eval.disk.files import is_temporary, read_json, remove_temporaries
from xai_eval.errors import StorageError, XaiEvalError
from xai_eval.result.result import ARRAYS_FILE, FORMER_ARRAYS_FILE, RESULT_FILE, Case, Result, is_case_id
from xai_eval.store.lock import acquire, locked, release, this_process
from xai_eval.store.runs import RESULTS_FOLDER, RunRecord, load_cases

_ADVICE = "so it is left alone. Choose another folder for the report, or move it away."


@dataclass(frozen=True)
class RunFolder:
    """Where a run leaves its results, its record and its report.

    Attributes:
        path: the folder.
        owner: the process that writes there: this one, or the controller of pytest-xdist for its workers.
    """

    path: Path
    owner: str = field(default_factory=this_process)

    @property
    def results(self) -> Path:
        """Where the results are."""
        return self.path / RESULTS_FOLDER

    def claim(self) -> bool:
        """Make the owner the only one that writes here.

        Returns:
            False if the owner had the folder already, as all workers of one pytest run but the first find it.

        Raises:
            UsageError: another process has it.
            StorageError: it cannot be written, or its `results` hold something that no run has written.
        """
        try:
            self.check_results()
            foreign = None
        except StorageError as error:
            foreign = error  # or another worker of this run has begun to write there
        if not acquire(self.path, self.owner):
            return False
        if foreign:
            self.release()
            raise foreign
        return True

    def release(self) -> None:
        """Give the folder back if the owner has it."""
        release(self.path, self.owner)

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Have the folder for the owner alone, who keeps it if it had it before. Raises what `claim` raises."""
        first = self.claim()
        try:
            yield
        finally:
            if first:
                self.release()

    def locked(self) -> contextlib.AbstractContextManager[None]:
        """Have the folder for this process alone, whatever lies in it. Raises what `acquire` raises."""
        return locked(self.path)

    def record(self) -> RunRecord:
        """Return what the run set out to do.

        Raises:
            InputUnavailable: no run was written here.
            StorageError: the record is truncated or of another schema.
        """
        return RunRecord.load(self.path)

    def save_record(self, record: RunRecord) -> None:
        """Write what the run set out to do. Raises StorageError if the folder cannot be written."""
        record.save(self.path)

    def place_of(self, key: str) -> Path:
        """Return where the result of the case `key` is, or would be."""
        return self.results / key

    def save(self, result: Result) -> Path:
        """Write a result and return its folder. Raises StorageError if it cannot be written."""
        return result.save(self.place_of(result.case.key))

    def load(self, read: Callable[[Path], Result]) -> tuple[dict[str, Result], dict[str, StorageError]]:
        """Return every result by case key, and the errors of those that cannot be read. Raises as `load_cases` does."""
        return load_cases(self.results, read)

    def check_results(self) -> None:
        """Refuse a folder whose `results` hold anything that no run has written.

        Raises:
            StorageError: a file is not one of a result, or no valid record of a run vouches for the results.
        """
        try:
            found = sorted(self.results.rglob("*"))
            foreign = next((path for path in found if not self._is_ours(path)), None)
        except OSError as error:
            reason = error.strerror or error
            raise StorageError(f"{self.results} cannot be read ({reason}). Choose another folder.") from error
        if foreign:
            raise StorageError(f"{foreign} was not written by xai-eval, {_ADVICE}")
        try:
            if found:
                self.record()
        except XaiEvalError as error:
            raise StorageError(f"{self.results} was not written by xai-eval ({error}), {_ADVICE}") from error

    def remove_results(self, keep: Collection[str] = ()) -> None:
        """Delete the results of earlier runs but those with a case key in `keep`, and nothing that no run has written.

        Raises:
            StorageError: there is something else among them, or they cannot be deleted. Then nothing, or not all, is
                gone.
        """
        self.check_results()
        try:
            places = {place: f"{place.parent.name}/{place.name}" for place in self.results.glob("*/*")}
            gone = [place for place, key in places.items() if key not in keep]
            foreign = next((place for place in gone if _is_of_another(place, places[place])), None)
            if foreign:
                raise StorageError(f"{foreign / RESULT_FILE} was not written by xai-eval for this folder, {_ADVICE}")
            for place in places.keys() - gone:
                # Of a run that was killed while it wrote them.
                remove_temporaries(place, (RESULT_FILE, ARRAYS_FILE))
            for place in gone:
                for file in place.iterdir():
                    file.unlink()
                place.rmdir()
        except OSError as error:
            raise StorageError(
                f"{self.results} cannot be replaced ({error.strerror}). Choose another folder."
            ) from error

    def _is_ours(self, path: Path) -> bool:
        """Whether `path` is a folder or file that saving a result makes; a killed run leaves temporary files, too."""
        depth = len(path.relative_to(self.results).parts)
        if path.is_dir() and not path.is_symlink():
            return depth == 1 or (depth == 2 and is_case_id(path.name))
        names = (RESULT_FILE, ARRAYS_FILE, FORMER_ARRAYS_FILE)
        return depth == 3 and (path.name in names or is_temporary(path, names))


def _is_of_another(place: Path, key: str) -> bool:
    """Whether a folder holds a document that is not the result of the case `key`.

    A killed run may have left none, or half of one: that is no document, and the folder's name has to do.
    """
    try:
        document = read_json(place / RESULT_FILE)
    except (FileNotFoundError, ValueError):
        return False
    try:
        return Case(**document["case"]).key != key
    except (KeyError, TypeError, ValueError, AttributeError):
        return True
