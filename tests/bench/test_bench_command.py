"""`xai-eval bench` from the first row to the report, with the least work that each row can do."""

import json
from contextlib import nullcontext

import pytest

from xai_eval.bench import contest, size
from xai_eval.bench.size import Size
from xai_eval.cli.main import main

TINY = Size("tiny", 0.1, 32, ("resnet18",), 20, 1, 1, 33, (110, 5, 12), 3)


@pytest.mark.slow  # it imports all that is measured
def test_an_unknown_row_is_refused_with_the_known_ones(capsys):
    assert main(["bench", "--quick", "nothing"]) == 2
    assert "no row of the benchmark has 'nothing' in its name. Rows: gradcam resnet18;" in capsys.readouterr().err


@pytest.mark.slow
def test_every_row_is_measured_and_equal(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(size, "QUICK", TINY)
    monkeypatch.setattr(contest, "_cut_off_at", lambda _end: nullcontext())  # every answer is compared
    report, again = str(tmp_path / "bench.json"), str(tmp_path / "again.json")
    assert main(["bench", "--quick", "--device", "cpu", "--out", report]) == 0, capsys.readouterr().out
    found = json.loads((tmp_path / "bench.json").read_text())
    assert found["failed"] == {}
    assert {name: row["difference"] for name, row in found["rows"].items() if row["difference"] is None} == {}
    assert len(found["rows"]) == 22
    shown = capsys.readouterr().out
    assert all(name in shown for name in found["rows"])
    # The same rows beside what they were: the answer is 0, or 1 with a sentence for each that became slower.
    found["rows"]["lime, 1 images"]["turns"] = [{"stock": 1e6, "ours": 1.0, "limit": None}]
    (tmp_path / "bench.json").write_text(json.dumps(found))
    assert main(["bench", "--quick", "lime, 1", "--device", "cpu", "--out", again, "--compare", report]) == 1
    assert "slower: lime, 1 images" in capsys.readouterr().out
