"""Make the pages docs/tasks.md and docs/api.md from the code.

python docs/make_reference.py
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

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

`python docs/make_reference.py` makes this page from the docstrings: edit those, not this page. All names are imported
from `xai_eval`; `help(xai_eval.NAME)` says more. [how-to/write-a-task.md](how-to/write-a-task.md) and
[how-to/bare-results.md](how-to/bare-results.md) use some of them.
"""


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


def pages() -> dict[Path, str]:
    """Return both pages by file."""
    return {_DOCS / "tasks.md": tasks_page(map(find_task, BUNDLED)), _DOCS / "api.md": api_page()}


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text)
        print(path)
