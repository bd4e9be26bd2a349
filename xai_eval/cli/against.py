"""`xai-eval check --against BRANCH`: what a reviewer has to look at."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from xai_eval.errors import XaiEvalError
from xai_eval.gate.configuration import Configuration
from xai_eval.gate.review import Review, review
from xai_eval.report.review_images import write_review_images
from xai_eval.report.text.review import review_lines
from xai_eval.settings.find import OWN_FILE, SHARED_FILE
from xai_eval.settings.settings import Settings
from xai_eval.store.git_base import git_base
from xai_eval.store.goldens import Goldens
from xai_eval.store.run_folder import RunFolder

# By file, the tables in it. pytest reads the first that it finds; a change of any of them is shown.
_TABLES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (OWN_FILE, ()),
    (SHARED_FILE, ("tool", "xai_eval")),
    (SHARED_FILE, ("tool", "pytest")),
    ("pytest.toml", ("pytest",)),
    (".pytest.toml", ("pytest",)),
    ("pytest.ini", ("pytest",)),
    (".pytest.ini", ("pytest",)),
    ("tox.ini", ("pytest",)),
    ("setup.cfg", ("tool:pytest",)),
)


def reviewed(branch: str, goldens: Goldens, settings: Settings) -> Review:
    """Compare the goldens and the configuration with those of a branch. Raises as `git_base` does."""
    here = settings.file.parent.resolve() if settings.file else Path.cwd()
    base = git_base(here, branch)
    # A file that is gone cannot be found, so that all places where one may lie are looked at.
    start = Path.cwd() if Path.cwd().is_relative_to(base.root) else here
    return review(base, goldens, [*_configurations(start, base.root)])


def _configurations(start: Path, root: Path) -> Iterator[Configuration]:
    """Yield what may configure a command that is called in `start`: there, and in each folder above it up to `root`."""
    for folder in (start, *start.parents):
        yield from (Configuration(folder / name, tables) for name, tables in _TABLES)
        if folder == root:
            return


def review_with_images(found: Review, branch: str, results: Path) -> list[str]:
    """Draw the goldens that differ, and return the lines that list them and say which are drawn, and where."""
    lines = review_lines(found, branch)
    try:
        with RunFolder(results).locked():
            images = write_review_images(found, results)
    except XaiEvalError as error:
        return [*lines, f"the images could not be written: {error}"]
    every = images.drawn + len(images.left_out)
    if images.left_out:
        drawn = f"{images.drawn} of {every} goldens are drawn, the most changed first"
        lines.append(f"{drawn}; not drawn: {', '.join(images.left_out)}")
    return [*lines, *([f"images before and after: {images.folder}"] if images.folder else [])]
