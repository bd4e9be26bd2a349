"""Limits of the machine and of texts that a command meets on its way: what it says, and what it leaves."""

from __future__ import annotations

import dataclasses
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from hostile.attack import Attack
from hostile.hostile_run import at, said
from hostile.work import NAMES, RESULTS_FOLDER, cli, explained, goldens_in, hidden, inside, prepare
from synthetic import make_result

import xai_eval
from xai_eval.errors import XaiEvalError
from xai_eval.gate.ci import CI_VARIABLES
from xai_eval.result.fields import Label, Note
from xai_eval.store.runs import RunRecord

_HALF, _TEXT, _COST = "half-done work", "text", "cost"
_OUTSIDE_OF_CI = dict.fromkeys([*CI_VARIABLES, "GITHUB_STEP_SUMMARY"])


def _limited(words: tuple[str, ...], most: int, folder: Path) -> str | None:
    """No file may have more bytes, as with a quota; the next command finishes what this one could not."""
    prepare(folder)
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
        os._exit(_code(folder, words))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    results, errors = goldens_in(folder).load_all()
    digests = {explained(name, version).condensed().digest for name in (*NAMES, "2.jpg") for version in (0, 1)}
    if code != _REFUSED or errors or not {each.in_memory().digest for each in results.values()} <= digests:
        return f"it ended with {code}, and left {errors}"
    again = _code(folder, words)
    return f"the next one ended with {again}, and left {hidden(folder)}" if again or hidden(folder) else None


_REFUSED = 3


def _code(folder: Path, words: tuple[str, ...]) -> int:
    try:
        with inside(folder):
            return cli(*words)
    except XaiEvalError:
        return _REFUSED
    except BaseException:
        return 99


def _long_texts(folder: Path) -> str | None:
    """Labels as long as a document may hold are cut where they are repeated, so that what is written can be read."""
    pairs = []
    for number in range(2):
        before, now = (_labelled(f"{number}.jpg", text) for text in "ab")
        goldens_in(folder).store(before, "x")
        now.save(folder / "reports" / RESULTS_FOLDER / now.case.key)
        pairs.append(now)
    record = RunRecord(("cams",), (pairs[0].case.model,), ("photos",), len(pairs), finished=True)
    record.save(folder / "reports")
    with at(folder, _OUTSIDE_OF_CI):
        told = [said(*words).code for words in (("check",), ("accept", "--all", "--reason", "x"), ("check",))]
        size = (folder / "reports" / "verdicts.json").stat().st_size
        log = said("log", "0.jpg").code
    right = told == [1, 0, 0] and log == 0 and size < 100_000
    return None if right else f"codes {told}, log {log}, verdicts.json of {size} bytes"


def _labelled(name: str, text: str) -> xai_eval.Result:
    made = make_result(name)
    fields = {**made.fields, "predicted": Label(text * 100_000, ord(text)), "note": Note(text * 100_000)}
    return dataclasses.replace(made, fields=fields)


def _reason(reason: str, words: str, folder: Path) -> str | None:
    prepare(folder)
    with at(folder, _OUTSIDE_OF_CI):
        told = said("accept", "--all", "--reason", reason)
        read = said("log", NAMES[0])
    return None if told.code == 2 and words in told.err and not read.code else f"{told} {read}"


def _console(redirected: str, odd: Mapping[str, str | None], code: int, folder: Path) -> str | None:
    """Standard output, or error, is closed or full: the code is that of the verdict, or of an error.

    Args:
        redirected: what the shell does with them.
        odd: further variables of the environment; None for one that is missing.
        code: the expected code.
        folder: an empty one.
    """
    prepare(folder)
    # Python keeps what it prints until the end, unless PYTHONUNBUFFERED is set, as it is for few users.
    free = {name: value for name, value in os.environ.items() if name not in (*_OUTSIDE_OF_CI, "PYTHONUNBUFFERED")}
    environment = {**free, "PYTHONPATH": str(Path(xai_eval.__file__).parents[1]), **odd}
    done = subprocess.run(
        ["bash", "-c", f'{_FEW_HANDLES} "$0" -m xai_eval check {redirected}', sys.executable],
        cwd=folder,
        capture_output=True,
        text=True,
        errors="replace",
        env={name: value for name, value in environment.items() if value is not None},
    )
    right = done.returncode == code and "Traceback" not in done.stderr
    return None if right else f"it ended with {done.returncode}: {done.stderr[-300:]}"


def _attack(name: str, kind: str, expected: str, tried: Callable[[Path], str | None]) -> Attack:
    return Attack(name, kind, expected, tried, slow=True)


# Sixteen files may be open, which is enough; the words of too few are tried in `odd_places_attacks`.
_FEW_HANDLES = "ulimit -n 16;"
_LATIN = {"LC_ALL": "en_US.ISO-8859-1", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
_CONSOLES: tuple[tuple[str, str, Mapping[str, str | None], int], ...] = (
    (">&-", "no home", {"HOME": None}, 1),
    ("2>&-", "in UTF-16", {"PYTHONIOENCODING": "utf-16"}, 1),
    (">&- 2>&- <&-", "in Latin-1", _LATIN, 1),
    (">/dev/full", "no folder for temporary files", {"TMPDIR": "/nonexistent", "TEMP": None, "TMP": None}, 3),
    ("2>/dev/full", "in EBCDIC", {"PYTHONIOENCODING": "cp037"}, 1),
)
_ACCEPT = ("accept", "--all", "--reason", "x")
ATTACKS = (
    *(
        _attack(f"{words[0]} and files of at most {most} bytes", _HALF, "old or new", partial(_limited, words, most))
        for words, most in ((_ACCEPT, 0), (_ACCEPT, 600), (("report",), 600), (("report",), 4000), (("prune",), 0))
    ),
    _attack("labels of 100,000 characters", _COST, "cut where they are repeated", _long_texts),
    _attack("a reason of a million characters", _TEXT, "refused", partial(_reason, "x" * 1_000_000, "at most 4,000")),
    _attack("a reason that nobody sees", _TEXT, "refused", partial(_reason, "\u200b\u2800", "needs a reason")),
    *(
        _attack(f"a console: {redirected}, {why}", _HALF, "the right code", partial(_console, redirected, odd, code))
        for redirected, why, odd, code in _CONSOLES
    ),
)
