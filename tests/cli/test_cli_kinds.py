"""Commands that read results with a kind of field of the user are given the file that registers it."""

import importlib.metadata
import json
import shlex
import sys
from pathlib import Path

import pytest

from xai_eval.cli.main import main
from xai_eval.result.fields import KINDS
from xai_eval.tasks import sources, unloadable_entry_points

TASK = """
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from xai_eval import Case, Difference, Field, Result, Severity, Statement, register, task

@register
@dataclass(frozen=True)
class Count(Field):
    kind: ClassVar[str] = "count"
    value: int

    def differences(self, golden: "Count") -> Iterator[Difference]:
        told = Statement(Severity.NUMBERS, "count", f"{self.value} instead of {golden.value}")
        yield Difference("count", abs(self.value - golden.value), 0.0, [told])

@task("counting")
def counting(classifier, images, *, more: int = 0):
    \"\"\"Count.\"\"\"
    for image in images.images:
        yield Result(Case("counting", classifier.name, f"{images.name}/{image.name}"), {"count": Count(3 + more)})
"""
RUN = ["run", "counting", "--model", "file:nets.py:net", "--images", "photos", "--quiet", "--tasks", "counting.py"]
# Commands with their exit codes. Each runs after the goldens of a run were accepted.
COMMANDS = {
    "check": (["check"], 0),
    "accept": (["accept", "--all", "--reason", "again"], 0),
    "diff": (["diff", "reports", "reports"], 0),
    "report": (["report"], 0),
    "prune": (["prune"], 0),
    "log": (["log", "one.png"], 0),
}


def forget():
    """Forget the kind and its task, as if another process began."""
    KINDS.pop("count", None)
    sources.TASKS.pop("counting", None)
    KINDS.load_more = tuple
    for name in [name for name in sys.modules if name.startswith("xai_eval_task_file_")]:
        del sys.modules[name]


@pytest.fixture
def counted(place, own_tasks):
    """A folder with goldens of two cases, whose kind of field is not registered."""
    Path("counting.py").write_text(TASK)
    assert main(RUN) == 0
    assert main(["accept", "--all", "--reason", "first", "--tasks", "counting.py"]) == 0
    forget()
    yield place
    forget()


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_judges_reads_a_kind_whose_file_is_named(counted, capsys, name):
    words, code = COMMANDS[name]
    assert main([*words, "--tasks", "counting.py"]) == code
    capsys.readouterr()


def test_a_changed_field_of_such_a_kind_is_a_drift(counted, capsys):
    assert main([*RUN, "--more", "2"]) == 1
    forget()
    assert main(["check", "--tasks", "counting.py", "--json"]) == 1
    verdicts = json.loads(capsys.readouterr().out.split("\n", 1)[1].partition("{")[2].join(["{", ""]))["verdicts"]
    assert {each["state"] for each in verdicts} == {"drift"}
    assert "5 instead of 3" in json.dumps(verdicts)


def test_without_the_file_both_remedies_are_named(counted, capsys):
    assert main(["check"]) != 0
    said = "".join(capsys.readouterr())
    assert "unknown kind of field 'count'" in said
    assert "--tasks FILE.py" in said and "install the package that has it" in said


def test_a_kind_of_an_installed_package_is_loaded_when_it_is_met(counted, capsys, monkeypatch):
    monkeypatch.syspath_prepend(str(counted))
    entry = importlib.metadata.EntryPoint("counting", "counting", sources.ENTRY_POINTS)
    monkeypatch.setattr(
        importlib.metadata, "entry_points", lambda group: [entry] if group == sources.ENTRY_POINTS else []
    )
    unloadable_entry_points.cache_clear()
    try:
        assert main(["check"]) == 0
    finally:
        sys.modules.pop("counting", None)
        monkeypatch.undo()
        unloadable_entry_points.cache_clear()


def test_a_package_that_cannot_be_loaded_is_named_with_the_unknown_kind(counted, capsys, monkeypatch):
    entry = importlib.metadata.EntryPoint("counting", "package_of_nobody", sources.ENTRY_POINTS)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [entry])
    unloadable_entry_points.cache_clear()
    try:
        assert main(["check"]) != 0
        said = "".join(capsys.readouterr())
        assert "The entry point 'counting' (package_of_nobody) cannot be loaded as a task" in said
    finally:
        monkeypatch.undo()
        unloadable_entry_points.cache_clear()


def test_the_printed_commands_name_the_file_of_the_kind(counted, capsys):
    assert main([*RUN, "--more", "2"]) == 1
    command = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("find the cause"))
    assert command.count("--tasks counting.py") == 1
    page = (counted / "reports" / "index.html").read_text()
    accept = page.split('golden:<br> <code class="command">')[1].split("</code>")[0].replace("&#34;", '"')
    forget()
    assert main(shlex.split(accept)[1:]) == 0
    assert "accepted counting/photos" in capsys.readouterr().out


def test_commands_of_results_with_bundled_kinds_name_no_file(place, capsys):
    main(["run", "cams", "--methods", "gradcam", "--model", "file:nets.py:net", "--images", "photos", "--quiet"])
    assert "--tasks" not in capsys.readouterr().out


def test_a_file_may_register_only_kinds(counted, capsys):
    """The kind is in one file and its task in another, which is only needed to run."""
    kind, task = TASK.split("@task")
    Path("kinds.py").write_text(kind)
    Path("counting.py").write_text(f"from kinds import Count\nfrom xai_eval import Case, Result, task\n@task{task}")
    assert main(["check", "--tasks", "kinds.py"]) == 0
    capsys.readouterr()


def test_a_file_that_registers_nothing_is_refused_whatever_came_before(counted, capsys):
    Path("nothing.py").write_text("x = 1")
    assert main(["check", "--tasks", "counting.py", "--tasks", "nothing.py"]) == 2
    assert "nothing.py registers no task" in capsys.readouterr().err
