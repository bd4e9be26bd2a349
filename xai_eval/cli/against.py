"""`xai-eval check --against BRANCH`: what a reviewer has to look at."""

from __future__ import annotations

from pathlib import Path

from xai_eval.errors import XaiEvalError
from xai_eval.gate.review import Review, review
from xai_eval.report.review_images import write_review_images
from xai_eval.report.text.review import review_lines
from xai_eval.settings.find import OWN_FILE, SHARED_FILE
from xai_eval.settings.settings import Settings
from xai_eval.store.git_base import git_base
from xai_eval.store.goldens import Goldens
from xai_eval.store.run_folder import RunFolder

_OWN_TABLE = ("tool", "xai_eval")


def reviewed(branch: str, goldens: Goldens, settings: Settings) -> Review:
    """Compare the goldens and the configuration with those of a branch. Raises as `git_base` does."""
    here = settings.file.parent if settings.file else Path.cwd()
    files = {here / OWN_FILE: (), here / SHARED_FILE: _OWN_TABLE}
    return review(git_base(here, branch), goldens, files)


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
