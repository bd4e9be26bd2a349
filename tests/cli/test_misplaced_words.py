"""What a newcomer writes in a wrong place is refused in one sentence with what to write instead."""

import pytest

from xai_eval.cli.main import main


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["runn"], "unknown command 'runn'. Did you mean run"),
        (["cams"], "cams is a task, not a command: write xai-eval run cams."),
        (["--images", "photos/", "run"], "options stand behind the command: write xai-eval run --images ..."),
        (["run", "--imagse", "x"], "Did you mean --images"),
        (["run", "--reason=x"], "--reason is no option of xai-eval run, but of xai-eval accept."),
        (["run", "cams", "--images", "a.png", "b.png"], 'put a pattern in quotes (--images "photos/*.jpg")'),
        (["list", "cams"], "xai-eval list does not expect 'cams' there. Leave it out."),
        (["run", "cams", "--num-samples", "9"], "is no parameter of cams. It belongs to lime"),
        (["run", "cams", "--model", "file:nets.py"], "FACTORY is the name of a function in that file"),
        (["run", "cams", "--model", "weights.pt"], "Write a function that builds the network and loads them"),
        (["prune", "--yes"], "unknown option '--yes'. Known: -h, --help, --dry-run"),
        (["run", "cams", "--methods", "gradcam", "--methods", "gradcamm"], "unknown method 'gradcamm'"),
        (["run", "cams", "--methods", "gradcamm", "--methods", "gradcam"], "unknown method 'gradcamm'"),
    ],
)
def test_the_error_says_what_to_write(words, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    errors = capsys.readouterr().err
    assert told in errors and "Traceback" not in errors
    assert len([line for line in errors.splitlines() if "error" in line]) == 1


def test_what_is_no_command_keeps_its_meaning(capsys):
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["--version"])
    assert "xai-eval" in capsys.readouterr().out
