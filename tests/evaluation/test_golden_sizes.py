"""Goldens are kept in the repository for ever, so that they must stay small: 50 KB a case.

Of what would be accepted today, `test_tf32_bundled.py` asks the same.
"""

from pathlib import Path

import pytest

LIMIT = 50_000
GOLDENS = sorted(path.parent for path in (Path(__file__).parents[2] / "golden").rglob("result.json"))


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.name != "accepted.json")


@pytest.mark.parametrize("folder", GOLDENS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_no_golden_is_large(folder):
    assert size(folder) <= LIMIT
