"""Converts parameters that bundled tasks record in another form than they were given in back to arguments."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from xai_eval.errors import UsageError


def setting_arguments(name: str, value: Any, accepted: Collection[str]) -> Mapping[str, Any]:
    """Return the arguments that gave a recorded parameter.

    An option with parameters of its own is recorded as one entry, `{"name": ..., ...}`. The task takes the name as one
    argument, and the rest either as separate arguments or together as `<entry>_parameters`.
    """
    if not isinstance(value, Mapping) or "name" not in value:
        return {name: value}
    rest = {key: each for key, each in value.items() if key != "name"}
    return {name: value["name"], **(rest if set(rest) <= set(accepted) else {f"{name}_parameters": rest})}


def dissection_arguments(name: str, value: Any, accepted: Collection[str]) -> Mapping[str, Any]:
    """Return the arguments that gave a recorded parameter; layers are recorded as one list per model.

    Raises:
        UsageError: the parameter is `clip`. The golden records the model, but only the name of the word list and not
            where it came from.
    """
    if name == "clip":
        raise UsageError(f"the recorded {name} cannot be turned back into an argument")
    return {name: value[0]} if name == "layers" else setting_arguments(name, value, accepted)
