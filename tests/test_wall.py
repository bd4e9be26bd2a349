"""Data goes one way: nothing right of the wall needs torch, and no door pays for what it does not use."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic import make_result

import xai_eval
from xai_eval.store.goldens import Goldens
from xai_eval.store.runs import RunRecord

PACKAGE = Path(xai_eval.__file__).parent
TORCH = {"torch", "torchvision", "pytorch_grad_cam", "timm", "open_clip", "cv2", "skimage", "sklearn", "scipy"}
BLOCKED = "import sys\nfor name in ('torch', 'torchvision', 'pytorch_grad_cam', 'cv2'): sys.modules[name] = None\n"

# A room may import those that stand below it in one of its columns, and nothing else.
LEFT = {
    "bench": {"tasks", "explainers", "metrics", "inputs", "scenes"},
    "run": {"tasks", "explainers", "metrics", "inputs", "scenes", "cluster"},
    "tasks": {"explainers", "metrics", "inputs", "scenes", "cluster"},
    "explainers": {"metrics", "inputs", "scenes", "cluster"},
    "cluster": set(),
    "metrics": set(),
    "inputs": {"scenes"},
    "scenes": set(),
}
RIGHT = {"review": {"report", "gate"}, "report": {"gate"}, "gate": set()}
KEPT = ("settings", "store", "result", "disk", "media")
BELOW = {
    **{room: below | {"result"} for room, below in LEFT.items()},
    **{room: below | {"store", "result"} for room, below in RIGHT.items()},
    "settings": {"store"},
    "store": {"result", "disk"},
    "result": {"disk"},
    "disk": set(),
    "media": set(),
}
BELOW["settings"] |= {"result"}  # the names of precisions, which results record
BELOW["run"] |= {"settings", "store"}
BELOW["bench"] |= {"store"}  # a run of many cases, made by hand, for the gate to judge
BELOW["explainers"] |= {"disk"}  # checkpoints of a long dissection
BELOW["tasks"] |= {"disk"}  # all JSON is read by the one strict reader
BELOW["inputs"] |= {"disk"}  # Git LFS pointers and stray files are recognised everywhere by the same rule
BELOW["report"] |= {"settings", "disk", "media"}
BELOW["review"] |= {"disk", "media"}  # the strict reader of JSON, the door to images of a report; what text is visible
for _room in ("tasks", "gate"):
    BELOW[_room] |= {"media"}  # progress bars and messages
BELOW["inputs"] |= {"media"}  # errors name options to copy
BELOW["run"] |= {"media"}  # messages
BELOW["store"] |= {"media"}  # errors name commands to copy
for _room in ("run", "bench", "gate", "settings"):
    BELOW[_room] |= {"disk"}  # every file is opened by the one door, all TOML is read by the one strict reader
DOORS = {
    "cli": {"run", "bench", "tasks", "inputs", *RIGHT, "settings", "store", "result", "disk", "media"},
    "pytest_plugin": {"run", "tasks", *RIGHT, "settings", "store", "result", "media"},
}
EVERYWHERE = {"errors", "version", "freed_memory"}


def files(rooms):
    return [path for room in rooms for path in sorted((PACKAGE / room).rglob("*.py"))]


def imports(path, *, top_level_only=False):
    tree = ast.parse(path.read_text())
    for node in tree.body if top_level_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def in_any(name, packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def named(path):
    return str(path.relative_to(PACKAGE))


def test_every_room_is_known():
    rooms = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists() and path.name != "fixtures"}
    assert rooms == set(BELOW) | set(DOORS)


@pytest.mark.parametrize("path", files([*BELOW, *DOORS]), ids=named)
def test_imports_run_downwards(path):
    room = path.relative_to(PACKAGE).parts[0]
    allowed = EVERYWHERE | {room} | {**BELOW, **DOORS}[room]
    rooms = {name.split(".")[1] for name in imports(path) if name.startswith("xai_eval.")}
    assert rooms - allowed == set()


@pytest.mark.parametrize("path", files([*RIGHT, *KEPT, *DOORS]), ids=named)
def test_nothing_right_of_the_wall_imports_torch(path):
    names = imports(path, top_level_only=path.relative_to(PACKAGE).parts[0] in DOORS)
    assert [n for n in names if in_any(n, TORCH | {f"xai_eval.{room}" for room in LEFT})] == []


def python(code, *arguments, cwd=None):
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=cwd)


def test_judging_accepting_and_reporting_work_without_torch(tmp_path, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    result = make_result()
    result.save(tmp_path / "reports" / "results" / result.case.key)
    RunRecord(("cams",), ("m",), ("photos",), 1, finished=True).save(tmp_path / "reports")
    commands = {
        "check": 1,
        "accept --all --reason looked": 0,
        "check reports": 0,
        "report": 0,
        "diff reports reports": 0,
        "prune": 0,
        "list": 0,
    }
    code = f"{BLOCKED}from xai_eval.cli.main import main\nfor each in sys.argv[1:]: print('ended:', main(each.split()))"
    done = python(code, *commands, cwd=tmp_path)
    ended = [int(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("ended:")]
    assert ended == list(commands.values()), (done.stdout, done.stderr)
    assert Goldens(tmp_path / "golden").load(result.case) is not None


@pytest.mark.parametrize(
    "module", ["xai_eval", "xai_eval.pytest_plugin.hooks", "xai_eval.cli.main", "xai_eval.tasks.cam_results"]
)
def test_importing_imports_no_torch(module):
    done = python(f"import sys, {module}; print(sorted({{'torch', 'torchvision', 'cv2'}} & set(sys.modules)))")
    assert done.stdout.strip() == "[]", done.stderr


# What takes long to import; each of these doors is opened by people who wait for it.
HEAVY = ("numpy", "pandas", "torch", "matplotlib", "PIL", "scipy", "skimage", "lime", "pytorch_grad_cam")
PARAMETERS = "from xai_eval.tasks import all_tasks; [list(each.parameters) for each in all_tasks().values()]"
HELPED = "import contextlib; from xai_eval.cli.main import main\nwith contextlib.suppress(SystemExit): main({words})"
LIGHT = {
    "import": "import xai_eval",
    "plugin": "import xai_eval.pytest_plugin.hooks",
    "command line": "import xai_eval.cli.main",
    "parameters of tasks": PARAMETERS,
    "help": HELPED.format(words=["--help"]),
    "version": HELPED.format(words=["--version"]),
    "help of run": HELPED.format(words=["run", "--help"]),
    "wrong option": HELPED.format(words=["check", "--nothing"]),
    "list": HELPED.format(words=["list"]),
    "decorators": "from xai_eval import Option, image_task, task",
}


@pytest.mark.parametrize("name", LIGHT)
def test_what_people_wait_for_imports_nothing_heavy(name):
    done = python(f"{LIGHT[name]}\nimport sys; print('heavy:', sorted(set({HEAVY!r}) & set(sys.modules)))")
    assert done.stdout.splitlines()[-1] == "heavy: []", done.stderr


def test_help_imports_no_torch():
    code = f"{BLOCKED}from xai_eval.cli.main import main\nmain(['run', '--help'])"
    done = python(code)
    assert done.returncode == 0
    assert "--model SPEC" in done.stdout


def test_public_names_are_loaded_on_first_use():
    for name in xai_eval.__all__:
        assert getattr(xai_eval, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = xai_eval.nothing
