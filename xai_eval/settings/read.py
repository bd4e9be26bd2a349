"""Reads a configuration file into `Settings`. Checks names and types; only tasks know what their parameters may be."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from xai_eval.disk.typed import spelled
from xai_eval.errors import UsageError, unknown_name
from xai_eval.result.precisions import check_precision
from xai_eval.settings.engine import LOCAL, Engine
from xai_eval.settings.find import OWN_FILE, Document, find_document
from xai_eval.settings.settings import NO_SETTINGS, Entry, FieldTolerances, Settings
from xai_eval.store.default_folders import GOLDEN, RESULTS
from xai_eval.store.upgrade_policy import Decides, Policy

_ENGINE = ("engine", "workers", "gpus_per_worker")
_TOGETHER = ("golden", "reports", "models", "images", "device", "precision", *_ENGINE)
_MOST_DAYS = 36_500  # of a quarantine; a day far ahead has no date
_ALL = (*_TOGETHER, "tasks_files", "suite", "tolerances", "upgrades", "quarantine_days", "profile")


def load_settings(start: Path | None = None, profile: str | None = None) -> Settings:
    """Find and read the configuration of a repository.

    Args:
        start: the folder to look in, and then in those above it; the working directory if None.
        profile: name of the profile whose values replace those of the file; none if None.

    Returns:
        What the file says; the defaults if there is no file.

    Raises:
        UsageError: the file is not valid, has an unknown key or a value of a wrong type, or has no such profile.
        InputUnavailable: the file cannot be read.
    """
    document = find_document(start or Path.cwd())
    if document is not None:
        return read_settings(document, profile)
    if profile is not None:
        raise UsageError(f"profile {profile!r}: there is no configuration file here. `xai-eval init` writes one.")
    return NO_SETTINGS


def read_settings(document: Document, profile: str | None = None) -> Settings:
    """Check a configuration and return what it says. Raises UsageError as `load_settings` does."""
    place, table = document.place, document.table
    hint = ""
    if "tool" in table and document.file.name == OWN_FILE:
        hint = f"In {OWN_FILE} the keys stand at the top of the file, without [tool.xai_eval]."
    _refuse_unknown(table, _ALL, place, hint)
    profiles = {name: _profile(place, name, each) for name, each in _table(table, "profile", place).items()}
    if profile is not None and not profiles:
        raise UsageError(f"{place} has no profile, and so none named {profile!r}. See docs/configuration.md.")
    if profile is not None and profile not in profiles:
        raise UsageError(f"{place}: {unknown_name('profile', profile, profiles)}")
    chosen = {**table, **(profiles[profile] if profile is not None else {})}
    near = functools.partial(_near, document.file.parent)
    return Settings(
        file=document.file,
        root=document.file.parent,
        golden=Path(near(_text(chosen, "golden", place) or str(GOLDEN))),
        reports=Path(near(_text(chosen, "reports", place) or str(RESULTS))),
        task_files=[near(each) for each in _texts(table, "tasks_files", place) or ()],
        models=_texts(chosen, "models", place),
        images=_texts(chosen, "images", place),
        device=_text(chosen, "device", place) or NO_SETTINGS.device,
        precision=_precision(chosen, place) or NO_SETTINGS.precision,
        engine=_engine(chosen, place),
        suite=_suite(table.get("suite", []), place),
        tolerances=_tolerances(_table(table, "tolerances", place), place),
        quarantine_days=_days(table, place),
        policy=_policy(_table(table, "upgrades", place), place),
    )


def _near(root: Path, path: str) -> str:
    """Return a path of the file as seen from the working directory: as it is written, if the file is there, too."""
    return path if root == Path.cwd() else str(root / Path(path).expanduser())


def _profile(place: str, name: str, table: Any) -> Mapping[str, Any]:
    where = f"{place}, profile.{name}"
    if not isinstance(table, dict):
        raise _wrong(place, f"profile.{name}", table, "a table")
    _refuse_unknown(table, _TOGETHER, where)
    _engine(table, where)
    _precision(table, where)
    for key in table.keys() - set(_ENGINE):
        (_texts if key in ("models", "images") else _text)(table, key, where)
    return table


def _engine(table: Mapping[str, Any], place: str) -> Engine:
    try:
        return Engine(_text(table, "engine", place) or LOCAL, table.get("workers"), table.get("gpus_per_worker"))
    except UsageError as error:
        raise error if str(error).startswith(place) else UsageError(f"{place}: {error}") from None


def _precision(table: Mapping[str, Any], place: str) -> str | None:
    given = _text(table, "precision", place)
    try:
        return None if given is None else check_precision(given)
    except UsageError as error:
        raise UsageError(f"{place}: {error}") from None


def _suite(entries: Any, place: str) -> tuple[Entry, ...]:
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise _wrong(
            place, "suite", entries, "tables, each below [[suite]] (in pyproject.toml [[tool.xai_eval.suite]])"
        )
    return tuple(_entry(each, f"{place}, suite {number}") for number, each in enumerate(entries, 1))


def _entry(table: Mapping[str, Any], place: str) -> Entry:
    task = _text(table, "task", place)
    if task is None:
        raise UsageError(f'{place} names no task. Add task = "cams", or another that `xai-eval list` names.')
    where = f"{place} ({task})"
    # A task may have a parameter `layers` that takes a list of its own, so both are kept until the task is known.
    known = ("task", "models", "images", "device", "precision")
    return Entry(
        task=task,
        where=where,
        models=_texts(table, "models", where),
        images=_texts(table, "images", where),
        device=_text(table, "device", where),
        precision=_precision(table, where),
        params={name: value for name, value in table.items() if name not in known},
    )


def _tolerances(table: Mapping[str, Any], place: str) -> dict[str, FieldTolerances]:
    found: dict[str, FieldTolerances] = {}
    for task in table:
        fields = _table(table, task, f"{place}, tolerances")
        found[task] = {name: _tolerance(each, f"tolerances.{task}.{name}", place) for name, each in fields.items()}
    return found


def _policy(table: Mapping[str, Any], place: str) -> Policy:
    _refuse_unknown(table, [each.name for each in dataclasses.fields(Policy)], f"{place}, upgrades")
    for name, value in table.items():
        if value not in list(Decides):
            raise _wrong(place, f"upgrades.{name}", value, f"one of {', '.join(f'{each.value!r}' for each in Decides)}")
    return Policy(**{name: Decides(value) for name, value in table.items()})


def _tolerance(value: Any, key: str, place: str) -> float | Mapping[str, float]:
    if isinstance(value, dict):
        return {name: _number(each, f"{key}.{name}", place) for name, each in value.items()}
    return _number(value, key, place)


def _number(value: Any, key: str, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value >= 0):
        raise _wrong(place, key, value, "a number of at least 0, or a table of such numbers")
    return float(value)


def _days(table: Mapping[str, Any], place: str) -> int:
    value = table.get("quarantine_days", NO_SETTINGS.quarantine_days)
    if type(value) is not int or not 1 <= value <= _MOST_DAYS:
        raise _wrong(place, "quarantine_days", value, f"a whole number of days from 1 to {_MOST_DAYS:,}")
    return value


def _table(table: Mapping[str, Any], key: str, place: str) -> Mapping[str, Any]:
    value = table.get(key, {})
    if not isinstance(value, dict):
        raise _wrong(place, key, value, "a table")
    return value


def _text(table: Mapping[str, Any], key: str, place: str) -> str | None:
    value = table.get(key)
    if value is not None and not _is_text(value):
        raise _wrong(place, key, value, "a text")
    return value


def _is_text(value: object) -> bool:
    """Whether a value can be a spec or a path; no name of a file has a null character."""
    return isinstance(value, str) and bool(value) and "\0" not in value


def _texts(table: Mapping[str, Any], key: str, place: str) -> tuple[str, ...] | None:
    """Return a list of texts; one text alone counts as a list of one."""
    value = table.get(key)
    if value is None:
        return None
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not listed or not all(map(_is_text, listed)):
        raise _wrong(place, key, value, 'one or more texts, such as ["one", "two"]')
    return tuple(listed)


def _wrong(place: str, key: str, value: object, expected: str) -> UsageError:
    return UsageError(f"{place}: {key} is {spelled(value)}; expected {expected}.")


def _refuse_unknown(table: Mapping[str, Any], known: Collection[str], place: str, hint: str = "") -> None:
    unknown: Sequence[str] = [key for key in table if key not in known]
    if unknown:
        raise UsageError(f"{place}: {unknown_name('key', unknown[0], known, hint=hint)}")
