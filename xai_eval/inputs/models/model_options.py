"""What a model spec may say about a model besides its name: `SPEC?output=multilabel&reshape=14x14`.

It stands in the spec, because a result is only computed again in the same way if the spec says all that changes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl

from xai_eval.errors import UsageError, unknown_name
from xai_eval.inputs.models.reading import OutputKind, output_kind


@dataclass(frozen=True)
class ModelOptions:
    """What the user says about a model.

    Attributes:
        output: what the numbers of its output are; None to find out.
        reshape: number of rows and columns of the places of token layers; None to measure it.
    """

    output: OutputKind | None = None
    reshape: tuple[int, int] | None = None


_NAMES = ("output", "reshape")


def with_options(spec: str, output: str | None, reshape: str | None) -> str:
    """Return a spec with the options of the command line added to those that it has.

    Raises:
        UsageError: the spec gives an option already.
    """
    base, _, given = spec.partition("?")
    added = {name: value for name, value in (("output", output), ("reshape", reshape)) if value is not None}
    for name in added:
        if name in dict(parse_qsl(given)):
            raise UsageError(f"model spec {spec!r} says {name} already; leave out --{name}.")
    options = "&".join([given] * bool(given) + [f"{name}={value}" for name, value in added.items()])
    return f"{base}?{options}" if options else base


def read_options(text: str, spec: str) -> ModelOptions:
    """Read what follows the question mark of a spec.

    Raises:
        UsageError: an option is unknown, comes twice, or has a value that it cannot have.
    """
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text))
    except ValueError as error:
        raise UsageError(
            f"model spec {spec!r} is malformed ({error}); expected SPEC?output=KIND&reshape=ROWSxCOLUMNS."
        ) from error
    found = dict(pairs)
    if len(found) < len(pairs):
        raise UsageError(f"model spec {spec!r} gives an option twice. Give each once.")
    for name in found:
        if name not in _NAMES:
            raise unknown_name("option of a model spec", name, _NAMES, hint=f"It stands in {spec!r}.")
    output = output_kind(found["output"]) if "output" in found else None
    return ModelOptions(output, _grid(found["reshape"]) if "reshape" in found else None)


def _grid(text: str) -> tuple[int, int]:
    rows, _, columns = text.partition("x")
    if not (rows.isdecimal() and columns.isdecimal() and int(rows) * int(columns) > 1):
        raise UsageError(
            f"reshape is {text!r}; expected ROWSxCOLUMNS, such as 14x14: the places of a layer over the image."
        )
    return int(rows), int(columns)
