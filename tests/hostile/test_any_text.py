"""Any text of dangerous characters and tokens, in every place of a run, through every output of every command."""

import tempfile
from pathlib import Path

import pytest
from hostile.hostile_run import make
from hostile.hostile_text import texts
from hostile.text_attacks import faults_of, first, without_figures
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.slow
@settings(max_examples=15)
@given(st.lists(texts(), min_size=3, max_size=3))
def test_any_texts_everywhere(chosen):
    with tempfile.TemporaryDirectory() as folder, without_figures():
        assert first(faults_of(make(Path(folder), chosen, cases=1))) is None
