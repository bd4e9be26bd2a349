"""The copy of a page that a server shows: with a script of the server, and with the server's rules on what may run."""

from __future__ import annotations

from collections.abc import Container, Mapping
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

    def about(self, keys: Container[str]) -> Served:
        """Return what a page of the report with these cases needs of it."""
        cases = [case for case in self.document["cases"] if case["key"] in keys]
        return Served(self.nonce, {**self.document, "cases": cases})
