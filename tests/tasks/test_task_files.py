"""Tasks of users are loaded from files and from installed packages."""

import importlib.metadata
import sys
from pathlib import Path

import pytest

from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.tasks import all_tasks, find_task, load_task_file, sources, unloadable_entry_points

pytestmark = pytest.mark.usefixtures("own_tasks")

TASK = """
from xai_eval import task

@task("{name}")
def {name}(classifier, images, *, steps: int = 3):
    \"\"\"Do nothing.\"\"\"
    yield from ()
"""


def write(folder, text, name="mine.py"):
    path = folder / name
    path.write_text(text)
    return str(path)


def test_a_file_registers_its_tasks(tmp_path):
    file = write(tmp_path, TASK.format(name="first") + TASK.format(name="second"))
    assert load_task_file(file) == load_task_file(file) == ("first", "second")
    assert find_task("second").file == file
    assert list(find_task("first").parameters) == ["steps"]
    assert find_task("cams").file is None


def test_a_file_may_be_given_by_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, TASK.format(name="near"))
    assert load_task_file("mine.py") == ("near",)
    assert find_task("near").file == "mine.py"


def test_a_file_can_import_modules_of_its_folder_even_when_its_task_is_called(tmp_path):
    write(tmp_path, "THREE = 3", "neighbour_of_mine.py")
    text = TASK.format(name="late").replace("yield from ()", "from neighbour_of_mine import THREE; yield THREE")
    load_task_file(write(tmp_path, f"import neighbour_of_mine\n{text}"))
    assert list(find_task("late")(None, None)) == [3]


@pytest.mark.parametrize("how", ["import neighbour_with_a_task", "from neighbour_with_a_task import near_by"])
def test_a_task_of_a_neighbour_is_the_file_that_imports_it(tmp_path, monkeypatch, how):
    monkeypatch.delitem(sys.modules, "neighbour_with_a_task", raising=False)
    write(tmp_path, TASK.format(name="near_by"), "neighbour_with_a_task.py")
    file = write(tmp_path, how)
    assert load_task_file(file) == load_task_file(file) == ("near_by",)
    assert find_task("near_by").file == file


@pytest.mark.parametrize("what", ["functools.partial(print, 1)", "print", "Called()"])
def test_what_is_no_function_is_refused(tmp_path, what):
    called = "class Called:\n    def __call__(self, classifier, images): ...\n"
    file = write(tmp_path, f"import functools\nfrom xai_eval import image_task, task\n{called}\ntask('odd')({what})")
    with pytest.raises(UsageError, match=r"task 'odd' is a \w+; expected a function, written with def"):
        load_task_file(file)


BROKEN = {
    "import error": (
        "import json\nimport nothing_called_so",
        "ModuleNotFoundError: No module named 'nothing_called_so'",
        2,
    ),
    "exception": ("def f():\n    return 1 / 0\n\nf()", "ZeroDivisionError: division by zero", 2),
    "syntax": ("x = 1\ndef (", "SyntaxError: invalid syntax", 2),
    "exit": ("raise SystemExit(0)", "SystemExit: 0", 1),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_raises_is_named_with_its_line(tmp_path, name):
    text, error, line = BROKEN[name]
    file = write(tmp_path, text)
    for _ in range(2):
        with pytest.raises(InputUnavailable) as told:
            load_task_file(file)
        assert str(told.value).startswith(f"{file} cannot be imported: {error}")
        assert f"({Path(file).resolve()}:{line})" in str(told.value)


def test_a_missing_file_is_refused(tmp_path):
    for wrong in (tmp_path / "nowhere.py", tmp_path):
        with pytest.raises(InputUnavailable, match="does not exist or is not a file; --tasks expects a Python file"):
            load_task_file(str(wrong))
    with pytest.raises(UsageError, match="is not a Python file"):
        load_task_file(write(tmp_path, "", "notes.txt"))


def test_a_file_without_a_task_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"registers no task\. Write @task\(NAME\) or @image_task\(NAME\)"):
        load_task_file(write(tmp_path, "x = 1"))


def test_two_tasks_of_one_name_are_refused_with_both_places(tmp_path):
    bundled = all_tasks()["cams"]
    with pytest.raises(UsageError, match="two tasks are named 'cams'") as told:
        load_task_file(write(tmp_path, TASK.format(name="cams")))
    assert "bundled/cams.py:" in str(told.value) and "mine.py:4" in str(told.value)
    assert all_tasks()["cams"] is bundled
    load_task_file(write(tmp_path, TASK.format(name="one"), "one.py"))
    with pytest.raises(UsageError, match=r"one\.py:4, one in .*two\.py:4"):
        load_task_file(write(tmp_path, TASK.format(name="one"), "two.py"))


def test_a_bad_signature_is_refused_with_its_place_and_nothing_is_registered(tmp_path):
    text = TASK.format(name="bad").replace("steps: int = 3", "steps: int")
    with pytest.raises(UsageError, match=r"parameter steps of task bad \(.*mine\.py:4\) has no default"):
        load_task_file(write(tmp_path, text))
    assert "bad" not in all_tasks()


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Pretend that packages are installed whose entry points lead to modules in a folder."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(**modules):
        entries = [
            importlib.metadata.EntryPoint(name, module, sources.ENTRY_POINTS) for name, module in modules.items()
        ]
        monkeypatch.setattr(
            importlib.metadata, "entry_points", lambda group: entries if group == sources.ENTRY_POINTS else []
        )
        unloadable_entry_points.cache_clear()

    yield install
    monkeypatch.undo()
    unloadable_entry_points.cache_clear()


def test_tasks_of_installed_packages_are_found(tmp_path, installed):
    write(tmp_path, TASK.format(name="packaged"), "package_with_a_task.py")
    installed(packaged="package_with_a_task")
    assert find_task("packaged").file is None
    assert unloadable_entry_points() == ()


def test_an_entry_point_whose_task_hides_an_option_of_the_command_line_gives_no_task(tmp_path, installed):
    write(tmp_path, TASK.format(name="hiding").replace("steps: int", "model: int"), "package_that_hides_an_option.py")
    installed(hides="package_that_hides_an_option")
    assert "hiding" not in all_tasks()
    (sentence,) = unloadable_entry_points()
    assert "has a parameter model, which is an option of the command line already" in sentence


def test_an_entry_point_that_fails_is_named_and_the_others_are_loaded(tmp_path, installed):
    write(tmp_path, "import nothing_called_so", "package_that_fails.py")
    write(tmp_path, TASK.format(name="cams"), "package_that_clashes.py")
    write(tmp_path, TASK.format(name="packaged_too"), "package_that_works.py")
    installed(fails="package_that_fails", clashes="package_that_clashes", works="package_that_works")
    assert find_task("packaged_too").name == "packaged_too"
    assert "bundled" in find_task("cams").place
    fails, clashes = unloadable_entry_points()
    assert fails.startswith(
        "The entry point 'fails' (package_that_fails) cannot be loaded as a task: ModuleNotFoundError: No module"
    )
    assert "(package_that_clashes) cannot be loaded as a task: UsageError: two tasks" in clashes
    with pytest.raises(UsageError, match=r"unknown task 'failing'.*The entry point 'fails'"):
        find_task("failing")
