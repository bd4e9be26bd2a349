import shlex
from pathlib import Path

import pytest
from synthetic import make_result

from xai_eval.cli.main import main
from xai_eval.cli.options import build_parser
from xai_eval.report.text.commands import accept_command, explain_command
from xai_eval.store.runs import RunRecord

KEY = make_result().case.key


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
    options = parsed(explain_command(KEY, Path(results), Path(golden), {}))
    assert (options.case, options.results, options.golden) == (KEY, Path(results), Path(golden))
    assert (options.model, options.images) == (None, None)
    assert explain_command(KEY, Path("reports"), Path("golden"), {}) == f"xai-eval explain-drift {KEY}"


def test_where_no_run_recorded_how_it_was_asked_there_is_a_place_for_model_and_images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = parsed(explain_command(KEY, Path("reports"), Path("golden"), None))
    assert (options.case, options.model, options.images) == (KEY, "...", "...")


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
