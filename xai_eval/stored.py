"""Results whose arrays stay on disk: a thousand with pictures and full maps do not fit into a small memory at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from xai_eval.arrays import unpack_arrays
from xai_eval.fields import KINDS
from xai_eval.result import ARRAYS_FILE, Case, Provenance, Result, from_document, read_document, read_packed, valid

_Part = TypeVar("_Part")


def open_result(folder: Path) -> Result:
    """Read what `Result.save` wrote as `Result.load` does, but read fields and stages again when they are asked for.

    Raises:
        StorageError: as `Result.load`; for a field that is not what its kind stores only when it is asked for.
    """
    document = read_document(folder)
    read_packed(folder, document)
    stored = _Stored(folder, document)
    with valid(folder):
        kinds = {each["name"]: KINDS[each["kind"]] for each in document["fields"]}
        return Result(
            case=Case(**document["case"]),
            fields=_Parts(tuple(kinds), lambda: stored.whole().fields),
            stages=_Parts(tuple(each["name"] for each in document["stages"]), lambda: stored.whole().stages),
            provenance=Provenance(**document["provenance"]),
        )


@dataclass(frozen=True, eq=False)
class _Stored:
    """A result on disk and the document that vouches for it."""

    folder: Path
    document: Mapping[str, Any]

    @functools.lru_cache(maxsize=2)  # noqa: B019 (two results at most: the one that is judged, and another run's)
    def whole(self) -> Result:
        """Read the arrays as well. Raises StorageError if another process has replaced them since."""
        arrays = unpack_arrays(read_packed(self.folder, self.document), str(self.folder / ARRAYS_FILE))
        with valid(self.folder):
            return from_document(self.document, arrays)


@dataclass(frozen=True)
class _Parts(Mapping[str, _Part]):
    """Fields or stages by name, read when they are asked for."""

    names: tuple[str, ...]
    read: Callable[[], Mapping[str, _Part]]

    def __getitem__(self, name: str) -> _Part:
        return self.read()[name]

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)
