"""What a model spec may say about a model besides its name: `SPEC?output=multilabel&reshape=14x14`.

It stands in the spec, because a result is only computed again in the same way if the spec says all that changes it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import PurePath
from urllib.parse import parse_qsl, quote

from xai_eval.errors import UsageError, unknown_name
from xai_eval.inputs.models.reading import OutputKind, output_kind


@dataclass(frozen=True)
class ModelOptions:
    """What the user says about a model.

    Attributes:
        output: what the numbers of its output are; None to find out.
        reshape: number of rows and columns of the places of token layers; None to measure it.
        similar_to: spec of the images that the features of an encoder are compared with; None for other models.
        box: corners (x0, y0, x1, y1) of the box that a detector is asked about; None for the best of its class.
    """

    output: OutputKind | None = None
    reshape: tuple[int, int] | None = None
    similar_to: str | None = None
    box: tuple[float, float, float, float] | None = None


_NAMES = ("output", "reshape", "similar_to", "box")
_FORM = "SPEC?output=KIND&reshape=ROWSxCOLUMNS&similar_to=IMAGES&box=X0,Y0,X1,Y1"
# Characters of image specs that mean nothing in the options of a model spec.
_UNQUOTED = "/:,*?[]~\\ "


def with_options(spec: str, **options: str | None) -> str:
    """Return a spec with the options of the command line, None if not given, added to those that it has.

    Raises:
        UsageError: the spec gives an option already.
    """
    base, _, given = spec.partition("?")
    added = {
        name: quote(value, safe=_UNQUOTED, errors="backslashreplace")
        for name, value in options.items()
        if value is not None
    }
    for name in added:
        if name in dict(parse_qsl(given)):
            raise UsageError(f"model spec {spec!r} says {name} already; leave out --{name.replace('_', '-')}.")
    every = "&".join([given] * bool(given) + [f"{name}={value}" for name, value in added.items()])
    return f"{base}?{every}" if every else base


def read_options(text: str, spec: str) -> ModelOptions:
    """Read what follows the question mark of a spec.

    Raises:
        UsageError: an option is unknown, comes twice, or has a value that it cannot have.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text))
    except ValueError as error:
        raise UsageError(f"model spec {spec!r} is malformed ({error}); expected {_FORM}.") from error
    found = dict(pairs)
    if len(found) < len(pairs):
        raise UsageError(f"model spec {spec!r} gives an option twice. Give each once.")
    for name in found:
        if name not in _NAMES:
            raise unknown_name("option of a model spec", name, _NAMES, hint=f"It stands in {spec!r}.")
    output = output_kind(found["output"]) if "output" in found else None
    similar_to = found.get("similar_to")
    if similar_to is not None and output not in (None, OutputKind.EMBEDDING):
        raise UsageError(f"model spec {spec!r}: similar_to is for --output embedding, not for {output}. Leave one out.")
    kind = output if similar_to is None else OutputKind.EMBEDDING
    grid = _grid(found["reshape"]) if "reshape" in found else None
    return ModelOptions(kind, grid, similar_to, _box(found["box"]) if "box" in found else None)


def without_paths(text: str, images: str) -> str:
    """Return the options of a spec with the name alone of the file or folder that they compare features with."""
    pairs = {**dict(parse_qsl(text, keep_blank_values=True)), "similar_to": PurePath(images).name or images}
    return "&".join(f"{name}={quote(value, safe=_UNQUOTED)}" for name, value in pairs.items())


def _box(text: str) -> tuple[float, float, float, float]:
    try:
        x0, y0, x1, y1 = (float(each) for each in text.split(","))
    except ValueError:
        x0 = y0 = x1 = y1 = 0.0
    if not (math.isfinite(x0 + y0 + x1 + y1) and x0 < x1 and y0 < y1):
        raise UsageError(
            f"box is {text!r}; expected X0,Y0,X1,Y1, such as 10,20,90,80: its left, upper, right and lower side in "
            "pixels of the model's input."
        )
    return x0, y0, x1, y1


def _grid(text: str) -> tuple[int, int]:
    rows, _, columns = text.partition("x")
    if not (rows.isdecimal() and columns.isdecimal() and int(rows) * int(columns) > 1):
        raise UsageError(
            f"reshape is {text!r}; expected ROWSxCOLUMNS, such as 14x14: the places of a layer over the image."
        )
    return int(rows), int(columns)
