"""Small errors that a programmer could make, put into one line of a source tree.

A mutation is kept as text, old and new, and not as a place: so it can be put into another checkout, in which the line
has moved to another file, as long as the line itself is still there.
"""

from __future__ import annotations

import ast
import random
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
}


@dataclass(frozen=True)
class Mutation:
    """One error.

    Attributes:
        kind: what was done to the line.
        file: where it was drawn, relative to the root; a hint only.
        function: name of the function or class around it; a hint only.
        old: the whole lines that change, with their indentation.
        new: what stands there instead.
    """

    kind: str
    file: str
    function: str
    old: str
    new: str


def candidates(source: str, file: str) -> Iterator[tuple[int, Mutation]]:
    """Every mutation of a file, with the number of the line that it begins in."""
    lines = source.splitlines()
    for function, node in _code(ast.parse(source), ""):
        for change in _changes(node):
            place, end = change.place, change.place.end_lineno or change.place.lineno
            head = lines[place.lineno - 1].encode()[: place.col_offset].decode()
            tail = lines[end - 1].encode()[place.end_col_offset :].decode()
            old = "\n".join(lines[place.lineno - 1 : end])
            yield place.lineno, Mutation(change.kind, file, function, old, f"{head}{change.text}{tail}")


def drawn(root: Path, count: int, seed: int, also_in: Iterable[Path] = ()) -> list[Mutation]:
    """Draw lines of the package below `root`, each as likely as any other that can be broken, and one error for each.

    Args:
        root: a checkout.
        count: number of lines.
        seed: of the draw.
        also_in: other checkouts; a line that one of them lacks, or has twice, is not drawn.
    """
    by_line: dict[tuple[str, int], list[Mutation]] = {}
    for path in _sources(root):
        file = path.relative_to(root).as_posix()
        for line, mutation in candidates(path.read_text(), file):
            by_line.setdefault((file, line), []).append(mutation)
    dice = random.Random(seed)
    places = sorted(by_line)
    dice.shuffle(places)
    found: list[Mutation] = []
    for place in places:
        mutation = dice.choice(by_line[place])
        if all(located(mutation, each) for each in (root, *also_in)):
            found.append(mutation)
        if len(found) == count:
            break
    return found


def located(mutation: Mutation, root: Path) -> Path | None:
    """The one file below `root` in which the mutation's line stands once; None if there is none, or more than one.

    Where several files have the line, the one of the same name counts.
    """
    holding = [path for path in _sources(root) if _occurrences(mutation, path) > 0]
    same = [path for path in holding if path.name == Path(mutation.file).name]
    chosen = same if len(holding) > 1 else holding
    return chosen[0] if len(chosen) == 1 and _occurrences(mutation, chosen[0]) == 1 else None


def put_into(mutation: Mutation, path: Path) -> None:
    """Write the error into a file that has the line once."""
    path.write_text(_line(mutation).sub(lambda _: mutation.new, path.read_text()))


def _sources(root: Path) -> list[Path]:
    return sorted((root / "xai_eval").rglob("*.py"))


def _occurrences(mutation: Mutation, path: Path) -> int:
    return len(_line(mutation).findall(path.read_text()))


def _line(mutation: Mutation) -> re.Pattern[str]:
    return re.compile(rf"^{re.escape(mutation.old)}$", re.MULTILINE)


def _code(node: ast.AST, function: str) -> Iterator[tuple[str, ast.expr | ast.stmt]]:
    """All nodes that do something: no imports, annotations, docstrings, texts, or blocks for type checkers."""
    if isinstance(node, ast.Import | ast.ImportFrom | ast.JoinedStr | ast.alias | ast.Pass):
        return
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
        return
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        function = node.name
    if isinstance(node, ast.expr | ast.stmt):
        yield function, node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "type_params", "bases"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _code(child, function)


@dataclass(frozen=True)
class _Change:
    kind: str
    place: ast.expr | ast.stmt
    text: str


def _changes(node: ast.expr | ast.stmt) -> Iterator[_Change]:
    """What can be done to a node."""
    match node:
        case ast.Compare(ops=[first, *others]) if type(first) in COMPARISONS:
            flipped = ast.Compare(node.left, [COMPARISONS[type(first)](), *others], node.comparators)
            yield _expression("flip a comparison", node, flipped)
        case ast.IfExp(test=test) | ast.If(test=test) | ast.While(test=test):
            yield _expression("negate a condition", test, ast.UnaryOp(ast.Not(), test))
        case ast.BinOp(op=operator) if type(operator) in OPERATORS and not _is_text(node):
            yield _expression("another operator", node, ast.BinOp(node.left, OPERATORS[type(operator)](), node.right))
        case ast.Constant(value=bool(value)):
            yield _expression("another constant", node, ast.Constant(not value))
        case ast.Constant(value=int(value) | float(value)):
            yield _expression("another constant", node, ast.Constant(value + 1))
        case ast.Return(value=ast.expr()):
            yield _Change("drop a value that is returned", node, "return None")
        case ast.Expr() | ast.AugAssign() | ast.Raise():
            yield _Change("drop a statement", node, "pass")
        case ast.Call(args=[first, second, *rest]) if not any(isinstance(each, ast.Starred) for each in node.args):
            yield _expression("swap two arguments", node, ast.Call(node.func, [second, first, *rest], node.keywords))


def _expression(kind: str, place: ast.expr, changed: ast.expr) -> _Change:
    return _Change(kind, place, f"({ast.unparse(changed)})")


def _is_text(node: ast.BinOp) -> bool:
    """Whether texts are joined or formatted."""
    return any(
        isinstance(part, ast.JoinedStr) or (isinstance(part, ast.Constant) and isinstance(part.value, str))
        for part in ast.walk(node)
    )
