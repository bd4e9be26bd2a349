"""Descriptions of the tasks: as the lines and the JSON of `xai-eval list`, and as the page docs/tasks.md."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xai_eval.tasks import Task
    from xai_eval.tasks.parameters import Parameter


def task_lines(tasks: Iterable[Task]) -> Iterator[str]:
    """Describe tasks in lines of text."""
    for task in tasks:
        yield f"{task.name}: {task.summary}"
        yield f"  model {task.model}, images {task.images}"
        usages = {name: f"{each.flag} {each.metavar}" for name, each in task.parameters.items()}
        width = min(34, max(map(len, usages.values()), default=0))
        for name, parameter in task.parameters.items():
            yield f"  {usages[name]:<{width}}  {_meaning(parameter)}"


def _meaning(parameter: Parameter) -> str:
    return f"{parameter.option.help} (default: {parameter.default_words})".strip()


def tasks_document(tasks: Iterable[Task]) -> list[dict[str, Any]]:
    """Describe tasks as JSON values."""
    return [
        {
            "task": task.name,
            "model": task.model,
            "images": task.images,
            "parameters": {name: _described(each) for name, each in task.parameters.items()},
            "summary": task.summary,
        }
        for task in tasks
    ]


def _described(parameter: Parameter) -> dict[str, Any]:
    choices = {"choices": list(parameter.choices)} if parameter.choices else {}
    default = list(parameter.default) if isinstance(parameter.default, tuple) else parameter.default
    described = {
        "type": parameter.type_name,
        **choices,
        "default": default,
        "default_in_words": parameter.default_words,
    }
    return {**described, "help": parameter.option.help}


def tasks_page(tasks: Iterable[Task]) -> str:
    """Describe tasks as a page of Markdown."""
    return "\n".join([_HEAD, *(line for task in tasks for line in _section(task))])


_HEAD = """# Tasks and their parameters

`python docs/make_reference.py` makes this page from the signatures of the bundled tasks: edit those, not this page.
In Python, a parameter is a keyword of `xai_eval.evaluate`; on the command line, `num_samples` is `--num-samples`.
"""


def _section(task: Task) -> Iterator[str]:
    yield f"## {task.name}\n"
    yield f"{task.summary} Without options it explains `{task.model}` on `{task.images}`.\n"
    yield "| parameter | type | default | meaning |"
    yield "|---|---|---|---|"
    for each in task.parameters.values():
        type_name = ", ".join(f"`{choice}`" for choice in each.choices) or each.type_name
        default = each.default_words if each.default is None else f"`{each.default_words}`"
        yield f"| `{each.name}` | {type_name} | {default} | {each.option.help} |"
    yield ""
