"""Pull requests that change a golden or a setting in a way that `check --against` might not list."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest import mock

from faults.forgery import CASE, result
from hostile.attack import Attack

from xai_eval.cli.against import reviewed
from xai_eval.errors import XaiEvalError
from xai_eval.report.text.review import review_lines
from xai_eval.settings.read import load_settings
from xai_eval.store.goldens import Goldens

_KIND = "what a reviewer sees"
_GIT = ("git", "-c", "user.name=x", "-c", "user.email=x@y", "-c", "protocol.file.allow=always")
_DRIFTED = result(0, energy=0.9)


def _git(folder: Path, *words: str) -> None:
    subprocess.run([*_GIT, *words], cwd=folder, check=True, capture_output=True)


def _commit(folder: Path) -> None:
    _git(folder, "add", "-Af")
    _git(folder, "commit", "-qm", "x", "--allow-empty")


def _forge(folder: Path) -> None:
    Goldens(folder).store(_DRIFTED, "fine")


def _repository(folder: Path, prepared: Callable[[Path], object]) -> Path:
    """A repository with one golden on `main`, what else is prepared there, and `work` checked out."""
    place = folder / "work"
    place.mkdir()
    _git(place, "init", "-q", "-b", "main")
    Goldens(place / "golden").store(result(0), "looked")
    (place / "xai_eval.toml").write_text('[upgrades]\nweights = "stages"\n')
    (place / "package").mkdir()
    (place / "package" / "code.py").touch()
    prepared(place)
    _commit(place)
    _git(place, "checkout", "-qb", "work")
    return place


def _lines(place: Path, below: str, branch: str) -> str:
    with contextlib.chdir(place / below):
        settings = load_settings()
        try:
            return "\n".join(review_lines(reviewed(branch, Goldens(settings.golden), settings), branch))
        except XaiEvalError as error:
            return str(error)


def _listed(
    act: Callable[[Path], object],
    words: str,
    folder: Path,
    *,
    prepared: Callable[[Path], object] = lambda place: None,
    below: str = ".",
    branch: str = "main",
) -> str | None:
    place = _repository(folder, prepared)
    act(place)
    _commit(place)
    told = _lines(place, below, branch)
    return None if words in told else f"it says {told}"


def _submodule(place: Path) -> None:
    """A whole task of goldens in a submodule, which git diff was told to leave out."""
    other = place.parent / "other"
    forged = dataclasses.replace(result(3), case=dataclasses.replace(CASE, task="lime"))
    Goldens(place.parent / "made").store(forged, "fine")
    shutil.move(place.parent / "made" / "lime", other)
    _git(other, "init", "-q", "-b", "main")
    _commit(other)
    _git(place, "submodule", "add", "-q", str(other), "golden/lime")


def _behind_a_link(place: Path) -> None:
    shutil.move(place / "golden", place / "data")
    (place / "golden").symlink_to("data")


def _another_link(place: Path) -> None:
    shutil.copytree(place / "data", place / "more")
    _forge(place / "more")
    (place / "golden").unlink()
    (place / "golden").symlink_to("more")


def _out_of_the_repository(place: Path) -> None:
    shutil.move(place / "golden", place.parent / "outside")
    (place / "golden").symlink_to(place.parent / "outside")


def _remote(place: Path) -> None:
    _commit(place)
    _git(place, "update-ref", "refs/remotes/origin/main", "HEAD")


def _tagged(place: Path) -> None:
    _forge(place / "golden")
    _commit(place)
    _git(place, "tag", "origin/main")


def _taken_for_unchanged(place: Path) -> None:
    names = [f"golden/{CASE.key}/{name}" for name in ("result.json", "accepted.json")]
    _git(place, "update-index", "--assume-unchanged", *names)
    _forge(place / "golden")


def _ignored(place: Path) -> None:
    (place / "golden" / ".gitignore").write_text("*\n")
    _forge(place / "golden")


def _attributes(place: Path) -> None:
    (place / ".gitattributes").write_text("golden/** -diff -text export-ignore merge=ours linguist-generated\n")
    _forge(place / "golden")


def _no_configuration(place: Path) -> None:
    (place / "xai_eval.toml").unlink()


def _of_pytest(name: str, content: str, place: Path) -> None:
    (place / name).write_text(content)


def _same_by_name(place: Path) -> None:
    """The reason is written like a verdict."""
    Goldens(place / "golden").store(_DRIFTED, "The explanation matches the golden")


def _last_is_the_reason(folder: Path) -> str | None:
    place = _repository(folder, lambda place: None)
    _same_by_name(place)
    told = _lines(place, ".", "main")
    return None if told.find("0.5 became 0.9") < told.rfind("The explanation matches") else f"it says {told}"


def _of_a_hook(below: str, folder: Path) -> str | None:
    """git names the repository of a hook to all that the hook starts: here another one, and then this one."""
    for name in ("other", "work"):
        place = folder / name
        place.mkdir()
        prepared = _within_package if below == "package" else lambda place: None
        named = {"GIT_DIR": str(place / name / ".git"), "GIT_INDEX_FILE": "gone", "GIT_GLOB_PATHSPECS": "1"}
        golden = Path(below) / "golden"
        (place / "other").mkdir()
        _git(place / "other", "init", "-q")
        repository = _repository(place, prepared)
        _forge(repository / golden)
        with mock.patch.dict(os.environ, named):
            told = _lines(repository, below, "main")
        if _CHANGED not in told:
            return f"with the repository {name} it says {told}"
    return None


def _within_package(place: Path) -> None:
    shutil.move(place / "golden", place / "package" / "golden")
    (place / "package" / "xai_eval.toml").touch()


def _like_a_pattern(place: Path) -> None:
    shutil.move(place / "golden", place / _PATTERN)
    (place / "xai_eval.toml").write_text(f'golden = "{_PATTERN}"\n')


_PATTERN = ":(exclude)g*"
_INI = "[pytest]\nxai_golden = other\n"
_CHANGED, _LINK = f"golden {CASE.key}: changed", "a link to"
_HIDDEN: tuple[tuple[str, Callable[[Path], str | None]], ...] = (
    ("goldens of a task in a submodule", partial(_listed, _submodule, "golden lime/photos")),
    ("the folder of goldens becomes a link", partial(_listed, _behind_a_link, f"no link became {_LINK} data")),
    (
        "a golden behind a link",
        partial(_listed, lambda place: _forge(place / "golden"), _CHANGED, prepared=_behind_a_link),
    ),
    (
        "the link leads elsewhere",
        partial(_listed, _another_link, f"{_LINK} data became {_LINK} more", prepared=_behind_a_link),
    ),
    ("the link leads out of the repository", partial(_listed, _out_of_the_repository, "is not in the git repository")),
    (
        "a tag with the name of the branch",
        partial(_listed, _tagged, "means several commits", prepared=_remote, branch="origin/main"),
    ),
    ("files that git takes for unchanged", partial(_listed, _taken_for_unchanged, _CHANGED)),
    ("files that git ignores", partial(_listed, _ignored, _CHANGED)),
    ("attributes of git", partial(_listed, _attributes, _CHANGED)),
    ("no configuration any more", partial(_listed, _no_configuration, '"stages" became nothing')),
    (
        "no configuration above the folder any more",
        partial(_listed, _no_configuration, '"stages" became nothing', below="package"),
    ),
    (
        "a nearer configuration",
        partial(
            _listed,
            partial(_of_pytest, "package/xai_eval.toml", 'golden = "../golden"\n'),
            "package/xai_eval.toml: golden: nothing became",
            below="package",
        ),
    ),
    *(
        (
            f"goldens of pytest by {name}",
            partial(_listed, partial(_of_pytest, name, content), f"{name} of pytest: {key}: nothing became"),
        )
        for name, content, key in (
            ("pytest.ini", _INI, "xai_golden"),
            ("tox.ini", _INI, "xai_golden"),
            ("setup.cfg", "[tool:pytest]\naddopts = -p no:xai_eval\n", "addopts"),
            ("pyproject.toml", '[tool.pytest.ini_options]\ntestpaths = ["docs"]\n', "ini_options.testpaths"),
        )
    ),
    ("a reason that is written like a verdict", _last_is_the_reason),
    ("goldens in a hook of git", partial(_of_a_hook, ".")),
    ("goldens in a hook of git, from a folder below", partial(_of_a_hook, "package")),
    (
        "a folder of goldens named like a pattern of git",
        partial(_listed, lambda place: _forge(place / _PATTERN), _CHANGED, prepared=_like_a_pattern),
    ),
)

ATTACKS = tuple(Attack(name, _KIND, "it is listed", tried, slow=True) for name, tried in _HIDDEN)
