import dataclasses
import shlex
from pathlib import Path

import pytest
from synthetic import make_result

from xai_eval.cli.main import main
from xai_eval.cli.options import build_parser
from xai_eval.inputs.models.models import _ASKING, _LOADERS
from xai_eval.report.text.commands import MODELS, accept_command, explain_command, to_fill_in
from xai_eval.store.runs import RunRecord

CASE = make_result().case
KEY = CASE.key


def parsed(command):
    program, *arguments = shlex.split(command)
    assert program == "xai-eval"
    return build_parser(arguments).parse_args(arguments)


def test_the_usual_folders_go_without_saying(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    usual = f'xai-eval accept {KEY} --reason "..."'
    assert accept_command(KEY, Path("reports"), Path("golden")) == usual
    assert accept_command(KEY, tmp_path / "reports", tmp_path / "golden") == usual


@pytest.mark.parametrize("results, golden", [("out", "golden"), ("a b/$(x)", "golden"), ("/run", "elsewhere/golden")])
def test_others_are_named_as_the_command_line_takes_them(tmp_path, monkeypatch, results, golden):
    monkeypatch.chdir(tmp_path)
    options = parsed(accept_command(KEY, Path(results), Path(golden)))
    assert (options.case, options.results, options.golden) == ([KEY], Path(results), Path(golden))


@pytest.mark.parametrize("results, golden", [("reports", "golden"), ("a b/$(x)", "elsewhere/golden")])
def test_a_drift_is_explained_with_the_same_folders(tmp_path, monkeypatch, results, golden):
    monkeypatch.chdir(tmp_path)
    options = parsed(explain_command(CASE, Path(results), Path(golden), {}))
    assert (options.case, options.results, options.golden) == (KEY, Path(results), Path(golden))
    assert (options.model, options.images) == (None, None)
    assert explain_command(CASE, Path("reports"), Path("golden"), {}) == f"xai-eval explain-drift {KEY}"


@pytest.mark.parametrize(
    "name, filled, says",
    [("mine", "MODEL", "MODEL and IMAGES"), *((f"{kind}x", f"{kind}x", "IMAGES") for kind in MODELS)],
)
def test_where_no_run_recorded_how_it_was_asked_it_is_said_what_to_fill_in(tmp_path, monkeypatch, name, filled, says):
    monkeypatch.chdir(tmp_path)
    case = dataclasses.replace(CASE, model=name)
    command = explain_command(case, Path("reports"), Path("golden"), None)
    options = parsed(command)
    assert (options.case, options.model, options.images) == (case.key, filled, "IMAGES")
    assert not set('"<>()') & set(command), "a shell takes it as it stands"
    assert f"in place of {says}" in to_fill_in(case, None) and to_fill_in(case, {}) == ""


def test_models_are_told_by_the_kinds_that_can_be_loaded():
    assert set(MODELS) == {f"{kind}:" for kind in (*_LOADERS, *_ASKING)}


def test_the_command_on_the_page_accepts_the_case(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(tmp_path)
    make_result().save(tmp_path / "out" / "results" / KEY)
    RunRecord(("cams",), ("m",), ("photos",), 1, finished=True).save(tmp_path / "out")
    assert main(["check", "out", "--golden", "kept"]) == 1
    page = (tmp_path / "out" / "index.html").read_text()
    command = page.split('<code class="command">')[1].split("</code>")[0].replace("&#34;", '"')
    assert main(shlex.split(command)[1:]) == 0
    assert main(["check", "out", "--golden", "kept"]) == 0
