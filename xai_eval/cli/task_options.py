"""Options of the command line for the parameters of tasks, made from the signatures of the tasks."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from xai_eval.errors import UsageError

if TYPE_CHECKING:
    from xai_eval.tasks import Task
    from xai_eval.tasks.parameters import Parameter

# In the parsed options, this prefix tells parameters of tasks from options of the command.
_PREFIX = "param_"
_FILE_OPTION = "--tasks"
# A task explains one layer per run. If several are given, it runs once for each.
LAYER = "layer"


def add_task_files(command: argparse.ArgumentParser) -> None:
    """Add the option that names Python files with tasks of the user."""
    text = "Python file with tasks of your own; may be given several times"
    command.add_argument(_FILE_OPTION, action="append", default=[], metavar="FILE.py", dest="task_files", help=text)


def task_files(words: Sequence[str]) -> list[str]:
    """Return the task files that a command line names: they are loaded first, because they add options."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    add_task_files(parser)
    files: list[str] = parser.parse_known_args(words)[0].task_files
    return files


def add_task_options(command: argparse.ArgumentParser, tasks: Iterable[Task]) -> None:
    """Add one option per parameter: first the parameters that several tasks share, then the others, grouped by task."""
    taking: dict[str, list[tuple[str, Parameter]]] = {}
    for task in tasks:
        for name, parameter in task.parameters.items():
            taking.setdefault(name, []).append((task.name, parameter))
    groups: dict[str, list[list[tuple[str, Parameter]]]] = {"parameters of several tasks": []}
    for each in taking.values():
        title = "parameters of several tasks" if len(each) > 1 else f"parameters of {each[0][0]}"
        groups.setdefault(title, []).append(each)
    for title, options in groups.items():
        group = command.add_argument_group(title)
        for each in options:
            _add_option(group, each)


def _add_option(group: Any, taking: Sequence[tuple[str, Parameter]]) -> None:
    parameters = [parameter for _, parameter in taking]
    first = parameters[0]
    several = [each.many or each.pairs for each in parameters]
    # Bundled tasks come first, so that tasks of users do not change how options of bundled tasks are written.
    layer = first.name == LAYER and not any(several)
    repeated = layer or (any(several) and not several[0])
    words = [*_help_lines(taking), *_repeating(repeated, layer)]
    group.add_argument(
        first.flag,
        dest=f"{_PREFIX}{first.name}",
        metavar=first.metavar,
        action="append" if repeated else "extend" if several[0] else "store",
        nargs="+" if several[0] else None,
        help="; ".join(words).replace("%", "%%"),
    )


def _repeating(repeated: bool, layer: bool) -> list[str]:
    if not repeated:
        return []
    return ["give it again to explain another layer, too" if layer else "give it again for another value"]


def _help_lines(taking: Sequence[tuple[str, Parameter]]) -> Iterator[str]:
    """Yield what a parameter means, with the default that each task gives it."""
    meanings: dict[str, dict[str, list[str]]] = {}
    for task, parameter in taking:
        defaults = meanings.setdefault(parameter.option.help, {})
        defaults.setdefault(parameter.default_words, []).append(task)
    for meaning, defaults in meanings.items():
        if len(taking) == 1:
            said = f"(default: {next(iter(defaults))})"
        else:
            said = f"(default of {'; of '.join(f'{_and(tasks)}: {words}' for words, tasks in defaults.items())})"
        yield f"{meaning} {said}".strip()


def _and(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else names[0]


def given_names(options: argparse.Namespace) -> list[str]:
    """Return the names of the task parameters that the command line gave."""
    return [name.removeprefix(_PREFIX) for name, value in _given(options).items() if value is not None]


def given_parameters(options: argparse.Namespace, task: Task) -> dict[str, Any]:
    """Return the parameters that the command line gave for one task, converted to the types of its signature.

    Raises:
        UsageError: the signature does not allow a value.
    """
    given = _given(options)
    words = {name: given.get(f"{_PREFIX}{name}") for name in task.parameters}
    if given_layers(options, task):
        del words[LAYER]
    return {name: task.parameters[name].read(each) for name, each in words.items() if each is not None}


def given_layers(options: argparse.Namespace, task: Task) -> list[str]:
    """Return the layers that the command line gave for a task that explains one layer per run; empty for another."""
    words = _given(options).get(f"{_PREFIX}{LAYER}")
    return list(words or ()) if LAYER in task.parameters and not task.parameters[LAYER].many else []


def refuse_others(options: argparse.Namespace, tasks: Sequence[Task]) -> None:
    """Raise UsageError if the command line gave a parameter that none of the tasks takes."""
    for name in given_names(options):
        if not any(name in task.parameters for task in tasks):
            names = " or ".join(task.name for task in tasks)
            raise UsageError(f"--{name.replace('_', '-')} is no parameter of {names}. {_what_takes(name)}")


def _what_takes(name: str) -> str:
    from xai_eval.tasks import all_tasks

    takers = [task.name for task in all_tasks().values() if name in task.parameters]
    return f"It belongs to {', '.join(takers)}: name the task that you mean, or leave the option out."


def _given(options: argparse.Namespace) -> Mapping[str, Any]:
    return {name: value for name, value in vars(options).items() if name.startswith(_PREFIX)}
