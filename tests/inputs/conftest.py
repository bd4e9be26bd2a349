from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from xai_eval.inputs import data


@dataclass
class Site:
    """A web server on this machine. `files` maps paths to bytes; `cut` lists paths whose transfer breaks off."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cut: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    served = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked.append(self.path)
            body = served.files.get(self.path)
            if body is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if self.path in served.cut else body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def empty_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with nothing in it."""
    root = tmp_path / "data-root"
    monkeypatch.setenv("XAI_EVAL_DATA", str(root))
    return root


@pytest.fixture
def real_data() -> Path:
    """The folder with real inputs, for tests marked `real`."""
    if "XAI_EVAL_DATA" not in os.environ:
        pytest.skip("XAI_EVAL_DATA names no folder with real inputs")
    return Path(os.environ["XAI_EVAL_DATA"])


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
