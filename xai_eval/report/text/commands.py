"""The commands that accept a case or find the cause of its drift, as pages and messages give them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xai_eval.errors import XaiEvalError
from xai_eval.gate.accept import BULK_ABOVE
from xai_eval.gate.judge_run import Judged
from xai_eval.media.shell import command, option, word
from xai_eval.result.fields import KINDS
from xai_eval.result.result import Case
from xai_eval.settings.read import load_settings
from xai_eval.store.default_folders import GOLDEN, RESULTS

PAGE_FILE = "index.html"
_REASON = '--reason "..."'
# What the names of models begin with that can be loaded by their name; any other was made by the code of a test.
MODELS = ("scenes:", "torchvision:", "places365:", "timm:", "hf:", "open_clip:", "file:")
# Names of cases in one command: many more, and a system refuses it.
MOST_NAMES = 2_000
_FEW = 5  # cases that a command names, although `--all` would be shorter
# What to type for a single case that is not named.
ACCEPT_ONE = "xai-eval accept CASE --reason ..."
_TYPED_IN: ContextVar[Path | None] = ContextVar("the folder in which commands are typed", default=None)


@dataclass(frozen=True)
class Folders:
    """The folders that commands name: the folder of the run, and that of the goldens that it is compared with.

    `part` says that the run left out some of its tests or images, so that `--all` would promise more than there is.
    """

    results: Path = RESULTS
    golden: Path = GOLDEN
    part: bool = False

    @property
    def page(self) -> Path:
        """The page of the run, relative to the working directory."""
        return _short(self.results / PAGE_FILE)


USUAL = Folders()


@contextlib.contextmanager
def typed_in(folder: Path) -> Iterator[None]:
    """Let commands be for somebody in `folder`, also where code of a user changed or removed the working directory."""
    before = _TYPED_IN.set(folder)
    try:
        yield
    finally:
        _TYPED_IN.reset(before)


def _here() -> Path:
    return _TYPED_IN.get() or Path.cwd()


def folders_to_accept(judged: Judged, results: Path, golden: Path) -> Folders | None:
    """Return the folders for commands on goldens; None for an incomplete run, of which nothing can be accepted."""
    return None if judged.gap else Folders(results, golden, part=judged.record.left_out_inputs)


def accept_command(key: str, results: Path, golden: Path) -> str:
    """Return the command that accepts the case `key` of the run in `results`, as typed in the working directory."""
    return command("accept", [key], *_folders(results, golden), *_tasks(KINDS.needed_files), _REASON)


def accept_cases_command(keys: Sequence[str], where: Folders, reason: str, *, everything: bool) -> str:
    """Return the one command that accepts the cases `keys`; `everything` if the run has no others to accept."""
    everything = everything and not (where.part and len(keys) <= _FEW)
    every, bulk = ["--all"] if everything else [], ["--bulk"] if len(keys) > BULK_ABOVE else []
    folders, tasks = _folders(where.results, where.golden), _tasks(KINDS.needed_files)
    return command("accept", [] if everything else keys, *every, *bulk, *folders, *tasks, f'--reason "{reason}"')


def prune_command(where: Folders) -> str:
    """Return the command that deletes the goldens which a complete run did not use."""
    return command("prune", [], *_folders(where.results, where.golden), *_tasks(KINDS.needed_files))


def explain_command(case: Case, results: Path, golden: Path, request: Mapping[str, Any] | None) -> str:
    """Return the command that finds the cause of the drift of a case, as typed in the working directory.

    `request` is the run's record of how the case was asked for; None for a test, which alone knows its model and
    images: `to_fill_in` says what to write in place of the capitals. A task that is neither bundled nor installed is
    found by its file, which the request names.
    """
    key = case.key
    if request is None:
        unknown = option("--model", case.model if _is_spec(case.model) else "MODEL"), "--images IMAGES"
        return command("explain-drift", [key], *_folders(results, golden), *unknown)
    own = [request["task_file"]] if request.get("task_file") else []
    programs = _programs(request)
    return command("explain-drift", [key], *_folders(results, golden), *programs, *_tasks([*own, *KINDS.needed_files]))


def to_fill_in(case: Case, request: Mapping[str, Any] | None) -> str:
    """Say what to write in place of capitals in the command of `explain_command`; empty if there are none."""
    if request is not None:
        return ""
    if _is_spec(case.model):
        return ", with the images of the test in place of IMAGES"
    return (
        ", with model and images of the test in place of MODEL and IMAGES (for a model that the test builds: "
        "file:PATH.py:FUNCTION, with a function that returns it)"
    )


def _is_spec(model: str) -> bool:
    return model.startswith(MODELS)


def _programs(request: Mapping[str, Any]) -> list[str]:
    """Return options that name model and methods in Python files: nothing that only stored data names is run."""
    model, methods = request.get("model"), (request.get("params") or {}).get("methods")
    every = list(map(str, methods)) if isinstance(methods, Sequence) else []
    named = [f"--methods {' '.join(map(word, every))}"] if any(map(_is_file, every)) else []
    return [*([option("--model", str(model))] if _is_file(model) else []), *named]


def _is_file(spec: object) -> bool:
    return isinstance(spec, str) and spec.startswith("file:")


def _tasks(files: Iterable[str]) -> list[str]:
    """Return options for the files of the user: a file with the task, and files with kinds of fields to be read."""
    short = dict.fromkeys(str(_short(Path(file))) for file in files)
    return [option("--tasks", file) for file in short]


def _folders(results: Path, golden: Path) -> list[str]:
    """Return options for folders that a command does not use by itself, so that the command is about this run."""
    usual = _usual()
    options = [("--results", _short(results), usual.results), ("--golden", _short(golden), usual.golden)]
    return [option(name, str(path)) for name, path, usual in options if path != usual]


def _usual() -> Folders:
    """Return the folders that a command in the working directory uses without options."""
    try:
        settings = load_settings(_here())
    except XaiEvalError:  # Then no command works, and each says why.
        return USUAL
    return Folders(_short(settings.reports), _short(settings.golden))


def _short(path: Path) -> Path:
    """Return the path relative to the working directory, if it is inside it."""
    here = _here()
    whole = here / path
    return whole.relative_to(here) if whole.is_relative_to(here) else whole
