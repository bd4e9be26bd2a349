"""Texts of strangers in every place that has a text: every output of every command shows them and obeys none."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from unittest import mock

import numpy as np
from hostile import media_rules
from hostile.attack import Attack
from hostile.hostile_run import Hostile, Said, at, files, make, said
from hostile.hostile_text import TEXTS

from xai_eval.gate.ci import CI_VARIABLES

_KIND = "text"
_EXPECTED = "every medium shows it as text"
_PART = 12  # texts of one run: it has more places
_COMMANDS = {
    "check": ("check",),
    "check --json": ("check", "--json"),
    "report": ("report",),
    "report of a run that was cut short": ("report", "earlier"),
    "diff": ("diff", "earlier", "reports"),
    "diff --json": ("diff", "earlier", "reports", "--json"),
    "prune": ("prune", "--dry-run"),
    "list": ("list",),
    "accept": ("accept", "--all", "--reason", "looked"),
}


def _without_ci() -> dict[str, str | None]:
    return dict.fromkeys([*CI_VARIABLES, "GITHUB_STEP_SUMMARY"])


def faults_of(hostile: Hostile) -> Iterator[str]:
    """Run every command on a repository, and look at all that came out."""
    summary = hostile.root / "summary.md"
    github = {**_without_ci(), "GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    with at(hostile.root, github):
        yield from _of("check on GitHub", said("check"))
    yield from (f"step summary: {each}" for each in media_rules.markdown(summary.read_bytes().decode()))
    yield from (f"step summary: {each}" for each in media_rules.commands(summary.read_text()))
    with at(hostile.root, _without_ci()):
        for name, words in {**_COMMANDS, "log": ("log", hostile.drifted)}.items():
            yield from _of(name, said(*words), as_json="--json" in words)
    yield from written(hostile.root)


def _of(name: str, told: Said, *, as_json: bool = False) -> Iterator[str]:
    code, out, err = told.code, told.out, told.err
    rule = media_rules.json_text if as_json else media_rules.terminal
    found = [*rule(out), *media_rules.terminal(err), *media_rules.commands(f"{out}\n{err}")]
    if "Traceback" in err or code not in (0, 1):
        found.append(f"it ended with {code}: {err[-300:]}")
    yield from (f"{name}: {each}" for each in found)


def written(root: Path) -> Iterator[str]:
    """Look at every file of a report."""
    rules: dict[str, Callable[[str], Iterator[str]]] = {
        "*.html": media_rules.page,
        "*.csv": media_rules.spreadsheet,
        "*.tex": media_rules.latex,
        "verdicts.json": media_rules.json_text,
    }
    for pattern, rule in rules.items():
        for name, content in files(root / "reports", pattern).items():
            yield from (f"{name}: {each}" for each in rule(content))
    for name, content in files(root / "reports" / "tables", "*.md").items():
        yield from (f"{name}: {each}" for each in media_rules.markdown(content))
    for name, content in files(root / "reports" / "tables", "*.json").items():
        yield from (f"{name}: {each}" for each in media_rules.json_text(content))


def first(faults: Iterable[str]) -> str | None:
    """Return some of what is wrong, or nothing."""
    found = list(dict.fromkeys(faults))
    return f"{len(found)} faults, such as: {'; '.join(found[:4])}" if found else None


def _parts(size: int = _PART) -> Iterator[tuple[int, tuple[str, ...]]]:
    for number, start in enumerate(range(0, len(TEXTS), size)):
        yield number, TEXTS[start : start + size]


@contextlib.contextmanager
def without_figures() -> Iterator[None]:
    pixels = np.zeros((4, 4, 3), np.uint8)
    with (
        mock.patch("xai_eval.report.write.figure_files", return_value={}),
        mock.patch("xai_eval.report.drawing.curves.draw_curve", return_value=pixels),
    ):
        yield


def _everywhere(chosen: tuple[str, ...]) -> Callable[[Path], str | None]:
    def tried(folder: Path) -> str | None:
        with without_figures():
            return first(faults_of(make(folder, chosen)))

    return tried


def _drawn(chosen: tuple[str, ...]) -> Callable[[Path], str | None]:
    def tried(folder: Path) -> str | None:
        hostile = make(folder, chosen, cases=1, dissected=True)
        with at(folder, _without_ci()):
            faults = [*_of("report", said("report"))]
        drawn = sorted(path.name for path in (hostile.root / "reports" / "figures").glob("*.png"))
        return first([*faults, *([] if drawn else ["no figure was drawn"])])

    return tried


def _encoded(encoding: str) -> Callable[[Path], str | None]:
    def tried(folder: Path) -> str | None:
        with without_figures():
            hostile = make(folder, (*WORST, "\U0001f389 日本 naïve"))
            with at(folder, _without_ci()):
                commands = ("check",), ("log", hostile.drifted), ("accept", "nothing é 日\udce9", "--reason", "é")
                told = [said(*words, encoding=encoding) for words in commands]
        faults = [each for one in told for each in media_rules.terminal(one.out + one.err)]
        codes = [one.code for one in told]
        return first([*faults, *([] if codes == [1, 0, 2] else [f"exit codes {codes}"])])

    return tried


_JUDGING: tuple[Callable[[str], tuple[str, ...]], ...] = (
    lambda text: (text,),
    lambda text: ("check", text),
    lambda text: ("check", f"--golden={text}"),
    lambda text: ("check", "--profile", text),
    lambda text: ("accept", text, "--reason", text),
    lambda text: ("log", text),
    lambda text: ("diff", text, text),
    lambda text: ("report", text),
    lambda text: ("prune", "--results", text),
    lambda text: ("init", "--ci", text),
    lambda text: ("fetch", text),
)
# They load models, and so torch.
_MEASURING: tuple[Callable[[str], tuple[str, ...]], ...] = (
    lambda text: ("list", "--tasks", text),
    lambda text: ("explain-drift", text),
    lambda text: ("run", text),
    lambda text: ("run", "--suite", text),
    lambda text: ("calibrate", text),
    lambda text: ("run", "cams", "--dry-run", "--model", text),
    lambda text: ("run", "cams", "--dry-run", "--model", f"file:{text}:net"),
    lambda text: ("run", "cams", "--dry-run", "--images", text),
    lambda text: ("run", "cams", "--dry-run", "--target", text, "--methods", text),
    lambda text: ("run", "cams", "--dry-run", "--device", text),
    lambda text: ("run", "cams", "--dry-run", "--box", text, "--output", text),
    lambda text: ("run", "cams", "--dry-run", "--similar-to", text),
)


def _as_arguments(
    commands: Iterable[Callable[[str], tuple[str, ...]]], chosen: Sequence[str]
) -> Callable[[Path], str | None]:
    """Name it on the command line, as a workflow does with the title of a pull request."""

    def tried(folder: Path) -> str | None:
        with without_figures(), at(make(folder, chosen[:2], cases=1).root, _without_ci()):
            told = [(words, said(*words)) for words in _commands(commands, chosen)]
        return first(f"{words[0][:20]}: {each}" for words, one in told for each in _refused(one))

    return tried


def _commands(commands: Iterable[Callable[[str], tuple[str, ...]]], chosen: Sequence[str]) -> Iterator[tuple[str, ...]]:
    # No argument of a process can hold the character that ends it.
    yield from (command(text.replace("\0", "")) for command in commands for text in chosen)


def _refused(told: Said) -> Iterator[str]:
    """It may be unknown, or the answer may be about nothing; but never a surprise."""
    yield from media_rules.terminal(told.out + told.err)
    yield from media_rules.commands(f"{told.out}\n{told.err}")
    if "Traceback" in told.err or told.code not in (0, 1, 2, 3):
        yield f"it ended with {told.code}: {told.err[-300:]}"


def _as_folders(chosen: Sequence[str]) -> Callable[[Path], str | None]:
    """Name folders so: of the run, of the goldens, of a task in them; and the configuration that names them."""

    def tried(folder: Path) -> str | None:
        faults: list[str] = []
        for place, name in enumerate(each.replace("\0", "").replace("/", "-")[:60] for each in chosen):
            root = make(folder / str(place), chosen, cases=1).root
            (root / "reports" / "results" / name / "photo-0123456789").mkdir(parents=True)
            (root / "golden" / name / "photo-0123456789").mkdir(parents=True)
            (root / "golden").rename(root / f"golden {name}")
            (root / "reports").rename(root / f"reports {name}")
            (root / "xai_eval.toml").write_text(_settings(name))
            with without_figures(), at(root, _without_ci()):
                for words in (("check",), ("report",), ("prune", "--dry-run"), ("check", "--help"), ("log", "nothing")):
                    faults += [f"{words[0]}: {each}" for each in _refused(said(*words))]
        return first(faults)

    return tried


def _as_tasks(names: Sequence[str]) -> Callable[[Path], str | None]:
    """Name the task of a result so; what cannot be a task may be refused."""

    def tried(folder: Path) -> str | None:
        faults: list[str] = []
        for place, name in enumerate(names):
            # This package writes no such folder; a checkout may have one.
            with mock.patch("xai_eval.disk.files.require_portable"):
                hostile = make(folder / str(place), WORST, cases=1, task=name)
            with without_figures(), at(hostile.root, _without_ci()):
                for words in (*_COMMANDS.values(), ("log", hostile.drifted)):
                    faults += [f"{words[0]}: {each}" for each in _refused(said(*words))]
            faults += written(hostile.root)
        return first(faults)

    return tried


def _settings(name: str) -> str:
    escaped = "".join(c if c.isalnum() and c.isascii() else f"\\U{ord(c):08x}" for c in name)
    return f'golden = "golden {escaped}"\nreports = "reports {escaped}"\n'


# One text of each kind, for the run by default.
WORST = (
    "::error::x ##[group]\u202e\x1b]8;;http://evil.example\x07 @org/team `|` $x$ ;touch PWN #",
    "\n::stop-commands::x\r<script>alert(1)</script>\n--- '$(touch PWN)'",
    "=HYPERLINK(1)\udce9\x9b",
)

# Of names that a file system takes, also in UTF-8.
_FOLDERS = ("::error::x ##[group]", "$(touch PWN);x #", "-rf\u202e\x1b[31m", "a\n::debug::b", "50%s `x` 'y'", "=ls")

ATTACKS = (
    Attack("the worst texts, everywhere", _KIND, _EXPECTED, _everywhere(WORST)),
    Attack("the worst texts as arguments", _KIND, _EXPECTED, _as_arguments(_JUDGING, WORST)),
    Attack("texts as arguments", _KIND, _EXPECTED, _as_arguments(_JUDGING, TEXTS[::3]), slow=True),
    Attack(
        "texts as arguments of what loads models", _KIND, _EXPECTED, _as_arguments(_MEASURING, TEXTS[::13]), slow=True
    ),
    Attack("texts as names of folders", _KIND, _EXPECTED, _as_folders(_FOLDERS), slow=True),
    Attack("texts as names of tasks", _KIND, _EXPECTED, _as_tasks(_FOLDERS), slow=True),
    *(
        Attack(f"texts {number}, everywhere", _KIND, _EXPECTED, _everywhere(texts), slow=True)
        for number, texts in _parts()
    ),
    *(
        Attack(
            f"texts {number} in figures", _KIND, "figures are drawn, and no formula is read", _drawn(texts), slow=True
        )
        for number, texts in _parts(3 * _PART)
    ),
    *(
        Attack(
            f"texts on a console of {encoding}",
            _KIND,
            "escapes, and the code of the verdict",
            _encoded(encoding),
            slow=encoding != "cp1252",
        )
        for encoding in ("ascii", "cp1252", "latin-1", "cp932", "utf-16", "koi8-r")
    ),
)
