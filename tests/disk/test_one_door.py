"""Nothing in the package opens, writes or deletes files, starts programs or runs code, but where this file says why."""

import ast
from collections.abc import Iterator
from pathlib import Path

import xai_eval

PACKAGE = Path(xai_eval.__file__).parent
DOOR = "the door itself"
IN_MEMORY = "from memory"
LIBRARY = "a library reads a file that the user named or that was downloaded, and only as tensors"

# Methods of paths and of modules that touch the content of files; `replace` with one argument, as paths have it.
METHODS = {
    *("open", "read_text", "write_text", "read_bytes", "write_bytes", "unlink", "rmdir", "mkdir", "touch", "chmod"),
    *("rename", "symlink_to", "hardlink_to", "load_file", "save_file", "safe_open", "savefig", "fromfile", "memmap"),
    *("loadtxt", "genfromtxt", "savetxt", "tofile", "read_csv", "read_json", "read_pickle", "to_pickle", "imread"),
}
MODULES = {"shutil", "tempfile", "zipfile", "tarfile", "sqlite3", "pickle", "marshal", "shelve", "mmap", "fileinput"}
LOADERS = {"np", "numpy", "torch", "joblib"}
FILES = {
    ("disk/door.py", "os.open"): DOOR,
    ("disk/files.py", "os.open"): DOOR,
    ("disk/files.py", "mkdir"): DOOR,
    ("disk/files.py", "rename"): DOOR,
    ("disk/files.py", "replace"): DOOR,
    ("disk/files.py", "rmdir"): DOOR,
    ("disk/files.py", "unlink"): DOOR,
    ("disk/files.py", "shutil.rmtree"): DOOR,
    ("store/lock.py", "unlink"): "the lock of a dead process, which is compared with the open file before",
    ("store/settle.py", "replace"): "gives arrays their name back within the folder of a case",
    ("gate/review.py", "tempfile.TemporaryDirectory"): "files of a branch of git, in a folder of this process",
    ("cli/console.py", "os.open"): "the null device",
    ("report/text/github_actions.py", "open"): "the file that the CI names in its environment, to which is added",
    ("explainers/dissection/image_summary.py", "Image.open"): IN_MEMORY,
    ("result/fields/gallery.py", "Image.open"): IN_MEMORY,
    ("report/drawing/unit_figures.py", "Image.open"): IN_MEMORY,
    ("report/drawing/figure_formats.py", "savefig"): IN_MEMORY,
    ("inputs/images/deep.py", "Image.open"): IN_MEMORY,
    ("inputs/images/opened.py", "Image.open"): IN_MEMORY,
    ("inputs/images/to_rgb.py", "Image.open"): IN_MEMORY,
    ("inputs/images/heard.py", "tempfile.TemporaryFile"): "what a library of images writes to standard error",
    ("explainers/dissection/reading_processes.py", "mmap.mmap"): "no file: memory that copies of the process share",
    ("pytest_plugin/session.py", "mmap.mmap"): "no file: memory that copies of the process share",
    ("media/screen.py", "shutil.get_terminal_size"): "no file: the width of the terminal",
    ("inputs/models/bundled_models.py", "load_file"): LIBRARY,
    ("inputs/models/model_weights.py", "torch.load"): LIBRARY,
    ("inputs/downloads.py", "chmod"): "a download, before it gets its name",
    ("bench/scenes.py", "Image.open"): IN_MEMORY,
    ("bench/rows/dissection.py", "tempfile.TemporaryDirectory"): "checkpoints of a dissection that is timed",
    ("bench/rows/gate.py", "tempfile.TemporaryDirectory"): "a run of many cases, made by hand",
    ("metrics/unit_labels.py", "rename"): "a column of a table",
}
PROGRAMS = {
    ("bench/rows/gate.py", "subprocess.run"): "Python, with two fixed programs",
    ("tasks/parameters.py", "eval"): "annotations of the code of a task",
    ("gate/processes.py", "multiprocessing.Pipe"): "no program: a pipe to a copy of this process",
    ("gate/processes.py", "multiprocessing.get_context"): "no program: copies of this process",
    ("gate/processes.py", "multiprocessing.current_process"): "no program",
    ("explainers/dissection/read_ahead.py", "multiprocessing.current_process"): "no program",
    ("explainers/dissection/reading_processes.py", "multiprocessing.Pipe"): "no program: a pipe to a copy",
    ("explainers/dissection/reading_processes.py", "multiprocessing.get_context"): "no program: copies of this process",
    ("store/git.py", "subprocess.run"): "git, with fixed arguments",
    ("store/processes.py", "subprocess.run"): "ps, with a process id",
    ("freed_memory.py", "ctypes.CDLL"): "no file: the C library that this process has already, for its mallopt",
    ("inputs/source_file.py", "importlib.util"): "for the two below, which run what it makes of a file",
    ("inputs/models/factory_file.py", "exec_module"): "code of the user, see named_programs.py",
    ("tasks/sources.py", "exec_module"): "tasks that the command line or the configuration file names",
}
RUNNING = {"subprocess", "runpy", "ctypes", "multiprocessing"}


def calls(path: Path) -> Iterator[ast.Call]:
    return (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def touches_files(call: ast.Call) -> str:
    """The name of what touches files, or nothing."""
    name = dotted(call.func)
    first, last = name.partition(".")[0], name.rpartition(".")[2]
    if name in ("Image.open", "os.open", "io.open", "gzip.open") or (first in MODULES and "." in name):
        return name
    if first in LOADERS and last in ("load", "save", "savez", "savez_compressed"):
        if call.args and dotted(call.args[0]) == "buffer":
            return ""
        return name
    if name.startswith("os.") and last in ("remove", "unlink", "rename", "replace", "rmdir", "truncate"):
        return name
    if last == "replace" and len(call.args) == 1 and not call.keywords and first != "dataclasses":
        return last
    own = isinstance(call.func, ast.Name) and last != "open"  # such as `read_bytes` of the door
    return "" if own or last not in METHODS else last


def runs_code(call: ast.Call) -> str:
    name = dotted(call.func)
    if name in ("eval", "exec", "compile", "__import__", "os.system", "os.popen") or name.startswith("os.exec"):
        return name
    if name.partition(".")[0] in RUNNING and "." in name:
        return name
    if name.startswith("importlib.util.spec"):
        return "importlib.util"
    return "exec_module" if name.endswith(".exec_module") else ""


def found(test) -> set[tuple[str, str]]:
    files = sorted(path for path in PACKAGE.rglob("*.py") if "fixtures" not in path.relative_to(PACKAGE).parts)
    pairs = ((path.relative_to(PACKAGE).as_posix(), test(call)) for path in files for call in calls(path))
    return {pair for pair in pairs if pair[1]}


def test_files_are_touched_only_by_the_door_and_where_this_file_says_why():
    assert found(touches_files) == set(FILES)


def test_programs_are_started_and_code_is_run_only_where_this_file_says_why():
    assert found(runs_code) == set(PROGRAMS)


def test_the_scan_sees_what_it_looks_for():
    """Else it would pass although it sees nothing."""
    source = (
        "open(p)\nPath(p).open()\np.read_text()\np.replace(q)\nnp.load(p)\nImage.open(p)\nshutil.rmtree(p)\n"
        "os.remove(p)\ntempfile.mkdtemp()\ntorch.load(p)\np.write_bytes(b)\nsafetensors.torch.load_file(p)\n"
    )
    seen = [touches_files(node) for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    # `Path(p)` is a call as well.
    assert seen.count("") == 1 and len(seen) == 13
    assert touches_files(ast.parse("text.replace('a', 'b')").body[0].value) == ""
