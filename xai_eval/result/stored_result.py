"""What `result.json` has to look like: its entries and their types, checked before anything is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from xai_eval.disk.bounds import LARGEST_WHOLE, LONGEST_TEXT
from xai_eval.disk.strict_json import first_twice, require_distinct
from xai_eval.disk.typed import WrongValue, below, entry, read_as, reader_of
from xai_eval.result.class_list import CLASS_LIST, ClassList
from xai_eval.result.stage import Stage

# Parameters of a provenance that are read as records; all others may be any JSON.
RAISED_TOLERANCES = "raised tolerances"
_RAISED = Mapping[str, float | Mapping[str, float]]
_STAGE = ("kind", "of", "model")
_NEEDED = {"kind", "digest", "shape"}
_TEXTS = ("kind", "digest", "of", "model", "meaning")
_USUAL: Mapping[str, type] = {**dict.fromkeys(_TEXTS, str), "shape": list, "amplification": float, "bits": int}
MOST_FIELDS, MOST_STAGES = 2_000, 20_000


@dataclass(frozen=True)
class StoredStage:
    """One stage of the document. The attributes are those of `Stage` and `Fingerprint`."""

    kind: str
    digest: str
    shape: tuple[int, ...]
    of: str = ""
    model: str = ""
    meaning: str = ""
    amplification: float = 1.0
    bits: int = 0


def check_types(document: Mapping[str, Any]) -> None:
    """Check the types of a document, but those of what only a kind of field knows.

    Raises:
        WrongValue: an entry is missing, unknown or of another type, or there are too many.
        ValueError: two fields or stages have one name: a person would read the first, and the program the last.
    """
    fields, stages = (entry(document, name, _PARTS) for name in ("fields", "stages"))
    for name, found, most in (("fields", fields, MOST_FIELDS), ("stages", stages, MOST_STAGES)):
        if len(found) > most:
            raise WrongValue(f"has {len(found):,} {name}; expected at most {most:,}")
    for name in ("digest", "arrays_sha256"):
        entry(document, name, str)
    names = below("fields", _names, fields)
    require_distinct("fields", names)
    below("stages", _check_stages, stages)
    _require_different([(each["kind"], each.get("of", ""), each.get("model", "")) for each in stages])


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Check the parameters of a provenance that are read as records. Raises WrongValue."""
    entry(parameters, RAISED_TOLERANCES, _RAISED, {})
    if parameters.get(CLASS_LIST) is not None:
        entry(parameters, CLASS_LIST, ClassList)


def _check_stages(stages: tuple[Any, ...]) -> None:
    """Read each stage that is not evidently one, for the error: a result has dozens, and a run thousands of results."""
    read = reader_of(StoredStage)
    for place, each in enumerate(stages):
        if not _is_stage(each):
            below(place, read, each)


def _is_stage(stage: Any) -> bool:
    """Whether all entries of a stage have the types of `StoredStage`; if not, or if it is unusual, a reader decides."""
    if type(stage) is not dict or not stage.keys() <= _USUAL.keys():
        return False
    for name, value in stage.items():
        if type(value) is not _USUAL[name] or (type(value) is str and len(value) > LONGEST_TEXT):
            return False
    for side in stage.get("shape", ()):
        if type(side) is not int or not -1 < side < LARGEST_WHOLE:
            return False
    return stage.keys() >= _NEEDED


class _Raw:
    """An object of which a part is read later, by whoever knows its type."""


_PARTS = tuple[_Raw, ...]  # made once, because to make such a type takes longer than to read an entry


def _names(fields: tuple[Any, ...]) -> list[str]:
    """Return the names of the fields. One that evidently has none, or no kind, is read for the error."""
    return [each["name"] if _is_named(each) else below(place, _name, each) for place, each in enumerate(fields)]


def _is_named(field: Any) -> bool:
    texts = (field.get("kind"), field.get("name")) if type(field) is dict else ()
    return bool(texts) and all(type(each) is str and len(each) <= LONGEST_TEXT for each in texts)


def _require_different(stages: list[tuple[str, str, str]]) -> None:
    twice = first_twice(stages)
    if twice is not None:
        raise ValueError(f"two stages have one name: {str(Stage.restored(dict(zip(_STAGE, twice, strict=True))))!r}")


def _name(field: Any) -> str:
    if not isinstance(field, dict):
        raise read_as(Mapping[str, str], field)
    entry(field, "kind", str)
    return str(entry(field, "name", str))
