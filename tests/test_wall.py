"""Data goes one way: nothing right of the wall needs torch, and no door pays for what it does not use."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic import make_result

import xai_eval
from xai_eval.golden import Goldens
from xai_eval.record import RunRecord

PACKAGE = Path(xai_eval.__file__).parent
LEFT = ("inputs", "explainers", "metrics", "tasks", "run", "trials")
MEASURING = {f"xai_eval.{room}" for room in LEFT}
TORCH = {"torch", "torchvision", "pytorch_grad_cam", "timm", "open_clip", "cv2", "skimage", "sklearn", "scipy"}
BLOCKED = "import sys\nfor name in ('torch', 'torchvision', 'pytorch_grad_cam', 'cv2'): sys.modules[name] = None\n"


def modules(*, left):
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if (room in LEFT) == left:
            yield path


def imports(path, *, top_level_only=False):
    tree = ast.parse(path.read_text())
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def in_any(name, packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


DOORS = {"cli.py", "cli_explain.py", "__init__.py", "__main__.py", "pytest_plugin.py"}


@pytest.mark.parametrize("path", list(modules(left=False)), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_nothing_right_of_the_wall_imports_torch_or_what_measures(path):
    if path.name in DOORS and path.parent == PACKAGE:
        names = list(imports(path, top_level_only=True))
    else:
        names = list(imports(path))
    assert [n for n in names if in_any(n, TORCH | MEASURING)] == []


ROOMS = ["trials", "run", "tasks", "explainers", "metrics", "inputs"]


@pytest.mark.parametrize("path", list(modules(left=True)), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_left_of_the_wall_imports_run_one_way(path):
    """run -> tasks -> explainers, metrics -> inputs; never a golden, a verdict or a report."""
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    above = {f"xai_eval.{each}" for each in ROOMS[: ROOMS.index(room)]}
    judging = {
        "xai_eval.golden",
        "xai_eval.drift",
        "xai_eval.report",
        "xai_eval.cli",
        "xai_eval.pytest_plugin",
    }
    assert [n for n in imports(path) if in_any(n, above | judging)] == []


def python(code, *arguments, cwd=None):
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=cwd)


def test_judging_accepting_and_reporting_work_without_torch(tmp_path, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    result = make_result()
    result.save(tmp_path / "reports" / "results" / result.case.key)
    RunRecord(("cams",), ("m",), ("photos",), 1, finished=True).save(tmp_path / "reports")
    code = f"{BLOCKED}from xai_eval.cli import main\nsys.exit(main(sys.argv[1:]))"
    for arguments, exit_code in (
        (("check",), 1),
        (("accept", "--all", "--reason", "looked"), 0),
        (("check",), 0),
        (("report",), 0),
        (("diff", "reports", "reports"), 0),
        (("prune",), 0),
        (("list",), 0),
    ):
        done = python(code, *arguments, cwd=tmp_path)
        assert done.returncode == exit_code, (arguments, done.stdout, done.stderr)
    assert Goldens(tmp_path / "golden").load(result.case) is not None


@pytest.mark.parametrize("module", ["xai_eval", "xai_eval.pytest_plugin", "xai_eval.cli", "xai_eval.tasks.cams"])
def test_importing_imports_no_torch(module):
    done = python(f"import sys, {module}; print(sorted({{'torch', 'torchvision', 'cv2'}} & set(sys.modules)))")
    assert done.stdout.strip() == "[]", done.stderr


def test_the_plugin_imports_no_numpy_either():
    done = python("import sys, xai_eval.pytest_plugin; print(sorted({'numpy', 'pandas'} & set(sys.modules)))")
    assert done.stdout.strip() == "[]", done.stderr


def test_help_imports_no_torch():
    code = f"{BLOCKED}from xai_eval.cli import main\nmain(['run', '--help'])"
    done = python(code)
    assert done.returncode == 0
    assert "--model SPEC" in done.stdout


def test_public_names_are_loaded_on_first_use():
    for name in xai_eval.__all__:
        assert getattr(xai_eval, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = xai_eval.nothing
