"""`xai-eval bench` from the first row to the report, with the least work that each row can do."""

import json
from contextlib import nullcontext

import pytest

from xai_eval.bench import contest, size
from xai_eval.bench.size import Size
from xai_eval.cli.main import main

TINY = Size("tiny", 0.1, 32, ("resnet18",), (1, 64), 20, 1, 1, 33, (110, 5, 12), 3)


@pytest.mark.slow  # it imports all that is measured
def test_an_unknown_row_is_refused_with_the_known_ones(capsys):
    assert main(["bench", "--quick", "nothing"]) == 2
    assert "no row of the benchmark has 'nothing' in its name. Rows: gradcam resnet18;" in capsys.readouterr().err


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(size, "QUICK", TINY)
    monkeypatch.setattr(contest, "_cut_off_at", lambda _end: nullcontext())  # every answer is compared


def measured(path, *rows):
    assert main(["bench", "--quick", *rows, "--device", "cpu", "--out", str(path)]) == 0
    found = json.loads(path.read_text())
    assert found["failed"] == {}
    assert {name: row["difference"] for name, row in found["rows"].items() if row["difference"] is None} == {}
    return found


@pytest.mark.slow
def test_rows_are_measured_and_compared_with_an_earlier_report(tiny, tmp_path, capsys):
    found = measured(tmp_path / "bench.json", "cos")
    assert len(found["rows"]) > 1
    shown = capsys.readouterr().out
    assert all(name in shown for name in found["rows"])
    name = next(iter(found["rows"]))
    found["rows"][name]["turns"] = [{"stock": 1e6, "ours": 1.0, "limit": None}]
    (tmp_path / "bench.json").write_text(json.dumps(found))
    compared = ["--out", str(tmp_path / "again.json"), "--compare", str(tmp_path / "bench.json")]
    assert main(["bench", "--quick", name, "--device", "cpu", *compared]) == 1
    assert f"slower: {name}" in capsys.readouterr().out


@pytest.mark.thorough
def test_every_row_is_measured_and_equal(tiny, tmp_path):
    assert len(measured(tmp_path / "bench.json")["rows"]) == 23
