"""Tests of a user that check values which they computed themselves, for tests of the plugin."""

from plugin_suite import TESTS

HEADER = f"""
import os, sys
sys.path.insert(0, {TESTS!r})
import numpy as np
import pytest
from synthetic import blob

SPOT = 1e-3 * blob(56, 56, size=64, width=6) if os.environ.get("MOVED") else 1e-3 * blob(8, 8, size=64, width=6)
"""

# A hot spot of 1e-3, which moves to the opposite corner where MOVED is set.
ONE = HEADER + 'def test_map(xai_golden): xai_golden.check(SPOT, name="saliency")\n'

PARAMETRISED = HEADER + (
    '@pytest.mark.parametrize("image", ["cat.jpg", "dog.jpg", "a/b c.jpg"])\n'
    'def test_map(image, xai_golden): xai_golden.check(SPOT, name="saliency")\n'
)


def only_tests(repo, text, name="test_own"):
    """Make the only test file of the repository."""
    for file in repo.path.glob("test_*.py"):
        file.unlink()
    return repo.makepyfile(**{name: text})
