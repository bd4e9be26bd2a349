"""Shells complete commands, options, tasks and files."""

import re
import shutil
import subprocess

import pytest

from xai_eval.cli.completion import SHELLS, completion
from xai_eval.cli.main import main
from xai_eval.cli.options import build_parser


@pytest.fixture(scope="module")
def scripts():
    return {shell: completion(build_parser(["run"]), shell) for shell in SHELLS}


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_knows_commands_options_and_tasks(scripts, shell):
    for word in ("explain-drift", "resume", "num-samples", "bulk", "lime_search"):
        assert re.search(rf"\b{word}\b", scripts[shell]), word


@pytest.mark.parametrize("shell", SHELLS)
def test_the_option_prints_the_script(scripts, shell, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--print-completion", shell])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"{scripts[shell]}\n"


def test_an_unknown_shell_is_refused(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--print-completion", "cmd"])
    assert caught.value.code == 2
    assert "bash" in capsys.readouterr().err


# What is typed, and what bash offers for the last word.
TYPED = {
    "a command": (["exp"], {"explain-drift"}),
    "an option": (["run", "--resu"], {"--resume"}),
    "a parameter": (["run", "lime", "--num-s"], {"--num-samples"}),
    "a task": (["run", "lime"], {"lime", "lime_search"}),
    "a folder": (["run", "--out", "rep"], {"reports"}),
    "a file": (["check", "--tasks", "mi"], {"mine.py"}),
}


@pytest.mark.parametrize("name", TYPED)
def test_bash_offers_what_fits(scripts, tmp_path, name):
    bash = shutil.which("bash")
    assert bash
    words, offered = TYPED[name]
    (tmp_path / "mine.py").touch()
    (tmp_path / "reports").mkdir()
    (tmp_path / "script").write_text(scripts["bash"])
    typed = " ".join(["xai-eval", *words])
    asked = (
        f"source ./script; COMP_WORDS=({typed}); COMP_CWORD={len(words)}; "
        f"COMP_LINE='{typed}'; COMP_POINT={len(typed)}; "
        'name=$(complete -p xai-eval | sed "s/.*-F \\([^ ]*\\).*/\\1/"); '
        f'"$name" xai-eval {words[-1]} {["xai-eval", *words][-2]}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run([bash, "--norc", "-c", asked], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == offered
