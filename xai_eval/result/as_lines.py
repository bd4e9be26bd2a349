"""Writes a document as JSON that people can read and compare line by line. Pure."""

import json
import re
from collections.abc import Mapping
from typing import Any

# Longer lists stand one number below the other, so that a comparison shows which of them changed.
_SHORT = 8
_NUMBER = r"(?:-?\d[\d.e+-]*|null|true|false)"
# A text in JSON has no line break, so none is taken for a list.
_SHORT_LIST = re.compile(rf"\[\n\s+({_NUMBER}(?:,\n\s+{_NUMBER}){{0,{_SHORT - 1}}})\n\s*\]")


def as_lines(document: Mapping[str, Any]) -> str:
    """Return `document` as JSON with sorted keys, a line for each entry; short lists of numbers stand in one line."""
    text = json.dumps(document, indent=1, sort_keys=True)
    return _SHORT_LIST.sub(lambda found: f"[{' '.join(found[1].split())}]", text)
