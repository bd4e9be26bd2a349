"""Results that are read lazily, because a thousand of them with images and full maps do not fit into a small memory."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import NDArray

from xai_eval.result.fields import KINDS, Field
from xai_eval.result.fingerprint import Fingerprint
from xai_eval.result.result import (
    Case,
    Provenance,
    Result,
    by_field,
    case_of,
    provenance_of,
    read_arrays,
    read_stored,
    restore_field,
    restore_parts,
    restore_stage,
    valid,
)
from xai_eval.result.stage import Stage
from xai_eval.store.in_common import PackedText, in_common

_Name = TypeVar("_Name")
_Part = TypeVar("_Part")
_Kind = TypeVar("_Kind", bound=Field)


def open_result(folder: Path) -> Result:
    """Read what `Result.save` wrote, as `Result.load` does, but read fields and stages only when they are used.

    Fields without arrays, such as labels and tables, are restored without reading the arrays of other fields.

    Raises:
        StorageError: as `Result.load`. Missing or damaged arrays, and invalid fields, raise it only when a field or
            stage is used.
    """
    found = read_stored(folder)
    document = found.content
    with valid(folder):
        case, kinds = case_of(document), tuple((each["name"], each["kind"]) for each in document["fields"])
        common, provenance = in_common(case.task), provenance_of(document)
        common.share(case, provenance)
        text = common.packed(found.text)
        stages = tuple(map(Stage.restored, document["stages"]))
        return _reopened(case, provenance, str(folder), document["digest"], text, kinds, stages)


def _reopened(
    case: Case,
    provenance: Provenance,
    path: str,
    digest: str,
    packed: PackedText,
    kinds: tuple[tuple[str, str], ...],
    stages: tuple[Stage, ...],
) -> Result:
    """Make an open result of what its document holds: names and kinds of fields, and stages in order."""
    fields = _kinds(tuple((name, KINDS[kind]) for name, kind in kinds))
    stored = _Stored(path, digest, packed, fields, _places(stages))
    return _OpenResult(
        case, _Parts(fields, stored.field), _Parts(stored.stages, stored.stage), provenance, stored=stored
    )


@functools.lru_cache(maxsize=64)  # of most results, these are the same
def _kinds(fields: tuple[tuple[str, type[Field]], ...]) -> Mapping[str, type[Field]]:
    return dict(fields)


@functools.lru_cache(maxsize=64)
def _places(stages: tuple[Stage, ...]) -> Mapping[Stage, int]:
    return {stage: place for place, stage in enumerate(stages)}


def digest_of(result: Result) -> str:
    """Return the digest of the document from which a result was opened; of one that is in memory, its own."""
    return result.stored.digest if isinstance(result, _OpenResult) else result.digest


def open_checked(folder: Path) -> Result:
    """Read a result as `open_result` does, but check all of its parts at once. Raises StorageError as `Result.load`."""
    result = open_result(folder)
    result.in_memory()
    return result


@dataclass(frozen=True)
class _OpenResult(Result):
    """A result that knows the kinds of its fields before it reads them."""

    stored: _Stored = dataclasses.field(kw_only=True)

    def __reduce__(self) -> tuple[Callable[..., Result], tuple[object, ...]]:
        """Return how another process makes the same, which knows the same kinds of fields."""
        stored = self.stored
        kinds, stages = tuple((name, kind.kind) for name, kind in stored.kinds.items()), tuple(stored.stages)
        return _reopened, (self.case, self.provenance, stored.path, stored.digest, stored.packed, kinds, stages)

    def in_memory(self) -> Result:
        """Return the result with all parts read."""
        return self.stored.with_parts(self)

    def stage_digest(self, stage: Stage) -> str | None:
        place = self.stored.stages.get(stage)
        return None if place is None else str(self.stored.document["stages"][place]["digest"])

    def of_kind(self, kind: type[_Kind]) -> dict[str, _Kind]:
        if not isinstance(self.fields, _Parts):  # `dataclasses.replace` gave it others
            return super().of_kind(kind)
        return {name: self.fields[name] for name, each in self.fields.about.items() if issubclass(each, kind)}


@dataclass(frozen=True, eq=False, slots=True)
class _Stored:
    """A result on disk, and its signed document, packed: parsed documents of 10,000 cases would take 500 MB.

    The document is not read again from disk, because another process may have replaced it.

    Attributes:
        path: where it is, as text, which takes less memory.
        digest: of the document.
        packed: the canonical text of the document.
        kinds: fields by name, in order.
        stages: positions of the stages in the document, in order.
    """

    path: str
    digest: str
    packed: PackedText
    kinds: Mapping[str, type[Field]]
    stages: Mapping[Stage, int]

    @property
    def folder(self) -> Path:
        """Where it is."""
        return Path(self.path)

    @property
    def document(self) -> Mapping[str, Any]:
        """The document as it was read, without its digest."""
        return _unpacked(self.packed)

    def with_parts(self, result: Result) -> Result:
        """Return the result with all fields and stages, as they are on disk. Raises StorageError as `Result.load`."""
        folder, document = self.folder, self.document
        arrays = read_arrays(folder, document)
        with valid(folder):
            return Result(result.case, *restore_parts(document, arrays, self.stages), result.provenance)

    def field(self, name: str) -> Field:
        """Return a field."""
        return self._opened().field(name)

    def stage(self, stage: Stage) -> Fingerprint:
        """Return the fingerprint of a stage."""
        return self._opened().stage(stage)

    @functools.lru_cache(maxsize=2)  # noqa: B019 (it holds two results at most: the one that is judged, and that of another run)
    def _opened(self) -> _Opened:
        """Return the parts that were read so far."""
        return _Opened(self)


@functools.lru_cache(maxsize=8)  # a result that is judged, its golden, and those that were looked at just before
def _unpacked(packed: PackedText) -> Mapping[str, Any]:
    document: Mapping[str, Any] = json.loads(packed.text)
    return document


class _Opened:
    """The parts of a result that were used recently."""

    def __init__(self, stored: _Stored) -> None:
        self._stored = stored
        self._meta = {each["name"]: each for each in stored.document["fields"]}
        self._fields: dict[str, Field] = {}
        self._stages: dict[Stage, Fingerprint] = {}

    def field(self, name: str) -> Field:
        """Restore a field. Raises StorageError if another process has replaced its arrays in the meantime."""
        if name not in self._fields:
            arrays = _ArraysWhenAsked(lambda: self._by_field[name])
            with valid(self._stored.folder):
                self._fields[name] = restore_field(self._meta[name], arrays)
        return self._fields[name]

    def stage(self, stage: Stage) -> Fingerprint:
        """Restore the fingerprint of a stage. Raises StorageError as `field` does."""
        if stage not in self._stages:
            place = self._stored.stages[stage]
            with valid(self._stored.folder):
                self._stages[stage] = restore_stage(self._stored.document, place, self._arrays)
        return self._stages[stage]

    @functools.cached_property
    def _arrays(self) -> dict[str, NDArray[Any]]:
        return read_arrays(self._stored.folder, self._stored.document)

    @functools.cached_property
    def _by_field(self) -> Mapping[str, dict[str, NDArray[Any]]]:
        return by_field(self._arrays)


@dataclass(frozen=True, slots=True)
class _Parts(Mapping[_Name, _Part]):
    """Fields by name, or stages, read when they are used; `about` holds what is known of each before it is read."""

    about: Mapping[_Name, Any]
    read: Callable[[_Name], _Part]

    def __getitem__(self, name: _Name) -> _Part:
        if name not in self.about:
            raise KeyError(name)
        return self.read(name)

    def __contains__(self, name: object) -> bool:
        return name in self.about

    def __iter__(self) -> Iterator[_Name]:
        return iter(self.about)

    def __len__(self) -> int:
        return len(self.about)


@dataclass(frozen=True)
class _ArraysWhenAsked(Mapping[str, NDArray[Any]]):
    """The arrays of a field, read when one is used: a kind without arrays uses none, so that nothing is unpacked."""

    read: Callable[[], Mapping[str, NDArray[Any]]]

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.read()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.read())

    def __len__(self) -> int:
        return len(self.read())
