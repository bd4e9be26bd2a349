"""What the tests of the gate share: benches of each process, so that what all goes well gives is computed once."""

from __future__ import annotations

import functools

import pytest
from fault import RESNET
from gate import Bench, write_images


@pytest.fixture(scope="session")
def benches(tmp_path_factory):
    """The bench of a model, by its spec."""
    folder = write_images(tmp_path_factory.mktemp("made"))
    return functools.cache(lambda model: Bench(model, folder))


@pytest.fixture(scope="session")
def bench(benches):
    return benches(RESNET)
