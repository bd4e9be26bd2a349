"""What a command line asks for: the suite of the configuration file, with what the command line gives in its place."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from xai_eval.cli.task_options import given_layers, given_names, given_parameters, refuse_others
from xai_eval.errors import UsageError
from xai_eval.media.terminal import tell
from xai_eval.settings.engine import IN_THIS_PROCESS, LOCAL, Engine
from xai_eval.settings.settings import Entry, Settings

if TYPE_CHECKING:
    from xai_eval.run.suite import Request


def asked(options: argparse.Namespace) -> list[Request]:
    """Return one request per task, model, image set and layer that the command line asks for.

    Raises:
        UsageError: a task or parameter is unknown, a value is not valid, or something is asked for twice.
        InputUnavailable: a file with tasks cannot be run.
    """
    from xai_eval.run.suite import completed, requests_of
    from xai_eval.tasks import find_task, load_task_file

    settings: Settings = options.settings
    theirs = [name for file in settings.task_files for name in load_task_file(file)]
    own = [name for file in options.task_files for name in load_task_file(file)]
    named = _entries(settings, options.task or own, theirs or _usable_tasks())
    entries = [completed(each, settings) for each in named]
    tasks = [find_task(name) for name in dict.fromkeys(each.task for each in entries)]
    refuse_others(options, tasks)
    where = dataclasses.replace(settings, engine=_engine(options))
    return requests_of([_overridden(each, options) for each in entries], where)


def _engine(options: argparse.Namespace) -> Engine:
    """Return where to compute. Only `run` has a choice: other commands compute the same case again and again."""
    if options.command != "run":
        return IN_THIS_PROCESS
    given = {name: getattr(options, name) for name in ("workers", "gpus_per_worker")}
    own = {name: value for name, value in given.items() if value is not None}
    usual: Engine = options.settings.engine
    found = dataclasses.replace(usual, **own)
    found = dataclasses.replace(found, name=options.engine) if options.engine else found
    if own and found.name == LOCAL:
        raise UsageError(f"--{next(iter(own)).replace('_', '-')} is for the workers of a cluster. Add --engine ray.")
    return found


def _usable_tasks() -> list[str]:
    """Return the names of all tasks but those whose library is not installed, which are named in a warning."""
    from xai_eval.tasks import all_tasks

    for task in all_tasks().values():
        if not task.usable:
            tell(
                f"xai-eval: warning: task {task.name} is left out, because {task.needs} is not installed. Run: pip "
                f"install 'xai-eval[{task.needs}]'."
            )
    return [task.name for task in all_tasks().values() if task.usable]


def _entries(settings: Settings, named: list[str], usual: list[str]) -> Iterator[Entry]:
    """Yield the entries of the named tasks, or else of the whole suite; for a task without entries, a plain one."""
    for task in dict.fromkeys(named):
        yield from [each for each in settings.suite if each.task == task] or [Entry(task)]
    if not named:
        yield from settings.suite or [Entry(task) for task in usual]


def _overridden(entry: Entry, options: argparse.Namespace) -> Entry:
    from xai_eval.tasks import find_task

    task = find_task(entry.task)
    layers, given = given_layers(options, task), given_parameters(options, task)
    kept = {name: value for name, value in entry.params.items() if not (layers and name in ("layer", "layers"))}
    return dataclasses.replace(
        entry,
        models=_models(options, entry.models, task.model),
        images=options.images or entry.images,
        device=options.device or entry.device,
        precision=options.precision or entry.precision,
        layers=layers or entry.layers,
        params={**kept, **given},
    )


def _models(options: argparse.Namespace, named: Sequence[str] | None, usual: str) -> Sequence[str] | None:
    models = options.model or named
    told = {name: getattr(options, name) for name in ("output", "reshape", "similar_to", "box")}
    if all(value is None for value in told.values()):
        return models
    from xai_eval.inputs.models.model_options import with_options

    return [with_options(spec, **told) for spec in models or [usual]]


def narrowed(options: argparse.Namespace) -> bool:
    """Whether parameters of the command line replace those of the suite: then goldens of the others are not unused."""
    return bool(options.settings.suite and given_names(options))


def tell_settings(options: argparse.Namespace) -> None:
    """Say on standard error which configuration file is used, and what the command line replaces in it."""
    settings: Settings = options.settings
    if settings.file is None:
        return
    inputs = [name for name in ("model", "images", "device", "precision") if getattr(options, name)]
    names = [*inputs, *given_names(options)]
    replaced = " and ".join(f"--{name.replace('_', '-')}" for name in names)
    unlisted = [name for name in options.task if not any(each.task == name for each in settings.suite)]
    told = [f"the settings of {settings.name} are used"]
    told += [f"{replaced} of the command line in place of what it says"] if replaced else []
    told += (
        [f"it has no suite of {' or '.join(unlisted)}, which takes what holds for the whole file"] if unlisted else []
    )
    tell(f"xai-eval: {'; '.join(told)}.")


def tell_bundled(options: argparse.Namespace, requests: Sequence[Request]) -> None:
    """Without a configuration file, say which bundled model and images are used where nobody named any."""
    from xai_eval.tasks import find_task

    if options.quiet or options.settings.file is not None:
        return
    models = dict.fromkeys(find_task(each.task).model for each in requests if each.model is None)
    images = dict.fromkeys(find_task(each.task).images for each in requests if each.images is None)
    named = {"model": ", ".join(filter(None, models)), "images": ", ".join(filter(None, images))}
    used = {f"--{name}": f"{name} {specs}" for name, specs in named.items() if specs}
    if used:
        tell(
            f"xai-eval: no configuration file here, so this bundled input is used: {' and '.join(used.values())}. Name "
            f"your own with {' and '.join(used)}, or in a file that `xai-eval init` begins."
        )
