"""Runs that were killed or failed half-way, as the command line sees them."""

import json
import shutil
from pathlib import Path

import pytest
from cli_runs import FACTORY, accept_all, run
from PIL import Image

from xai_eval.cli.main import main
from xai_eval.disk.signed import sign
from xai_eval.store.lock import LOCK_FILE


def test_a_run_that_failed_in_the_middle_does_not_pass_for_whole(place, capsys):
    run()
    accept_all()
    Image.new("RGB", (240, 320)).save(place / "photos" / "zero.png")
    blind = FACTORY.replace("return 3 + ", "if x.mean() < -1.5: x = x * float('nan')\n        return 3 + ")
    (place / "nets.py").write_text(blind)
    capsys.readouterr()
    assert run() == 3
    assert "NaN" in capsys.readouterr().err
    assert len(list((place / "reports" / "results").glob("*/*"))) == 2
    assert main(["check"]) == 1
    assert "NaN" in capsys.readouterr().out
    assert accept_all() == 2


def cut_short(results):
    """Leave a report folder as a kill leaves it after that many results."""
    folder = Path("reports")
    for place in sorted((folder / "results").glob("*/*"))[results:]:
        shutil.rmtree(place)
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(sign({**record, "finished": False})))


@pytest.mark.parametrize("results, code", [(1, 1), (0, 3)])
def test_a_killed_run_neither_passes_nor_costs_goldens(place, capsys, results, code):
    run("--methods", "gradcam")
    accept_all()
    cut_short(results)
    capsys.readouterr()
    assert main(["check"]) == code
    assert f"{results} of 2 planned cases measured, and the run did not finish" in capsys.readouterr().out
    assert main(["prune"]) == 2
    assert "the run is incomplete" in capsys.readouterr().err
    assert len(list((place / "golden").glob("*/*"))) == 2


def test_a_killed_run_does_not_pass_a_comparison(place):
    run("--methods", "gradcam", "--out", "whole")
    run("--methods", "gradcam")
    cut_short(1)
    assert main(["diff", "whole", "reports"]) == main(["diff", "reports", "whole"]) == 1
    cut_short(0)
    assert main(["diff", "whole", "reports"]) == 3


def test_a_run_that_fails_gives_its_folder_back(place):
    assert run(model="returns_nan") == 3
    assert not (place / "reports" / LOCK_FILE).exists()
