"""`Result`: what one evaluation of one case found, and the wall between measuring and judging.

Everything that measures (torch allowed) ends in a Result; everything that judges, compares or draws starts from one
and needs numpy and pandas only.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from numpy.typing import NDArray

from xai_eval.disk.arrays import deflated, inflated, pack_arrays, unpack_arrays
from xai_eval.disk.files import read_json, write_files
from xai_eval.disk.signed import canonical, sign
from xai_eval.errors import StorageError, UsageError, unknown_name
from xai_eval.result.fields import KINDS, Field
from xai_eval.result.fingerprint import Fingerprint
from xai_eval.result.stage import Stage, check_stages

_Kind = TypeVar("_Kind", bound=Field)
SCHEMA = 2
RESULT_FILE = "result.json"
ARRAYS_FILE = "arrays.safetensors.gz"
FORMER_ARRAYS_FILE = "arrays.npz"
_SLUG_LENGTH = 60
_STAGE = "stage"  # stands where the name of a field does, in the names of arrays


@dataclass(frozen=True)
class Case:
    """The question that was asked: which task, of which model, about which input, with which parameters.

    Attributes:
        task: name of the evaluation function.
        model: model spec, without any path of a machine.
        input: `<set>/<name>` of the image or probe set.
        params: JSON values; whatever changes the question.
    """

    task: str
    model: str
    input: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # What the disk makes of them, so that a tuple here and a list there are the same parameter.
        object.__setattr__(self, "params", json.loads(canonical(dict(self.params))))

    @functools.cached_property
    def identity(self) -> str:
        """The whole case as canonical JSON."""
        return canonical({"task": self.task, "model": self.model, "input": self.input, "params": self.params})

    @property
    def input_set(self) -> str:
        """The set that the input belongs to."""
        return self.input.split("/", 1)[0]

    @functools.cached_property
    def id(self) -> str:
        """Folder name: a readable slug and ten digits of the identity's sha256, so that `a-b` and `a.b` stay apart."""
        digest = hashlib.sha256(self.identity.encode()).hexdigest()[:10]
        return f"{_slug(self.input)[:_SLUG_LENGTH].strip('-')}-{digest}"

    @functools.cached_property
    def key(self) -> str:
        """`<task>/<id>`: the name by which people accept and find the case."""
        return f"{self.task}/{self.id}"


def is_case_id(name: str) -> bool:
    """Tell whether a folder is called as that of a case: its name ends in ten digits of a hash."""
    return re.fullmatch(r".*-[0-9a-f]{10}", name) is not None


@dataclass(frozen=True)
class Provenance:
    """How the answer was computed: everything that may explain why it changed.

    Attributes:
        digests: sha256 of the weights and of the input's bytes, by name.
        parameters: all parameters, with preprocessing; those in the case and those that only may matter.
        versions: library name -> version.
        device: as torch names it.
        precision: flags that change arithmetic.
        seed: seed of whatever draws random numbers.
    """

    digests: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    device: str = "cpu"
    precision: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", json.loads(canonical(dict(self.parameters))))


@dataclass(frozen=True)
class Result:
    """What one case gave.

    Attributes:
        case: the question.
        fields: the answers by name.
        stages: fingerprints along the chain from image to map, in order.
        provenance: how it was computed.

    Raises:
        UsageError: a stage is named by a plain text, or a field is named `stage`.
    """

    case: Case
    fields: Mapping[str, Field]
    stages: Mapping[Stage, Fingerprint] = field(default_factory=dict)
    provenance: Provenance = field(default_factory=Provenance)

    def __post_init__(self) -> None:
        check_stages(self.case.key, self.stages)
        if _STAGE in self.fields:
            raise UsageError(
                f"{self.case.key}: a field is named {_STAGE!r}, as the arrays of stages are in storage. Rename it."
            )

    def __getitem__(self, name: str) -> Any:
        """Return the field `name`; a name that is not there raises UsageError with the nearest names."""
        if name not in self.fields:
            raise unknown_name(f"field of {self.case.key}", name, self.fields)
        return self.fields[name]

    @property
    def digest(self) -> str:
        """sha256 over everything in the result."""
        return str(sign(self._document(pack_arrays(self._arrays())))["digest"])

    def condensed(self) -> Result:
        """Return what a golden keeps: no images, maps on a coarse grid."""
        kept = {name: each.condensed() for name, each in self.fields.items()}
        fields = {name: each for name, each in kept.items() if each is not None}
        return Result(self.case, fields, self.stages, self.provenance)

    def of_kind(self, kind: type[_Kind]) -> dict[str, _Kind]:
        """Return the fields of one kind by name."""
        return {name: each for name, each in self.fields.items() if isinstance(each, kind)}

    def in_memory(self) -> Result:
        """Return the result with every part read; one whose arrays stay on disk shows only here that it is damaged.

        Raises:
            StorageError: the arrays are missing or damaged, or a part is not what its kind stores.
        """
        return self

    def save(self, folder: Path | str) -> Path:
        """Write `result.json` and `arrays.safetensors.gz` into `folder`; equal results give equal bytes.

        Raises:
            StorageError: the folder cannot be written; what was there before is untouched.
        """
        write_files(Path(folder), self.files())
        return Path(folder)

    def files(self) -> dict[str, bytes]:
        """Return what `save` writes, by name, in the order in which to write it."""
        arrays = pack_arrays(self._arrays())
        document = json.dumps(sign(self._document(arrays)), indent=1, sort_keys=True)
        # result.json vouches for the arrays, so it comes last.
        return {ARRAYS_FILE: deflated(arrays), RESULT_FILE: f"{document}\n".encode()}

    @classmethod
    def load(cls, folder: Path | str) -> Result:
        """Read what `save` wrote.

        Raises:
            StorageError: missing, truncated, of another schema, edited by hand, or its two files do not belong
                together.
        """
        folder = Path(folder)
        document = read_document(folder)
        arrays = read_arrays(folder, document)
        with valid(folder):
            return from_document(document, arrays)

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
            # A list, because the order of fields and stages means something and sorted keys would lose it.
            "fields": [{"name": n, "kind": f.kind, **f.meta()} for n, f in self.fields.items()],
            "stages": [{**n.document, "digest": s.digest, "shape": list(s.shape)} for n, s in self.stages.items()],
            "provenance": dataclasses.asdict(self.provenance),
            # Of what the file unpacks to: another zlib packs the same arrays into other bytes.
            "arrays_sha256": hashlib.sha256(arrays).hexdigest(),
        }


