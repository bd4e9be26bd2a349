"""Look up the class that the name of an ImageNet file stands for."""

from __future__ import annotations

import re

from xai_eval.inputs.images.imagenet_classes import classes_by_wnid
from xai_eval.inputs.images.labelled import Intended

_WNID_FILE = re.compile(r"(n\d{8})_(.+)")


def intended_by_name(stem: str) -> tuple[Intended | None, tuple[str, ...]]:
    """Look up the class that a file name such as `n02007558_flamingo` stands for.

    The WordNet id decides; it is looked up among the classes of ImageNet-1k. A name without such an id says nothing
    about the class. The rest of the name may be a number, as in ImageNet's own files.

    Args:
        stem: name of the file without its suffix.

    Returns:
        The class, or None if the name has no id or an unknown one; and notes on what does not fit.
    """
    matched = _WNID_FILE.fullmatch(stem)
    if matched is None:
        return None, ()
    wnid, name = matched.groups()
    entry = classes_by_wnid().get(wnid)
    if entry is None:
        return None, (f"{wnid} in the file name is no class of ImageNet-1k; intended class unknown",)
    notes: tuple[str, ...] = ()
    if not name.isdigit() and _letters(name) != _letters(entry.name):
        notes = (f"the file name says {name!r}, but {wnid} is {entry.name!r}",)
    return Intended(entry.name, wnid), notes


def _letters(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())
