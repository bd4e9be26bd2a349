"""Odd folders, names, machines and numbers: what a command says where nothing is as usual."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import itertools
import os
import shutil
import subprocess
import time
import unicodedata
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from unittest import mock

import pandas as pd
from hostile.attack import Attack
from hostile.disk_attacks import SPECIAL, _in_a_child
from hostile.failing_disk import Failing, failing
from hostile.hostile_run import Said, at, said
from hostile.reference_cost import cheapest
from hostile.work import WORKS, Work, cli, explained, goldens_are_whole, goldens_in, hidden, inside, prepare, write_run
from synthetic import make_result

from xai_eval import image_task
from xai_eval.errors import TooManyOpenFiles, UsageError, XaiEvalError
from xai_eval.gate.alike_cases import alike_cases
from xai_eval.gate.judge_run import judge_run
from xai_eval.gate.verdict import State
from xai_eval.result.fields import Score, Table
from xai_eval.result.fingerprint import fingerprint_text
from xai_eval.result.result import Case, Result
from xai_eval.result.stage import Stage, StageKind
from xai_eval.review.decision import Decision, Kind
from xai_eval.review.desk import Desk
from xai_eval.review.seen import seen_now
from xai_eval.store.lock import LOCK_FILE, locked
from xai_eval.tasks import all_tasks
from xai_eval.tasks.registry import TASKS

_LINKS, _HALF, _NAMES, _COST = "links and special files", "half-done work", "names", "cost"
_ONE_ERROR = 3


def _told(folder: Path, words: tuple[str, ...], expected: str, code: int = _ONE_ERROR) -> str | None:
    """Nothing if a command ends with one error of one line that says it."""
    with at(folder, {"CI": None, "GITHUB_ACTIONS": None}):
        ended = said(*words)
    right = ended.code == code and expected in ended.err and ended.err.count("\n") == 1
    return None if right else f"it ended with {ended.code}: {ended.err[-400:]}"


# What `init` finds.
def _linked_workflows(folder: Path) -> str | None:
    (folder / "other").mkdir()
    (folder / "work").mkdir()
    (folder / "work" / ".github").symlink_to(folder / "other")
    came = _told(folder / "work", ("init", "--ci", "github"), ".github is a link, and nothing is written through links")
    return came or (f"written: {[*folder.rglob('*.yml')]}" if [*folder.rglob("*.yml")] else None)


def _file_as_folder(folder: Path) -> str | None:
    (folder / ".github").write_text("mine")
    return _told(folder, ("init", "--ci", "github"), "there is a file where a folder is needed")


def _there_already(folder: Path) -> str | None:
    """What is there stays: a file, and a link that leads nowhere, through which nothing is made."""
    (folder / "xai_eval.toml").write_text("# mine")
    (folder / ".gitlab-ci.yml").symlink_to(folder / "gone")
    with at(folder, {}):
        ended = said("init", "--ci", "gitlab")
    kept = (folder / "xai_eval.toml").read_text() == "# mine" and not (folder / "gone").exists()
    return None if kept and ended.code == 0 and ended.out.count("is left as it is") == 2 else f"{ended}"


def _special_settings(name: str, file: str, folder: Path) -> str | None:
    """A configuration that cannot be read is not a missing one: its limits and suite would be dropped in silence."""
    for words in (("check",), ("init",)):
        SPECIAL[name](folder / file)
        if came := _told(folder, words, f"{file} cannot be read"):
            return came
        shutil.rmtree(folder / file) if name == "a folder" else (folder / file).unlink()
    return None


# Where commands are called.
@contextlib.contextmanager
def _within(folder: Path) -> Iterator[None]:
    before = os.open(".", os.O_RDONLY)
    try:
        os.chdir(folder)
        yield
    finally:
        os.fchdir(before)
        os.close(before)


def _no_folder(folder: Path) -> str | None:
    (folder / "gone").mkdir()
    for words in (("check",), ("init",), ("run", "cams"), ("list",)):
        with _within(folder):
            Path("gone").mkdir(exist_ok=True)
            os.chdir("gone")
            Path("../gone").resolve().rmdir()
            ended = said(*words)
        if ended.code != _ONE_ERROR or "working directory" not in ended.err or "Traceback" in ended.err:
            return f"{words[0]} ended with {ended.code}: {ended.err[-300:]}"
    return None


def _deep(folder: Path, below: str, *, call: bool) -> str | None:
    """Folders in each other: a path of 5,250 bytes, of which the system takes 4,096."""
    with _within(folder / below):
        for _ in range(250):
            Path("n" * 20).mkdir()
            os.chdir("n" * 20)
        ended = said("check") if call else None
    try:
        return _minded(folder, ended)
    finally:
        subprocess.run(["rm", "-rf", folder / below / ("n" * 20)], check=True)  # Python has no patience for so many


def _minded(folder: Path, ended: Said | None) -> str | None:
    if ended is not None:
        right = ended.code == _ONE_ERROR and "longer than the system allows" in ended.err
        return None if right and "Traceback" not in ended.err else f"{ended.code}: {ended.err[-300:]}"
    with inside(folder):
        judged = judge_run(Path("reports"), goldens_in(folder))
        cli("report")
    return (
        None if {each.state for each in judged.verdicts} <= {State.DRIFT, State.MISSING, State.UNUSED} else "an error"
    )


def _deep_goldens(folder: Path) -> str | None:
    prepare(folder)
    return _deep(folder, "golden", call=False)


def _deep_leftover(folder: Path) -> str | None:
    """What looks like the rest of a killed process, deeper than Python can delete."""
    prepare(folder)
    case = explained("0.jpg", 0).case.key
    left = folder / "golden" / f"{case.partition('/')[0]}" / f".{case.partition('/')[2]}.abcd1234"
    left.mkdir()
    with _within(left):
        for _ in range(1200):
            Path("n").mkdir()
            os.chdir("n")
    try:
        with inside(folder):
            cli("accept", "--all", "--reason", "new")
            cli("prune")
        return goldens_are_whole(folder)
    finally:
        subprocess.run(["rm", "-rf", left], check=True)


# Names.
def _names_of_tasks(folder: Path) -> str | None:
    """A task whose goldens could not be kept is refused when it is written, not after hours of computing."""
    all_tasks()
    bad = (
        "",
        " ",
        ".x",
        "a/b",
        "../x",
        "con",
        "a:b",
        "end ",
        "x" * 300,
        "a\nb",
        "\x1b[2J",
        "\u202egnp",
        "\u200b",
        "Cams",
    )
    for name in bad:
        try:
            image_task(name)(_own_task)
        except UsageError as error:
            if not str(error).isprintable() or len(str(error)) > 500:
                return f"{name[:9]!r} is shown as {error}"
        else:
            return f"{name[:9]!r} is taken"
    with mock.patch.dict(TASKS, {"\u00fcn": TASKS["cams"]}):
        for name in (unicodedata.normalize("NFD", "\u00fcn"), "\u00dcN"):
            with contextlib.suppress(UsageError):
                image_task(name)(_own_task)
                return f"{name!a} is taken beside another"
        image_task("my own-task_2")(_own_task)
    return None


def _own_task(subject: object) -> None: ...


def _many_alike(folder: Path) -> str | None:
    """1,024 names that differ in capitals: what is said of all grows with their number, not with its square."""
    names = map("".join, itertools.product("aA", repeat=10))
    cases = [Case("cams", "m", f"photos/{name}.jpg", {}) for name in names]
    told = alike_cases(cases, "goldens")
    longest = max(map(len, told.values()))
    return None if len(told) == len(cases) and longest < 600 else f"{len(told)} are named, in {longest} characters"


# Numbers of parts.
def _of_many_parts(kind: str, version: int) -> Result:
    made, count = make_result("0.jpg"), 3_000 if kind != "columns" else 1_000
    if kind == "stages":
        stages = {Stage(StageKind.FINAL_MAP, f"{number}"): fingerprint_text(f"{version}") for number in range(count)}
        return dataclasses.replace(made, stages=stages)
    if kind == "fields":
        return dataclasses.replace(made, fields=made.fields | {f"{n}": Score(version, 0.1) for n in range(600)})
    rows = {"rows": {"name": [*range(count)], "share": [float(version)] * count}}
    columns = {"columns": {f"{number}": [float(version)] for number in range(count)}}
    frame = pd.DataFrame((rows | columns)[kind])
    table = Table(frame, {name: 0.1 for name in frame.columns if name != "name"})
    return dataclasses.replace(made, fields=made.fields | {"table": table})


def _many_parts(kind: str, folder: Path) -> str | None:
    """Every one of them drifts. A time that grows with the square of their number was 15 to 60 s here."""
    goldens_in(folder).store(_of_many_parts(kind, 0), "x")
    write_run(folder, _of_many_parts(kind, 1))
    with inside(folder):
        code, seconds = cheapest(partial(cli, "check"), 8)
    return None if code == 1 and seconds < 8 else f"it ended with {code} after {seconds:.0f} s"


# The machine.
def _no_handles(words: tuple[str, ...], folder: Path) -> str | None:
    """No file can be opened any more, from each write on: nothing is half done, and no golden is called damaged."""
    template = folder / "template"
    prepare(template)
    for count in range(1, 40, 4):
        place = folder / "place"
        shutil.copytree(template, place)
        disk = Failing(count, lambda: OSError(errno.EMFILE, os.strerror(errno.EMFILE)), True, ("open",))
        try:
            with inside(place), failing(disk):
                cli(*words)
        except XaiEvalError as error:
            if not isinstance(error, TooManyOpenFiles) and "ulimit -n" not in str(error):
                return f"after write {count}: {error}"
        if wrong := goldens_are_whole(place):
            return f"after write {count}: {wrong}"
        shutil.rmtree(place)
        if not disk.reached:
            return None
    return None


def _lock_of_tomorrow(folder: Path) -> str | None:
    """An empty lock, made before the clock was put back."""
    (folder / LOCK_FILE).touch()
    os.utime(folder / LOCK_FILE, (time.time() + 90_000,) * 2)
    with contextlib.suppress(UsageError), locked(folder):
        return None
    return "it is locked for good"


def _decide(folder: Path) -> None:
    """What a person does in `review`: accept what the page showed."""
    goldens = goldens_in(folder)
    seen = seen_now(judge_run(folder / "reports", goldens))
    shown = {key: each for key, each in seen.items() if key in {explained("0.jpg", 1).case.key}}
    with mock.patch("xai_eval.review.desk.refuse_under_ci"), mock.patch("xai_eval.gate.accept.refuse_under_ci"):
        Desk(folder / "reports", goldens).decide(Decision(Kind.ACCEPT, "new", shown))


def _review_beside(name: str, folder: Path) -> str | None:
    """A decision while another command writes: one waits for the other or is told of it, or of what changed."""
    review = Work(_decide, goldens_are_whole, lambda place: True)
    prepare(folder)
    children = [_in_a_child(work, folder) for work in (review, WORKS[name])]
    for child in children:
        child.join()
    codes = [child.exitcode for child in children]
    if not set(codes) <= {0, _ONE_ERROR}:
        return f"they ended with {codes}"
    with inside(folder):
        return goldens_are_whole(folder) or (f"left: {hidden(folder)}" if hidden(folder) else None)


def _slow(name: str, kind: str, expected: str, tried: Callable[[Path], str | None]) -> Attack:
    return Attack(name, kind, expected, tried, slow=True)


ATTACKS = (
    Attack("init where .github is a link", _LINKS, "refused, nothing is written there", _linked_workflows),
    Attack("init where .github is a file", _LINKS, "one error", _file_as_folder),
    Attack("init where files are there already", _LINKS, "they stay", _there_already),
    *(
        Attack(f"{name} as {file}", _LINKS, "one error that names it", partial(_special_settings, name, file))
        for name in SPECIAL
        if name != "a link to a secret"  # whoever names settings may name a link
        for file in ("xai_eval.toml", "pyproject.toml")
    ),
    Attack("a working directory that was removed", _HALF, "one error", _no_folder),
    Attack(
        "a working directory of 5,250 bytes", _NAMES, "one error that says why", partial(_deep, below="", call=True)
    ),
    _slow("250 folders in each other among the goldens", _NAMES, "no command minds them", _deep_goldens),
    _slow("a leftover of 1,200 folders in each other", _NAMES, "left there, with the command done", _deep_leftover),
    Attack("names of tasks that are no folders", _NAMES, "refused at once", _names_of_tasks),
    Attack("1,024 names that differ in capitals", _COST, "each is said in a few words", _many_alike),
    *(
        _slow(f"thousands of {kind}", _COST, "seconds", partial(_many_parts, kind))
        for kind in ("stages", "fields", "rows", "columns")
    ),
    *(
        _slow(
            f"no file handles at every write of {words[0]}", _HALF, "told, and old or new", partial(_no_handles, words)
        )
        for words in (("accept", "--all", "--reason", "new"), ("prune",), ("report",))
    ),
    Attack("an empty lock of tomorrow", _HALF, "taken over", _lock_of_tomorrow),
    *(
        _slow(f"a decision in review beside {name}", _HALF, "one after the other", partial(_review_beside, name))
        for name in ("accept", "prune", "report", "run")
    ),
)
