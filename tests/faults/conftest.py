"""What the tests of the gate share: one bench for each process, so that what all goes well gives is computed once."""

from __future__ import annotations

import pytest
from gate import Bench, write_images


@pytest.fixture(scope="session")
def bench(tmp_path_factory):
    return Bench("scenes:objects", write_images(tmp_path_factory.mktemp("made")))
