"""The copy of a page that a server shows: with a script of the server, and with the server's rules on what may run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Served:
    """What a served copy holds beside the page.

    Attributes:
        nonce: the word by which the browser knows the scripts of the page; any other script does not run.
        document: what the script of the server has to know, as JSON values.
    """

    nonce: str
    document: Mapping[str, Any]
