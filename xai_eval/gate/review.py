"""What a reviewer has to look at: which goldens, tolerances, settings and quarantine entries differ from a branch."""

from __future__ import annotations

import datetime
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xai_eval.disk.door import read_bytes
from xai_eval.disk.files import write_files
from xai_eval.errors import StorageError
from xai_eval.gate.configuration import Configuration
from xai_eval.gate.judge import judge
from xai_eval.gate.unwatched import Unwatched, unwatched_parts
from xai_eval.gate.verdict import Verdict
from xai_eval.result.fields import Field
from xai_eval.result.fields.storage import to_stored
from xai_eval.result.result import ARRAYS_FILE, RESULT_FILE, Result
from xai_eval.store.git_base import GitBase
from xai_eval.store.goldens import Goldens
from xai_eval.store.history import HISTORY_FILE, Acceptance, read_history
from xai_eval.store.noise import NOISE_FILE
from xai_eval.store.quarantine import QUARANTINE_FILE

_FILES = (RESULT_FILE, ARRAYS_FILE, HISTORY_FILE, NOISE_FILE)


@dataclass(frozen=True)
class GoldenChange:
    """One golden that differs.

    Attributes:
        key: case key, or the folder of something else.
        kind: `new`, `changed`, `removed`, or `beside it` if only files beside the golden differ.
        files: which of its files differ.
        problem: why the golden, as it is now or as it was, cannot be read or believed; empty if both can.
        acceptance: the last entry of its history; None if there is none.
        entered: whether this entry is new.
        verdict: the golden as it is now, judged by the one before; None unless both can be read.
        lost: what the golden held before and holds no longer, so that nothing watches it any more.
        tolerances: changed tolerances that the golden states, as text. They have no effect on a check.
        before: the golden as it was.
        now: the golden as it is.
    """

    key: str
    kind: str
    files: tuple[str, ...]
    problem: str = ""
    acceptance: Acceptance | None = None
    entered: bool = False
    verdict: Verdict | None = None
    lost: tuple[Unwatched, ...] = ()
    tolerances: tuple[str, ...] = ()
    before: Result | None = None
    now: Result | None = None


@dataclass(frozen=True)
class Review:
    """Everything that differs from a branch and may change what a check says.

    Attributes:
        commit: hash of the commit that it is compared with.
        goldens: the goldens that differ, by key.
        settings: changed values of the configuration file, as text.
        quarantine: changed entries of the quarantine, as text.
    """

    commit: str
    goldens: tuple[GoldenChange, ...]
    settings: tuple[str, ...]
    quarantine: tuple[str, ...]


def review(base: GitBase, goldens: Goldens, configuration: Sequence[Configuration]) -> Review:
    """Compare goldens, configuration and quarantine with those of a commit.

    Args:
        base: the commit.
        goldens: the folder of goldens as it is now.
        configuration: the tables that may configure xai-eval, or pytest.

    Raises:
        UsageError: the goldens, or a file, are not in the repository, or a link to the goldens leads out of it.
    """
    quarantine = Configuration(goldens.folder.resolve() / QUARANTINE_FILE, ())
    return Review(
        base.commit,
        tuple(_golden_changes(base, goldens)),
        (*_of_links(base, goldens.folder), *(line for each in configuration for line in _of_settings(base, each))),
        tuple(f"{QUARANTINE_FILE}: {line}" for line in _differences(base, quarantine)),
    )


def _of_links(base: GitBase, folder: Path) -> Iterator[str]:
    for place, (was, now) in base.links(folder).items():
        led, leads = (f"a link to {each}" if each else "no link" for each in (was, now))
        yield f"{place.as_posix()}: {led} became {leads}"


def _golden_changes(base: GitBase, goldens: Goldens) -> Iterator[GoldenChange]:
    folder = goldens.folder.resolve()
    root = base.from_root(folder)
    files: dict[Path, list[str]] = {}
    for path in base.changed(folder):
        parts = path.relative_to(root).parts
        if len(parts) == 3 and parts[2] in _FILES:
            files.setdefault(path.parent, []).append(parts[2])
    for place, names in files.items():
        key = f"{place.parent.name}/{place.name}"
        yield _golden_change(key, tuple(names), goldens, {name: base.content(place / name) for name in _FILES})


