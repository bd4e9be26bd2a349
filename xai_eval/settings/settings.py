"""What a configuration file says, as records. docs/configuration.md describes the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xai_eval.result.precisions import DEFAULT
from xai_eval.settings.engine import IN_THIS_PROCESS, Engine
from xai_eval.store.default_folders import GOLDEN, RESULTS
from xai_eval.store.quarantine import LONGEST_DAYS
from xai_eval.store.upgrade_policy import DEFAULT_POLICY, Policy

# By the name of a field: one number, or numbers by their names (parts of a tolerance, or columns of a table).
FieldTolerances = Mapping[str, float | Mapping[str, float]]


@dataclass(frozen=True)
class Entry:
    """One `[[suite]]`: a task, run with every model on every image set and for every layer.

    Attributes:
        task: name of the task.
        where: place in the file, for error messages, such as `xai_eval.toml, suite 2 (cams)`; empty if the entry comes
            from the command line.
        models: specs; those of the whole file, or else the one of the task, if None.
        images: specs, in the same way.
        device: `auto`, `cpu`, `cuda`, ...; that of the whole file if None.
        precision: in which the model computes; that of the whole file if None.
        layers: names of layers, one run for each; the default layer if None.
        params: parameters of the task.
    """

    task: str
    where: str = ""
    models: Sequence[str] | None = None
    images: Sequence[str] | None = None
    device: str | None = None
    precision: str | None = None
    layers: Sequence[str] | None = None
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Settings:
    """What a configuration file says; the defaults are those of a repository without one.

    Attributes:
        file: the file; None if there is none.
        root: the folder in which factories are called; the working directory if None.
        golden: folder of goldens, as seen from the working directory.
        reports: folder of runs, as seen from the working directory.
        task_files: Python files with tasks of the user, as seen from the working directory.
        models: specs of models, as they are written; None if the file names none.
        images: specs of images, as they are written; None if the file names none.
        device: `auto`, `cpu`, `cuda`, ...
        precision: in which models compute, one of `PRECISIONS`.
        engine: where a run computes.
        suite: the entries, in order.
        tolerances: what may differ in the fields of each task, by the name of the task.
        quarantine_days: how many days ahead the last day of a quarantine may lie.
        policy: what decides after a change that is on record.
    """

    file: Path | None = None
    root: Path | None = None
    golden: Path = GOLDEN
    reports: Path = RESULTS
    task_files: Sequence[str] = ()
    models: Sequence[str] | None = None
    images: Sequence[str] | None = None
    device: str = "auto"
    precision: str = DEFAULT
    engine: Engine = IN_THIS_PROCESS
    suite: Sequence[Entry] = ()
    tolerances: Mapping[str, FieldTolerances] = field(default_factory=dict)
    quarantine_days: int = LONGEST_DAYS
    policy: Policy = DEFAULT_POLICY

    @property
    def name(self) -> str:
        """The file as messages name it: without folders if it is in the working directory."""
        return shown(self.file) if self.file else "the configuration file"


NO_SETTINGS = Settings()


def shown(file: Path) -> str:
    """Return a path without the working directory."""
    return str(file.relative_to(Path.cwd()) if file.is_relative_to(Path.cwd()) else file)
