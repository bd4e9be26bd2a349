"""`Result`: what one evaluation of one case found. It separates measuring from judging.

All code that measures may import torch and ends in a Result. All code that judges, compares or draws starts from a
Result, and needs only numpy and pandas.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import NDArray

from xai_eval.disk.arrays import MAX_UNPACKED_BYTES, deflated, inflated, pack_arrays, unpack_arrays
from xai_eval.disk.door import read_bytes
from xai_eval.disk.files import read_json_text, write_files
from xai_eval.disk.git_lfs import is_pointer, pointer_sentence
from xai_eval.disk.signed import canonical, canonical_content, sign
from xai_eval.disk.strict_json import alike, folded, parse_json
from xai_eval.disk.system_errors import refusal
from xai_eval.disk.typed import WrongValue, below, entry, read_as, spelled
from xai_eval.errors import StorageError, UsageError, error_line, unknown_name
from xai_eval.result.as_lines import as_lines
from xai_eval.result.fields import KINDS, Field
from xai_eval.result.fields.stored_arrays import require_kind
from xai_eval.result.fingerprint import Fingerprint
from xai_eval.result.left_arrays import find_left_arrays
from xai_eval.result.stage import Stage, check_stages
from xai_eval.result.stored_result import RAISED_TOLERANCES as RAISED_TOLERANCES
from xai_eval.result.stored_result import check_parameters, check_types

_Kind = TypeVar("_Kind", bound=Field)
SCHEMA = 2
RESULT_FILE = "result.json"
ARRAYS_FILE = "arrays.safetensors.gz"
FORMER_ARRAYS_FILE = "arrays.npz"
_SLUG_LENGTH = 60
# The seed of a run that was asked for no other.
USUAL_SEED = 0
_STAGE = "stage"  # takes the place of a field name in the names of stored arrays


@dataclass(frozen=True)
class Case:
    """The identity of an evaluation: which task, which model, which input, which parameters.

    Attributes:
        task: name of the evaluation function.
        model: model spec, without paths that exist on one machine only; empty if no model spec is known, as for a value
            that a test computed itself.
        input: `<set>/<name>` of the image or probe set.
        params: JSON values of all parameters that define the experiment.

    Example:
        >>> Case(task="saliency", model="", input="photos/cat.jpg", params={"steps": 20}).key
        'saliency/photos-cat-jpg-84baf91993'
    """

    task: str
    model: str
    input: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Converted as JSON would, so that a tuple before saving equals the list that is read back.
        object.__setattr__(self, "params", json.loads(canonical(dict(self.params))))

    # Of the following, only the key is kept: a run may have a hundred thousand cases.
    @property
    def identity(self) -> str:
        """The whole case as canonical JSON."""
        return canonical({"task": self.task, "model": self.model, "input": self.input, "params": self.params})

    @property
    def look(self) -> str:
        """The same text for all cases whose names differ only in capitals, or in how Unicode spells them."""
        return canonical([*map(folded, (self.task, self.model, self.input)), self.params])

    @property
    def input_set(self) -> str:
        """The set that the input belongs to."""
        return self.input.split("/", 1)[0]

    @property
    def repeatable(self) -> bool:
        """Whether `xai-eval explain-drift` can compute the case again: without a model spec it cannot."""
        return bool(self.model)

    @property
    def id(self) -> str:
        """Folder name: a readable slug and ten digits of the identity's sha256, so that `a-b` and `a.b` stay apart."""
        digest = hashlib.sha256(self.identity.encode()).hexdigest()[:10]
        return f"{_slug(self.input)[:_SLUG_LENGTH].strip('-')}-{digest}"

    @functools.cached_property
    def key(self) -> str:
        """`<task>/<id>`: the name by which people find and accept the case."""
        return f"{self.task}/{self.id}"


def is_case_id(name: str) -> bool:
    """Whether a folder can be that of a case: such a name ends in ten hexadecimal digits of a hash."""
    return re.fullmatch(r".*-[0-9a-f]{10}", name) is not None


@dataclass(frozen=True)
class Provenance:
    """How a result was computed: everything that may explain why it changed.

    Attributes:
        digests: sha256 of the weights and of the bytes of the input, by name.
        parameters: all parameters, including preprocessing, also those that do not define the experiment.
        versions: library name -> version.
        device: as torch names it.
        precision: settings that change the precision of arithmetic, by name.
        seed: seed of all random numbers.
    """

    digests: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    device: str = "cpu"
    precision: Mapping[str, Any] = field(default_factory=dict)
    seed: int = USUAL_SEED

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", json.loads(canonical(dict(self.parameters))))


