"""A file of the user counts as it is now, not as it was when Python compiled it."""

import os
import sys
from importlib.util import cache_from_source, module_from_spec
from pathlib import Path

import pytest

from xai_eval.inputs.source_file import spec_of_source


def value(path: Path) -> object:
    spec = spec_of_source("_own", path)
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.VALUE


def test_a_change_within_a_second_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    path = tmp_path / "nets.py"
    for number in (1, 2):
        path.write_text(f"VALUE = {number}")
        os.utime(path, (1_000_000_000, 1_000_000_000))
        assert value(path) == number
    assert not Path(cache_from_source(str(path))).exists()


def test_what_is_no_python_has_no_spec(tmp_path: Path) -> None:
    assert spec_of_source("_own", tmp_path / "notes.txt") is None
