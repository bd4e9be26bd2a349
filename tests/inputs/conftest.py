from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from local_site import Site, serving

from xai_eval.inputs import downloads as data


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serving() as running:
        yield running


@pytest.fixture
def empty_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with nothing in it."""
    root = tmp_path / "data-root"
    monkeypatch.setenv("XAI_EVAL_DATA", str(root))
    return root


@pytest.fixture
def edit_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Work with a copy of the fixtures folder whose manifest is changed; returns the copy."""

    def edit(**sections: dict[str, Any]) -> Path:
        copy = tmp_path / "fixtures"
        shutil.copytree(data.fixtures_folder(), copy)
        path = copy / "manifest.json"
        content = json.loads(path.read_text())
        path.write_text(json.dumps({**content, **sections}))
        monkeypatch.setattr(data, "fixtures_folder", lambda: copy)
        return copy

    return edit
