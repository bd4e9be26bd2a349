"""Make the pages docs/tasks.md and docs/api.md from the code.

python docs/make_reference.py
"""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import xai_eval
from xai_eval.cli.listing import tasks_page
from xai_eval.result.bundled_tasks import BUNDLED
from xai_eval.tasks import find_task

_DOCS = Path(__file__).parent
_GROUPS = {
    "Run and judge": ("evaluate", "judge", "Verdict"),
    "Inputs": (
        "load_model",
        "load_images",
        "Classifier",
        "OutputKind",
        "Preprocessing",
        "ImageSet",
        "LabelledImage",
        "ProbeSet",
    ),
    "Tasks of your own": ("image_task", "Subject", "task", "Option", "Results"),
    "Results": (
        "Result",
        "Case",
        "Provenance",
        "Fingerprint",
        "fingerprint_array",
        "fingerprint_text",
        "Stage",
        "StageKind",
        "OwnKind",
    ),
    "Kinds of fields, and their tolerances": (
        "Field",
        "register",
        "Difference",
        "Statement",
        "Severity",
        "Shift",
        "Heatmap",
        "HeatmapTolerance",
        "SignedMap",
        "SignedMapTolerance",
        "Mask",
        "Segments",
        "Weights",
        "SeedTolerance",
        "Table",
        "Curve",
        "Score",
        "Label",
        "Ranking",
        "UnitLabels",
        "InputImage",
        "Gallery",
        "Document",
    ),
    "Errors": (
        "XaiEvalError",
        "UsageError",
        "InputUnavailable",
        "ModelMisbehaves",
        "MetricMisbehaves",
        "LibraryMisbehaves",
        "StorageError",
    ),
}
_HEAD = """# Public names

All names are imported from `xai_eval`. Each group begins with a table; what each name takes, returns and raises comes
after it.
[Write a task](how-to/write-a-task.md) and [Check an explanation of your own](how-to/bare-results.md) use some of them.
The examples are run in the tests. (`python docs/make_reference.py` makes this page from the docstrings: edit those.)
"""
_SECTION = re.compile(r"^(Args|Attributes|Returns|Raises|Example):$", re.MULTILINE)
_TITLES = {"Args": "Takes", "Attributes": "Attributes", "Returns": "Returns", "Raises": "Raises", "Example": "Example"}
_ENTRY = re.compile(r"^(\*{0,2}\w+): ", re.MULTILINE)
_ANNOTATION = re.compile(r""": (['"])(.*?)\1""")
_WIDEST = 100


def api_page() -> str:
    """Describe the public names as a page of Markdown."""
    return "\n".join([_HEAD, *(line for title, names in _GROUPS.items() for line in _section(title, names))])


def _section(title: str, names: tuple[str, ...]) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| name | what it is |"
    yield "|---|---|"
    for name in names:
        first = (inspect.getdoc(getattr(xai_eval, name)) or "").split("\n\n", 1)[0].replace("\n", " ")
        yield f"| `{name}` | {first.replace('|', chr(92) + '|')} |"
    yield ""
    for name in names:
        yield from _details(name)


def _details(name: str) -> Iterator[str]:
    """Yield how a name is called, its docstring, and its public methods and properties."""
    documented = getattr(xai_eval, name)
    yield f"### {name}\n"
    if not _is_plain(documented):
        yield f"```py\n{_call(name, documented)}\n```\n"
    yield _markdown(inspect.getdoc(documented) or "")
    members = list(_members(documented)) if inspect.isclass(documented) else []
    if members:
        yield "\n".join(["**Also**\n", *members, ""])


def _is_plain(documented: object) -> bool:
    """Whether how it is called says nothing: an error is raised by xai_eval, a value of an enumeration is named."""
    return inspect.isclass(documented) and issubclass(documented, (Exception, enum.Enum, str))


def _call(name: str, documented: Any) -> str:
    """Return the call in one line, or with one parameter in each line."""
    parameters = [_without_long_default(each) for each in inspect.signature(documented).parameters.values()]
    words = [_ANNOTATION.sub(r": \2", str(each)).replace("Ellipsis", "...") for each in parameters]
    by_name = [place for place, each in enumerate(parameters) if each.kind is inspect.Parameter.KEYWORD_ONLY]
    if by_name:
        words.insert(by_name[0], "*")
    whole = f"{name}({', '.join(words)})"
    return whole if len(whole) <= _WIDEST else "\n    ".join([f"{name}(", *(f"{each}," for each in words)]) + "\n)"


def _without_long_default(parameter: inspect.Parameter) -> inspect.Parameter:
    """Leave out a default whose text says less than that there is one."""
    told = "" if parameter.default is parameter.empty else repr(parameter.default)
    long = len(told) > 30 or told == "<factory>"
    return parameter.replace(default=...) if long else parameter


def _markdown(docstring: str) -> str:
    """Return a docstring with its sections as lists."""
    opening, *sections = _SECTION.split(docstring)
    texts = [_escaped(opening.strip()), ""]
    for title, body in zip(sections[::2], sections[1::2], strict=True):
        texts += [f"**{_TITLES[title]}**", "", _body(title, inspect.cleandoc(body)), ""]
    return "\n".join(texts).rstrip("\n") + "\n"


def _body(title: str, body: str) -> str:
    if title == "Example":
        return f"```py\n{body}\n```"
    if title == "Returns":
        return _escaped(body)
    return re.sub(r"^\s+", "  ", _ENTRY.sub(lambda found: f"* `{found[1]}`: ", _escaped(body)), flags=re.MULTILINE)


def _escaped(text: str) -> str:
    """Mask what Markdown would take for HTML, outside of code."""
    return re.sub(r"<(?=\w)(?=[^`\n]*(?:`[^`\n]*`[^`\n]*)*$)", "&lt;", text, flags=re.MULTILINE)


def _members(documented: type) -> Iterator[str]:
    """Yield the public methods and properties that a class itself defines, each with its first sentence."""
    for name, member in vars(documented).items():
        found = getattr(member, "__func__", member)
        callable_or_property = inspect.isfunction(found) or isinstance(found, (property, cached_property))
        text = inspect.getdoc(found)
        if callable_or_property and text and not name.startswith("_"):
            called = "(...)" if inspect.isfunction(found) else ""
            yield f"* `{name}{called}`: {_escaped(text.split(chr(10) * 2, 1)[0].replace(chr(10), ' '))}"


def pages() -> dict[Path, str]:
    """Return both pages by file."""
    return {_DOCS / "tasks.md": tasks_page(map(find_task, BUNDLED)), _DOCS / "api.md": api_page()}


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
        print(path)