@dataclass(frozen=True)
class Result:
    """What the evaluation of one case found.

    Attributes:
        case: what was evaluated.
        fields: the findings of the task, by name.
        stages: fingerprints of the stages of the computation from image to explanation, in order.
        provenance: how it was computed.

    Raises:
        UsageError: a stage is named by a plain string instead of a `Stage`, a field is named `stage`, two fields have
            names that differ at most in upper and lower case, or a field is no `Field` but, say, an array.
    """

    case: Case
    fields: Mapping[str, Field]
    stages: Mapping[Stage, Fingerprint] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        check_stages(self.case.key, self.stages)
        pair = alike(self.fields)
        if pair:
            raise UsageError(
                f"{self.case.key}: two fields have one name, {pair[0]!r} and {pair[1]!r}, for people and for some file "
                "systems. Rename one."
            )
        if _STAGE in self.fields:
            raise UsageError(
                f"{self.case.key}: a field is named {_STAGE!r}, as the arrays of stages are in storage. Rename it."
            )
        # Only a dict: reading the fields of a result that is read lazily would read its arrays.
        for name, each in self.fields.items() if isinstance(self.fields, dict) else ():
            if not isinstance(each, Field):
                raise UsageError(
                    f"{self.case.key}: the field {name!r} is of type {type(each).__name__}; expected a kind of field. "
                    "Wrap it: SignedMap(array) for a map, Mask(array) for bools, Score(value, tolerance) for a number."
                )

    def __getitem__(self, name: str) -> Any:
        """Return the field `name`. Raises UsageError with the nearest names if there is none."""
        if name not in self.fields:
            raise unknown_name(f"field of {self.case.key}", name, self.fields)
        return self.fields[name]

    @property
    def digest(self) -> str:
        """The sha256 of the whole result."""
        return str(sign(self._document(pack_arrays(self._arrays())))["digest"])

    def condensed(self) -> Result:
        """Return what a golden stores: no images, and maps on a coarse grid."""
        kept = {name: each.condensed() for name, each in self.fields.items()}
        fields = {name: each for name, each in kept.items() if each is not None}
        return Result(self.case, fields, self.stages, self.provenance)

    def of_kind(self, kind: type[_Kind]) -> dict[str, _Kind]:
        """Return the fields of one kind by name."""
        return {name: each for name, each in self.fields.items() if isinstance(each, kind)}

    def stage_digest(self, stage: Stage) -> str | None:
        """Return the digest of a stage, without reading any arrays; None if the stage is not recorded."""
        return self.stages[stage].digest if stage in self.stages else None

    def in_memory(self) -> Result:
        """Return the result with all parts in memory. A lazily read result that is damaged raises its error here.

        Raises:
            StorageError: the arrays are missing or damaged, or a field is invalid.
        """
        return self

    def save(self, folder: Path | str) -> Path:
        """Write `result.json` and `arrays.safetensors.gz` into `folder`; equal results give equal bytes.

        Raises:
            StorageError: the folder cannot be written; files that were there before are unchanged.
        """
        write_files(Path(folder), self.files())
        return Path(folder)

    def files(self, packed: Callable[[bytes], bytes] = deflated) -> dict[str, bytes]:
        """Return what `save` writes, by name, in the order in which to write it; `packed` makes a gzip file.

        Raises:
            StorageError: a text, a number or the nesting of a value is beyond what is read again.
        """
        arrays = pack_arrays(self._arrays())
        document = as_lines(sign(self._readable(self._document(arrays))))
        # result.json holds the digest of the arrays, so it is written last.
        return {ARRAYS_FILE: packed(arrays), RESULT_FILE: f"{document}\n".encode()}

    @classmethod
    def load(cls, folder: Path | str) -> Result:
        """Read what `save` wrote.

        Raises:
            StorageError: it is missing, truncated, of another schema or edited by hand, or its two files do not belong
                together.
        """
        folder = Path(folder)
        document = read_document(folder)
        arrays = read_arrays(folder, document)
        with valid(folder):
            return from_document(document, arrays)

    def _readable(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return the document of this result if it will be read again."""
        try:
            return dict(read_as(Mapping[str, Any], document))
        except WrongValue as error:
            raise StorageError(
                f"the result of {self.case.key} cannot be kept: {error}. Return less of it from the task, or give the "
                "class or the file a shorter name."
            ) from error

    def _arrays(self) -> dict[str, Any]:
        stored = {
            f"{name}.{part}": array for name, each in self.fields.items() for part, array in each.arrays().items()
        }
        sketches = {
            _sketch_name(place): each.sketch
            for place, each in enumerate(self.stages.values())
            if each.sketch is not None
        }
        return {**stored, **sketches}

    def _document(self, arrays: bytes) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "case": dataclasses.asdict(self.case),
            # Fields are a list, because their order matters, and sorted keys would lose it.
            "fields": [{"name": n, "kind": f.kind, **f.meta()} for n, f in self.fields.items()],
            "stages": [{**name.document, **_stored(each)} for name, each in self.stages.items()],
            "provenance": dataclasses.asdict(self.provenance),
            # The digest is of the unpacked arrays, because another zlib packs the same arrays into other bytes.
            "arrays_sha256": hashlib.sha256(arrays).hexdigest(),
        }


@contextlib.contextmanager
def valid(folder: Path) -> Iterator[None]:
    """Turn any error while a signed document is read into StorageError."""
    try:
        yield
    except StorageError:
        raise
    except WrongValue as error:
        raise wrong_types(folder / RESULT_FILE, error) from error
    except Exception as error:  # a document that was signed by hand may contain anything
        told = str(error).rstrip(".") if isinstance(error, UsageError) else error_line(error)
        raise StorageError(
            f"{folder / RESULT_FILE} holds no valid result ({told}). Run again and accept a new result."
        ) from error


def wrong_types(path: Path, error: WrongValue) -> StorageError:
    """Return the error for a document of which a value has the wrong type."""
    return StorageError(
        f"{path} holds no valid result: {error}. Restore it from version control, or run again and accept a new result."
    )


def stored_digest(folder: Path) -> str:
    """Return the digest in `result.json` of a saved result, without reading its arrays.

    Raises:
        StorageError: it is missing, truncated, of another schema, or edited by hand.
    """
    return str(read_document(folder)["digest"])


def from_document(document: Mapping[str, Any], arrays: Mapping[str, Any]) -> Result:
    """Rebuild a result from its document and its arrays."""
    fields, stages = restore_parts(document, arrays, stage_positions(document))
    return Result(case_of(document), fields, stages, provenance_of(document))


def case_of(document: Mapping[str, Any]) -> Case:
    """Return the case that a document is about. Raises WrongValue if its types are wrong."""
    found: Case = entry(document, "case", Case)
    return found


def provenance_of(document: Mapping[str, Any]) -> Provenance:
    """Return how the result of a document was computed. Raises WrongValue if its types are wrong."""
    found: Provenance = entry(document, "provenance", Provenance)
    below("provenance", lambda parameters: below("parameters", check_parameters, parameters), found.parameters)
    return found


def restore_field(meta: Mapping[str, Any], arrays: Mapping[str, Any]) -> Field:
    """Rebuild one field from its entry in the document and its arrays by part.

    Raises:
        WrongValue: a value has another type than the kind of field says, or the kind refuses what it reads.
    """
    kind, place = KINDS[meta["kind"]], f"field {meta['name']}"
    try:
        return kind.restore(meta, arrays)
    except StorageError:
        raise
    except WrongValue as error:
        raise error.below(place) from None
    except Exception as error:  # a kind may be code of a user
        raise WrongValue(f"cannot be read ({error_line(error)})", f".{place}") from error


def restore_parts(
    document: Mapping[str, Any], arrays: Mapping[str, Any], positions: Mapping[Stage, int]
) -> tuple[dict[str, Field], dict[Stage, Fingerprint]]:
    """Rebuild fields by name, and stages, in order, from document and arrays; `positions` are those of the stages."""
    parts = by_field(arrays)
    return (
        {each["name"]: restore_field(each, parts[each["name"]]) for each in document["fields"]},
        {stage: restore_stage(document, place, arrays) for stage, place in positions.items()},
    )


def by_field(arrays: Mapping[str, Any]) -> Mapping[str, dict[str, Any]]:
    """Group the arrays of a result by field and part. A field without arrays gives an empty dict."""
    parts: dict[str, dict[str, Any]] = collections.defaultdict(dict)
    for name, array in arrays.items():
        field_name, _, part = name.rpartition(".")
        parts[field_name][part] = array
    return parts


def stage_positions(document: Mapping[str, Any]) -> dict[Stage, int]:
    """Return the stages of a document with their positions in it, in order."""
    return {Stage.restored(each): place for place, each in enumerate(document["stages"])}


def restore_stage(document: Mapping[str, Any], place: int, arrays: Mapping[str, Any]) -> Fingerprint:
    """Rebuild the fingerprint of the stage at a position in the document; `arrays` are those of the result."""
    stage = document["stages"][place]
    sketch = arrays.get(_sketch_name(place))
    if sketch is not None:
        require_kind(sketch, "f", _sketch_name(place))
    meaning, amplification = stage.get("meaning", ""), float(stage.get("amplification", 1.0))
    return Fingerprint(stage["digest"], tuple(stage["shape"]), sketch, meaning, amplification, stage.get("bits", 0))


def _stored(stage: Fingerprint) -> dict[str, Any]:
    """Return what is stored of a stage besides its sketch; the last three only where there are any."""
    meaning = {"meaning": stage.meaning} if stage.meaning else {}
    amplified = {"amplification": stage.amplification} if stage.amplification > 1.0 else {}
    rounded = {"bits": stage.bits} if stage.bits else {}
    return {"digest": stage.digest, "shape": list(stage.shape), **meaning, **amplified, **rounded}


def _sketch_name(place: int) -> str:
    return f"{_STAGE}.{place}"


@dataclass(frozen=True)
class StoredDocument:
    """A signed document: its content, and the canonical text of all of it but its digest."""

    content: dict[str, Any]
    text: bytes


def read_document(folder: Path) -> dict[str, Any]:
    """Read the content of `result.json` of `folder`. Raises StorageError unless it is signed and of this schema."""
    return read_stored(folder).content


def read_stored(folder: Path) -> StoredDocument:
    """Read `result.json` of `folder`. Raises StorageError unless it is signed and of this schema."""
    path = folder / RESULT_FILE
    try:
        document = parse_json(read_json_text(path))
        # A number such as 1e999 is read as infinity, for which this raises ValueError.
        signed = canonical_content(document) if isinstance(document, dict) else b""
    except OSError as error:
        raise _unreadable(path, error) from error
    except (ValueError, RecursionError) as error:
        raise StorageError(
            f"{path} is truncated or not JSON ({error}). Restore it from version control, or accept a new result."
        ) from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        found = document.get("schema") if isinstance(document, dict) else None
        raise StorageError(
            f"{path} has schema {spelled(found)}, but this version of xai_eval reads schema {SCHEMA}. "
            "Run with the version that wrote it, or accept a new result."
        )
    _require_types(path, document)
    if document.get("digest") != hashlib.sha256(signed).hexdigest():
        raise StorageError(
            f"{path} was edited by hand: its content does not match its digest. "
            "Restore it from version control, or accept a new result with `xai-eval accept`."
        )
    return StoredDocument(document, signed)


def _require_types(path: Path, document: Mapping[str, Any]) -> None:
    try:
        check_types(document)
    except WrongValue as error:
        raise wrong_types(path, error) from error
    except ValueError as error:
        raise StorageError(
            f"{path} holds no valid result ({error}). Restore it from version control, or accept a new result."
        ) from error


def read_arrays(folder: Path, document: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Read `arrays.safetensors.gz` of `folder`.

    Raises:
        StorageError: it is missing, damaged or too large, or `document` has another digest for it.
    """
    path = folder / ARRAYS_FILE
    try:
        packed = read_bytes(path, MAX_UNPACKED_BYTES)
    except OSError as error:
        former = folder / FORMER_ARRAYS_FILE
        if isinstance(error, FileNotFoundError) and former.is_file():
            raise StorageError(
                f"{former} keeps arrays in a format that this version no longer reads; expected {ARRAYS_FILE}. "
                f"Delete {FORMER_ARRAYS_FILE}, run again and accept a new result."
            ) from error
        raise _unreadable(path, error) from error
    except ValueError as error:
        raise StorageError(f"{path} is damaged or too large: {error}. Restore it, or accept a new result.") from error
    if is_pointer(packed):
        raise StorageError(pointer_sentence(path))
    arrays = inflated(packed, str(path))
    digest = document.get("arrays_sha256")
    if hashlib.sha256(arrays).hexdigest() != digest:
        left = find_left_arrays(path, digest)
        if left is not None:
            return unpack_arrays(left.content, str(left.path))
        raise StorageError(
            f"{path} does not belong to {RESULT_FILE} beside it: one of them was replaced. "
            "Restore both from version control, or accept a new result."
        )
    return unpack_arrays(arrays, str(path))


def _unreadable(path: Path, error: OSError) -> StorageError:
    found = refusal(error, "restore it from version control, or run again and accept a new result")
    return StorageError(f"{path} cannot be read ({found.reason}). {found.sentence}")


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
