"""What the bundled tasks record in another form than it was given in, turned back into arguments."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from xai_eval.errors import UsageError


def setting_arguments(name: str, value: Any, accepted: Collection[str]) -> Mapping[str, Any]:
    """Turn a setting with parameters of its own, recorded as one entry `{"name": ..., ...}`, back into arguments.

    The task takes its name, and the rest under names of their own or together as `<entry>_parameters`.
    """
    if not isinstance(value, Mapping) or "name" not in value:
        return {name: value}
    rest = {key: each for key, each in value.items() if key != "name"}
    return {name: value["name"], **(rest if set(rest) <= set(accepted) else {f"{name}_parameters": rest})}


def dissection_arguments(name: str, value: Any, accepted: Collection[str]) -> Mapping[str, Any]:
    """Take the layers of one model, which are recorded for each, and settings as above.

    Raises:
        UsageError: of CLIP the model is recorded, but of its words only what they were called.
    """
    if name == "clip":
        raise UsageError(f"the recorded {name} cannot be turned back into an argument")
    return {name: value[0]} if name == "layers" else setting_arguments(name, value, accepted)
