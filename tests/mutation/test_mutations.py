"""Which errors are drawn, and where they are put."""

import pytest
from mutations import Mutation, candidates, drawn, located, put_into


@pytest.mark.parametrize(
    ("line", "broken"),
    [
        ("x = a < b", "x = (a >= b)"),
        ("x = a in b", "x = (a not in b)"),
        ("x = a if b else c", "x = a if (not b) else c"),
        ("x = a + b", "x = (a - b)"),
        ("x = f(a, b, c)", "x = (f(b, a, c))"),
        ("x = f(é, 1)  # said", "x = (f(1, é))  # said"),
        ("x = True", "x = (False)"),
        ("f(a)", "pass"),
        ("x += a", "pass"),
        ("raise f", "pass"),
    ],
)
def test_a_line_is_broken(line, broken):
    assert broken in {mutation.new for _, mutation in candidates(line, "x.py")}


def test_a_returned_value_is_dropped_and_a_condition_negated():
    source = "def f(a):\n    if a:\n        return a\n"
    found = {(line, mutation.function, mutation.new) for line, mutation in candidates(source, "x.py")}
    assert found == {(2, "f", "    if (not a):"), (3, "f", "        return None")}


@pytest.mark.parametrize(
    "source",
    [
        '"""A text."""',
        "import a",
        "x: list[1] = a",
        "x = f'{a + 1}'",
        "x = 'a' + b",
        "x = a",
        "if TYPE_CHECKING:\n    f(1)",
        "def f(a: g(1, 2)) -> g(3, 4): ...",
    ],
)
def test_what_does_nothing_is_not_broken(source):
    assert list(candidates(source, "x.py")) == []


def checkout(folder, **files):
    for name, text in files.items():
        path = folder / "xai_eval" / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def test_a_draw_is_repeatable_and_keeps_to_lines_that_all_checkouts_have(tmp_path):
    here = checkout(tmp_path / "here", one="x = 1\ny = 2\n", two="z = 3\n")
    there = checkout(tmp_path / "there", room__one="x = 1\n", two="z = 3\nz = 3\n")
    assert {each.old for each in drawn(here, 3, 0)} == {"x = 1", "y = 2", "z = 3"}
    assert [each.old for each in drawn(here, 3, 0, [there])] == ["x = 1"]
    assert drawn(here, 2, 7) == drawn(here, 2, 7)


def test_an_error_follows_its_line_into_another_file(tmp_path):
    mutation = Mutation("another constant", "xai_eval/one.py", "", "x = 1", "x = (2)")
    there = checkout(tmp_path, room__one="a = 0\nx = 1\n", other="x = 12\n")
    path = located(mutation, there)
    assert path == there / "xai_eval" / "room" / "one.py"
    put_into(mutation, path)
    assert path.read_text() == "a = 0\nx = (2)\n"
    assert located(mutation, there) is None
