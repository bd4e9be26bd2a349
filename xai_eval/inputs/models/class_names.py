"""Read the names that a user gives to the classes of a model: in any container, and with any characters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xai_eval.errors import UsageError


def named_classes(given: object, outputs: int, where: str = "class_names") -> tuple[str, ...]:
    """Return one name per output, as it can be shown anywhere.

    Args:
        given: names as `listed_names` takes them.
        outputs: number of outputs of the model.
        where: what is read, for the error.

    Raises:
        UsageError: they are no such names, or not as many as there are outputs.
    """
    names = listed_names(given, where)
    if len(names) != outputs:
        raise UsageError(
            f"{where} is a {type(given).__name__} with {len(names)} names; "
            f"expected a list or tuple of {outputs}, one per output. Correct it."
        )
    return names


def listed_names(given: object, where: str = "class_names") -> tuple[str, ...]:
    """Return the names of classes in order, as they can be shown anywhere.

    Characters that cannot be shown (control characters, overrides of the writing direction, halves of surrogate pairs)
    are written as escapes such as `\\x1b`. A class without a name is called by its number.

    Args:
        given: a list, a tuple, a NumPy array or a pandas series of names; or a mapping from 0, 1, 2, ... (numbers, or
            text such as "0") to names, as `id2label` of Hugging Face.
        where: what is read, for the error.

    Raises:
        UsageError: it is something else, such as one text, or a set, which has no order.
    """
    return tuple(readable_name(name, index) for index, name in enumerate(_in_order(given, where)))


def both_classes(name: str) -> tuple[str, str]:
    """Return the names of both classes of a single logit, of which one is named."""
    return f"not {name}", name


def readable_name(name: object, index: int) -> str:
    """Return the name of the class `index` as it can be shown anywhere."""
    text = "" if name is None else str(name)
    return "".join(map(_shown, text)) if text.strip() else f"class {index}"


def _shown(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def _in_order(given: object, where: str) -> Sequence[Any]:
    listed = given.tolist() if hasattr(given, "tolist") else given  # NumPy arrays, pandas series and tensors have it
    if isinstance(listed, Mapping):
        return _by_index(listed, where)
    if isinstance(listed, list | tuple) and not any(isinstance(each, list | tuple | Mapping) for each in listed):
        return listed
    raise UsageError(
        f"{where} is {_told(given)}; expected a list or tuple of names, one per "
        "output, in the order of the outputs. Correct it."
    )


def _told(given: object) -> str:
    if isinstance(given, str):
        return f"the text {given!r}"
    kind = type(given).__name__
    return f"a {kind} of a {type(given[0]).__name__}" if isinstance(given, list | tuple) else f"a {kind}"


def _by_index(given: Mapping[Any, Any], where: str) -> Sequence[Any]:
    by_index = {str(key): name for key, name in given.items()}
    wanted = [str(index) for index in range(len(given))]
    if set(by_index) != set(wanted):
        foreign = next(iter(key for key in by_index if key not in wanted), "")
        raise UsageError(
            f"{where} is a mapping with the key {foreign!r}; expected the keys 0 to {len(given) - 1}, one per output, "
            "each with its name. Correct it."
        )
    return [by_index[key] for key in wanted]
