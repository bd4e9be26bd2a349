"""Nothing is printed past the functions of `xai_eval.media`, in any door."""

import ast
from pathlib import Path

import pytest

import xai_eval

PACKAGE = Path(xai_eval.__file__).parent
TREES = {path: ast.parse(path.read_text("utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
DOOR = PACKAGE / "media"
# What writes to a person: by the last name of what is called, and for some, of what it belongs to.
PRINTS = {"print", "print_exc", "print_exception", "print_stack", "print_help", "print_usage", "pprint", "breakpoint"}
BELONGING = {
    ("stdout", "write"),
    ("stdout", "writelines"),
    ("stderr", "write"),
    ("stderr", "writelines"),
    ("__stdout__", "write"),
    ("__stderr__", "write"),
    ("tqdm", "write"),
    ("terminalreporter", "write"),
    ("terminalreporter", "write_line"),
    ("terminalreporter", "write_sep"),
    ("terminalreporter", "rewrite"),
    ("os", "write"),
    ("pytest", "fail"),
    ("pytest", "skip"),
    ("pytest", "xfail"),
    ("pytest", "exit"),
    ("pytest", "UsageError"),
    ("item", "add_report_section"),
    ("logging", "warning"),
    ("logging", "error"),
    ("logging", "info"),
    ("logging", "getLogger"),
    ("logging", "basicConfig"),
    ("sys", "exit"),
    ("shlex", "quote"),
    ("shlex", "join"),
    ("json", "dump"),
}
BARS = {"tqdm", "trange", "secho", "echo"}
# Where one of these is right, and why.
ALLOWED = {
    ("pytest_plugin/shown.py", "pytest.fail"): "after the function for the terminal",
    ("pytest_plugin/shown.py", "pytest.skip"): "after the function for the terminal",
    ("pytest_plugin/shown.py", "pytest.UsageError"): "after the function for the terminal",
    ("inputs/images/heard.py", "os.write"): "what others wrote to standard error while a library was listened to",
    ("inputs/images/deep.py", "logging.getLogger"): "the logger of tifffile, which is silenced",
}


def called(node):
    """The names at the end of what a call calls: ("sys", "stderr", "write")."""
    names, of = [], node.func
    while isinstance(of, ast.Attribute):
        names.append(of.attr)
        of = of.value
    return (*([of.id] if isinstance(of, ast.Name) else []), *reversed(names))


def prints(tree):
    """Every call in a source that writes to a person."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            names = called(node)
            if names and (names[-1] in PRINTS | BARS or names[-2:] in BELONGING):
                yield ".".join(names[-2:])


@pytest.mark.parametrize(
    "line",
    [
        "print('x')",
        "sys.stderr.write('x')",
        "traceback.print_exc()",
        "self._terminalreporter.terminalreporter.write_line('x')",
        "tqdm.write('x')",
        "for each in tqdm(items): pass",
        "pytest.fail(text, pytrace=False)",
        "shlex.quote(name)",
    ],
)
def test_what_prints_is_found(line):
    assert list(prints(ast.parse(line)))


def test_nothing_is_printed_past_the_door():
    found = {
        (path.relative_to(PACKAGE).as_posix(), name)
        for path, tree in TREES.items()
        if not path.is_relative_to(DOOR)
        for name in prints(tree)
    }
    assert found == set(ALLOWED)


def test_templates_are_filled_in_one_way_only():
    # Markup that is made of anything but a constant would not be escaped.
    made = {
        path.relative_to(PACKAGE).as_posix()
        for path, tree in TREES.items()
        if "Markup" in path.read_text("utf-8")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and called(node)[-1:] == ("Markup",)
        and not isinstance(node.args[0], ast.Constant)
    }
    # Addresses of images in base64 or by digest, colours, and terms within a sentence that is escaped already.
    assert made == {
        "report/drawing/thumbnails.py",
        "report/page/colour_bars.py",
        "report/page/images.py",
        "report/page/marks.py",
        "report/page/unit_rows.py",
    }
    template = (PACKAGE / "report" / "page" / "page.html.j2").read_text("utf-8")
    for word in ("safe", "autoescape", "Markup"):
        assert f"| {word}" not in template
        assert f"% {word}" not in template
