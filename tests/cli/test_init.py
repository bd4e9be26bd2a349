"""`xai-eval init`: what it writes works as it stands, and nothing is overwritten."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

import xai_eval
from xai_eval.cli.main import main
from xai_eval.settings.read import load_settings

STARTERS = Path(xai_eval.__file__).parent / "cli" / "starters"


@pytest.fixture
def empty(tmp_path, monkeypatch, without_figures):
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_it_writes_runs_without_options(empty, capsys):
    assert main(["init"]) == 0
    assert "wrote xai_eval.toml" in capsys.readouterr().out
    assert [path.name for path in empty.iterdir()] == ["xai_eval.toml"]
    assert main(["run", "--quiet"]) == 0
    assert main(["accept", "--all", "--reason", "first goldens"]) == 0
    assert main(["check"]) == 0
    assert "4 cases: 4 ok" in capsys.readouterr().out


def test_what_is_commented_out_is_valid_too(empty):
    main(["init"])
    lines = Path("xai_eval.toml").read_text().splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("[[suite]]"))
    shown = [line.removeprefix("# ") for line in lines[begin:]]
    code = [line for line in shown if "=" in line or line.startswith("[")]
    found = tomllib.loads("\n".join(line for line in code if not line.startswith("What")))
    assert [each["task"] for each in found["suite"]] == ["cams", "cams", "lime"]
    assert found["tolerances"]["cams"]["gradcam"] == {"largest": 0.05, "top": 0.7}
    Path("xai_eval.toml").write_text("\n".join(code))
    assert len(load_settings().suite) == 3


WORKFLOWS = {
    "github": Path(".github/workflows/explanations.yml"),
    "gitlab": Path(".gitlab-ci.yml"),
    "jenkins": Path("Jenkinsfile"),
}


def commands_of(ci, text):
    """Return the shell commands of a workflow, in order."""
    if ci == "github":
        (job,) = yaml.safe_load(text)["jobs"].values()
        checkout = next(step for step in job["steps"] if step.get("uses", "").startswith("actions/checkout"))
        assert checkout["with"]["fetch-depth"] == 0, "git has to know where the branches parted"
        assert {"BASE": "${{ github.base_ref }}"} in [step.get("env") for step in job["steps"]]
        return [step["run"] for step in job["steps"] if "run" in step]
    if ci == "gitlab":
        (job,) = yaml.safe_load(text).values()
        assert job["variables"]["GIT_DEPTH"] == "0"
        assert any("merge_request_event" in rule["if"] for rule in job["rules"])
        return job["script"]
    return [
        line.strip()[4:-1].replace(".venv/bin/", "") for line in text.splitlines() if line.strip().startswith("sh '")
    ]


@pytest.mark.parametrize("ci", WORKFLOWS)
def test_a_workflow_runs_checks_and_keeps_the_page(empty, capsys, ci):
    assert main(["init", "--ci", ci]) == 0
    assert f"wrote {WORKFLOWS[ci]}" in capsys.readouterr().out
    text = WORKFLOWS[ci].read_text()
    install, run, _ = commands_of(ci, text)
    assert "pip install xai-eval" in install
    assert run == "xai-eval run --quiet || [ $? -eq 1 ]"
    assert text.index("xai-eval check --complete $") < text.rindex("reports/")
    assert "always" in text, "the page is kept when the check fails"


# The variable that holds the target of a pull request, a value of it, and what is compared with.
TARGETS = {
    "github": ("BASE", "main", "origin/main"),
    "gitlab": ("CI_MERGE_REQUEST_DIFF_BASE_SHA", "1f2e3d", "1f2e3d"),
    "jenkins": ("CHANGE_TARGET", "main", "origin/main"),
}


@pytest.mark.parametrize("ci", WORKFLOWS)
def test_a_pull_request_is_compared_with_its_target_and_another_build_with_nothing(empty, ci):
    main(["init", "--ci", ci])
    *_, check = commands_of(ci, WORKFLOWS[ci].read_text())
    name, value, against = TARGETS[ci]

    def said(**variables):
        shown = f'xai-eval() {{ for each in "$@"; do echo "$each"; done; }}; {check}'
        shown = shown.replace("xai-eval", "told")  # a name that every shell takes for a function
        done = subprocess.run(["sh", "-c", shown], env={"PATH": "/bin", **variables}, capture_output=True, check=True)
        return done.stdout.decode().split("\n")[:-1]

    assert said() == said(**{name: ""}) == ["check", "--complete"]
    assert said(**{name: value}) == ["check", "--complete", "--against", against]
    assert said(**{name: "a; touch b"})[-1].endswith("a; touch b"), "the name of a branch is no command"


@pytest.mark.slow
def test_the_commands_of_a_workflow_pass_and_then_fail_at_a_drift(empty):
    """Those of one workflow; that the others have the same is tested above."""
    main(["init", "--ci", "github"])
    _, run, check = commands_of("github", WORKFLOWS["github"].read_text())
    folder = Path(sys.executable).parent

    def shell(command, **variables):
        environment = {**os.environ, "PATH": f"{folder}:/usr/bin:/bin", **variables}
        return subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True)

    assert shell(run).returncode == 0, "cases without a golden are left to the check"
    main(["accept", "--all", "--reason", "first"])
    git = "git -c user.name=x -c user.email=x"
    shell(f"git init -q -b main && git add golden xai_eval.toml && {git} commit -q -m x")
    shell("git update-ref refs/remotes/origin/main HEAD")
    target = {TARGETS["github"][0]: "main"}
    compared = shell(check, **target)
    assert compared.returncode == 0 and "0 goldens, 0 settings and 0 values of the quarantine differ" in compared.stdout
    Path("xai_eval.toml").write_text(Path("xai_eval.toml").read_text().replace("scenes:objects", "scenes:places"))
    assert [shell(run).returncode, shell(check).returncode] == [0, 1]
    Path("xai_eval.toml").write_text("model = 3")
    assert shell(run).returncode != 0


@pytest.mark.parametrize("ci", WORKFLOWS)
def test_nothing_is_overwritten(empty, capsys, ci):
    target = WORKFLOWS[ci]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("mine")
    Path("pyproject.toml").write_text("[tool.xai_eval]\nimages = 'scenes:1'\n")
    assert main(["init", "--ci", ci]) == 0
    told = capsys.readouterr().out
    assert "pyproject.toml configures xai-eval already: it is left as it is." in told
    assert f"{target} is there already: it is left as it is." in told
    assert target.read_text() == "mine" and not Path("xai_eval.toml").exists()
    (line,) = [line for line in told.splitlines() if "starters" in line]
    (starter,) = re.findall(rf"{re.escape(str(STARTERS))}/[\w.-]*\w", line)
    assert Path(starter).is_file(), "it says what to compare with"


def test_a_pyproject_of_other_tools_stays_as_it_is(empty, capsys):
    Path("pyproject.toml").write_text("[tool.other]\n")
    assert main(["init"]) == 0
    assert Path("xai_eval.toml").exists() and Path("pyproject.toml").read_text() == "[tool.other]\n"


def test_a_folder_that_cannot_be_written_is_an_error_of_one_sentence(empty, capsys):
    Path(".github").write_text("a file")
    assert main(["init", "--ci", "github"]) == 3
    error = capsys.readouterr().err
    assert ".github" in error and error.count("\n") == 1