@contextlib.contextmanager
def valid(folder: Path) -> Iterator[None]:
    """Turn whatever goes wrong while a signed document is made use of into StorageError."""
    try:
        yield
    except StorageError:
        raise
    except Exception as error:  # whoever signs a document by hand can put anything where anything is expected
        raise StorageError(f"{folder / RESULT_FILE} holds no valid result ({error!r}).") from error


def stored_digest(folder: Path) -> str:
    """Return the digest that a saved result carries, without reading the rest.

    Raises:
        StorageError: missing, truncated, of another schema, or edited by hand.
    """
    return str(read_document(folder)["digest"])


def from_document(document: Mapping[str, Any], arrays: Mapping[str, Any]) -> Result:
    """Rebuild a result from its document and its arrays."""
    fields, stages = restore_parts(document, arrays)
    return Result(Case(**document["case"]), fields, stages, Provenance(**document["provenance"]))


def restore_parts(
    document: Mapping[str, Any], arrays: Mapping[str, Any]
) -> tuple[dict[str, Field], dict[Stage, Fingerprint]]:
    """Rebuild fields by name and stages, in order, from what the document says of them and from the arrays."""
    parts = by_field(arrays)
    return (
        {each["name"]: KINDS[each["kind"]].restore(each, parts[each["name"]]) for each in document["fields"]},
        {stage: restore_stage(document, place, arrays) for stage, place in stage_places(document).items()},
    )


def by_field(arrays: Mapping[str, Any]) -> Mapping[str, dict[str, Any]]:
    """Sort the arrays of a result by field and part; a field without arrays has no parts."""
    parts: dict[str, dict[str, Any]] = collections.defaultdict(dict)
    for name, array in arrays.items():
        field_name, _, part = name.rpartition(".")
        parts[field_name][part] = array
    return parts


def stage_places(document: Mapping[str, Any]) -> dict[Stage, int]:
    """Return the stages of a document with their places in it, in order."""
    return {Stage.restored(each): place for place, each in enumerate(document["stages"])}


def restore_stage(document: Mapping[str, Any], place: int, arrays: Mapping[str, Any]) -> Fingerprint:
    """Rebuild the fingerprint at a place among the stages of a document; `arrays` are those of the result."""
    stage = document["stages"][place]
    return Fingerprint(stage["digest"], tuple(stage["shape"]), arrays.get(_sketch_name(place)))


def _sketch_name(place: int) -> str:
    return f"{_STAGE}.{place}"


def read_document(folder: Path) -> dict[str, Any]:
    """Read `result.json` of `folder`. Raises StorageError unless it is signed and of this schema."""
    path = folder / RESULT_FILE
    try:
        document = read_json(path)
        # A number such as 1e999 is read as infinity, which cannot be signed.
        signed = sign(document) if isinstance(document, dict) else None
    except OSError as error:
        raise _unreadable(path, error) from error
    except (ValueError, RecursionError) as error:
        raise StorageError(
            f"{path} is truncated or no JSON ({error}). Restore it from version control, or accept a new result."
        ) from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        found = document.get("schema") if isinstance(document, dict) else None
        raise StorageError(
            f"{path} has schema {found!r}, this version of xai_eval reads schema {SCHEMA}. "
            "Run with the version that wrote it, or accept a new result."
        )
    if document != signed:
        raise StorageError(
            f"{path} was edited by hand: its content does not match its digest. "
            "Restore it from version control, or accept a new result with `xai-eval accept`."
        )
    return document


def read_arrays(folder: Path, document: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Read `arrays.safetensors.gz` of `folder`.

    Raises:
        StorageError: missing, damaged, too large, or not what `document` vouches for.
    """
    path = folder / ARRAYS_FILE
    try:
        packed = path.read_bytes()
    except OSError as error:
        former = folder / FORMER_ARRAYS_FILE
        if isinstance(error, FileNotFoundError) and former.is_file():
            raise StorageError(
                f"{former} keeps arrays in a format that this version no longer reads; it expects {ARRAYS_FILE}. "
                f"Delete {FORMER_ARRAYS_FILE}, run again and accept a new result."
            ) from error
        raise _unreadable(path, error) from error
    arrays = inflated(packed, str(path))
    if hashlib.sha256(arrays).hexdigest() != document.get("arrays_sha256"):
        raise StorageError(
            f"{path} does not belong to {RESULT_FILE} beside it: one of them was replaced. "
            "Restore both from version control, or accept a new result."
        )
    return unpack_arrays(arrays, str(path))


def _unreadable(path: Path, error: OSError) -> StorageError:
    return StorageError(
        f"{path} cannot be read ({error.strerror or error}). "
        "Restore it from version control, or run again and accept a new result."
    )


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
