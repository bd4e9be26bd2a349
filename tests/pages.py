"""What a page of the documents asks its reader to type: files, and commands of xai-eval."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"
_FILE = re.compile(r"^Save this as `([^`]+)`.*?^```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def files(page: str) -> dict[str, str]:
    """Return the files that a page has its reader save, by name."""
    return dict(_FILE.findall((DOCS / page).read_text(encoding="utf-8")))


def commands(page: str) -> list[list[str]]:
    """Return the words of each line of a page's console blocks, in their order."""
    blocks = _CONSOLE.findall((DOCS / page).read_text(encoding="utf-8"))
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def of_xai_eval(page: str) -> list[list[str]]:
    """Return the words behind `xai-eval` of each such line."""
    return [words[1:] for words in commands(page) if words[0] == "xai-eval"]
