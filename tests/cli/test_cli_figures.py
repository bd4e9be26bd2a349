from __future__ import annotations

import pytest

from xai_eval.cli.options import build_parser


def asked(*words):
    return build_parser(["report"]).parse_args(["report", *words]).figures


def test_vector_figures_are_written_only_if_asked_for():
    assert asked() == ()
    assert asked("--figures", "svg,pdf") == ("svg", "pdf")
    assert asked("--figures", "pdf,pdf") == ("pdf",)


@pytest.mark.parametrize("text", ["png", "svg,", "svg pdf", ""])
def test_other_formats_are_refused_with_those_that_exist(text, capsys):
    with pytest.raises(SystemExit, match="2"):
        asked("--figures", text)
    assert "expected svg, pdf, or svg,pdf" in capsys.readouterr().err
