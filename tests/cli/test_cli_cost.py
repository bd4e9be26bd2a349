"""The command line says what a long run costs: once, on standard error, and not if it was asked to be quiet."""

import pytest

from xai_eval.cli.main import main
from xai_eval.run import forecast


@pytest.fixture
def long(monkeypatch):
    """Every run counts as long."""
    monkeypatch.setattr(forecast, "LONG", 0.0)


def test_a_long_run_says_what_it_costs_once(place, long, capsys):
    words = ["run", "cams", "--methods", "gradcam", "layercam", "--model", "file:nets.py:net", "--images", "photos"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert "forward pass" not in out
    assert err.count("xai-eval: cams: one image takes") == 1
    assert "all 2 will take about" in err
    assert "(1 forward pass)" in err


@pytest.mark.parametrize("option", ["--quiet", "--json"])
def test_a_quiet_run_does_not(place, long, capsys, option):
    words = ["run", "cams", "--methods", "gradcam", "--model", "file:nets.py:net", "--images", "photos", option]
    assert main(words) == 0
    assert "forward pass" not in capsys.readouterr().err


def test_a_short_run_does_not(place, capsys):
    assert main(["run", "cams", "--methods", "gradcam", "--model", "file:nets.py:net", "--images", "photos"]) == 0
    assert "forward pass" not in capsys.readouterr().err
