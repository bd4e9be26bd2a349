"""The page on transformers: its commands run, and its code computes what it says."""

import json
import re
import shlex
from pathlib import Path

import pytest

from xai_eval.cli.main import main

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "transformers.md"


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    return [shlex.split(line)[1:] for block in blocks("console") for line in block.splitlines()]


def test_the_commands_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, command in enumerate(commands()):
        place = tmp_path / str(number)
        place.mkdir()
        monkeypatch.chdir(place)
        assert main([*command, "--images", "scenes:1", "--quiet"]) == 0, command
        (saved,) = Path("reports").rglob("result.json")
        assert json.loads(saved.read_text())["case"]["task"] == "cams"
        assert json.loads(saved.read_text())["case"]["params"]["layer"] == "encoder.layers.encoder_layer_2.ln_1"


def test_the_code_of_the_page_is_the_documented_way_of_the_library() -> None:
    names: dict[str, object] = {}
    exec(blocks("python")[0], names)
    assert names["maps"].shape == (1, 96, 96)  # type: ignore[attr-defined]
    assert 0 <= names["maps"].min() < names["maps"].max() <= 1  # type: ignore[attr-defined]