def _golden_change(
    key: str, names: tuple[str, ...], goldens: Goldens, former: Mapping[str, bytes | None]
) -> GoldenChange:
    place = goldens.folder / key
    with tempfile.TemporaryDirectory() as folder:
        write_files(Path(folder), {name: content for name, content in former.items() if content is not None})
        before, problem_before = _read(Path(folder)) if former[RESULT_FILE] is not None else (None, "")
        entries_before = _history(Path(folder))
    now, problem = _read(place, goldens) if (place / RESULT_FILE).exists() else (None, "")
    entries = _history(place)
    return GoldenChange(
        key=key,
        kind=_kind(names, former[RESULT_FILE] is not None, (place / RESULT_FILE).exists()),
        files=names,
        problem="; ".join(filter(None, [problem, problem_before and f"before: {problem_before}"])),
        acceptance=entries[-1] if entries else None,
        entered=bool(entries) and entries[-1] not in entries_before,
        verdict=judge(now, before) if now and before else None,
        lost=unwatched_parts(before, now) if now and before else (),
        tolerances=tuple(_tolerances(before, now)) if now and before else (),
        before=before,
        now=now,
    )


def _kind(names: tuple[str, ...], was: bool, is_now: bool) -> str:
    if was and is_now:
        return "changed" if {RESULT_FILE, ARRAYS_FILE} & {*names} else "beside it"
    return "new" if is_now else "removed"


def _read(place: Path, goldens: Goldens | None = None) -> tuple[Result | None, str]:
    """Read a golden. One that nobody vouches for is read as well, because a reviewer has to see it."""
    try:
        found = Result.load(place)
    except StorageError as error:
        return None, str(error)
    try:
        if goldens is not None:
            goldens.load(found.case)
    except StorageError as error:
        return found, str(error)
    return found, ""


def _history(place: Path) -> list[Acceptance]:
    try:
        return read_history(place)
    except StorageError:
        return []  # why it cannot be read is told with the golden


def _tolerances(before: Result, now: Result) -> Iterator[str]:
    for name, field in now.fields.items():
        was = before.fields.get(name)
        if was is not None and was.kind == field.kind and _stated(was) != _stated(field):
            yield f"{name}: {json.dumps(_stated(was))} became {json.dumps(_stated(field))}"


def _stated(field: Field) -> Any:
    stated = getattr(field, field.tolerance_attribute, None)
    return dict(stated) if isinstance(stated, Mapping) else to_stored(stated)


def _of_settings(base: GitBase, place: Configuration) -> Iterator[str]:
    name = base.from_root(place.file).as_posix()
    shown = f"{name} of pytest" if place.of_pytest else name
    yield from (f"{shown}: {line}" for line in _differences(base, place))


def _differences(base: GitBase, place: Configuration) -> Iterator[str]:
    name = base.from_root(place.file)
    was, now = _table(base.content(name), place), _table(_current(place.file), place)
    for key in dict.fromkeys((*was, *now)):
        if was.get(key) != now.get(key):
            yield f"{key}: {was.get(key, 'nothing')} became {now.get(key, 'nothing')}"


def _current(file: Path) -> bytes | None:
    return read_bytes(file, follow=True) if file.is_file() else None


def _table(content: bytes | None, place: Configuration) -> dict[str, str]:
    """Return the values of a table as text, by their names with dots; if it cannot be read, the reason instead."""
    try:
        found: Any = place.parsed(content or b"")
    except ValueError as error:
        return {"the whole file": f"cannot be read ({error})"}
    for name in place.tables:
        found = found.get(name, {}) if isinstance(found, dict) else {}
    return dict(_leaves(found, ""))


def _leaves(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _leaves(each, f"{place}.{name}" if place else name)
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        for number, each in enumerate(value, 1):
            yield from _leaves(each, f"{place} {number}")
    else:
        yield place, str(value) if isinstance(value, datetime.date) else json.dumps(value, default=str)
