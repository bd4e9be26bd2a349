"""The answer to the release question, in words and as a table: for the terminal, the page and the history."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from xai_eval.gate.release.release import Outcome, Release, TaskShares
from xai_eval.gate.release.tested import Tested
from xai_eval.gate.run_findings import RunFindings
from xai_eval.report.text.wording import count
from xai_eval.result.naming import of_task, title, words

HEADINGS = ("measure", "answer", "images", "before", "after", "gain", "90 % interval", "margin")
LEGEND = (
    "Measured are the images that moved (the class: all images). A gain is positive where it is for the better. "
    "Not worse: the interval excludes a mean loss of the margin; of yes and no, no more was lost than won. "
    "Worse: a loss that chance would show in fewer than 5 % of such comparisons, after Holm's correction."
)


@dataclass(frozen=True)
class ReleaseTable:
    """The comparison of one task and model: a sentence, and one row of texts per measure, as `HEADINGS` says."""

    sentence: str
    rows: tuple[tuple[str, ...], ...]


def release_sentence(release: Release) -> str:
    """Return the answer, and the shares that everybody must see, in one sentence: for JSON and the history."""
    shares = "; ".join(
        f"{of_task(each.task, each.model)}: same class in {each.same_class}, same evidence in {each.same_evidence} of "
        f"{count(each.images, 'image')}"
        for each in release.shares
    )
    return f"{answer(release)} ({shares})."


def answer(release: Release) -> str:
    """Return the answer in words, without a full stop."""
    match release.outcome:
        case Outcome.SAME:
            return "The explanation is the same"
        case Outcome.NOT_WORSE:
            return "The explanation is different, but not worse"
        case Outcome.WORSE:
            names = dict.fromkeys(words(each.measure) for each in release.worse)
            return f"The explanation is worse in: {', '.join(names)}"
    moved = count(release.moved, "image")
    if not any(each.margin is not None for each in release.tested):
        return f"Cannot tell whether it is worse: neither masks nor faithfulness are known of the {moved} that moved"
    return f"Cannot tell with the {moved} that moved whether the explanation is worse"


def release_tables(release: Release) -> tuple[ReleaseTable, ...]:
    """Return one table for each task and model."""
    return tuple(_table(shares, release) for shares in release.shares)


def _table(shares: TaskShares, release: Release) -> ReleaseTable:
    own = [each for each in release.tested if (each.task, each.model) == (shares.task, shares.model)]
    sentence = (
        f"{of_task(shares.task, shares.model)}: of {count(shares.images, 'image')}, {shares.moved} moved beyond a "
        f"limit; {shares.same_class} have the same class, {shares.same_evidence} the same evidence"
    )
    return ReleaseTable(f"{sentence}.", tuple(map(_row, own)))


def _row(each: Tested) -> tuple[str, ...]:
    name, images = _name(each), str(each.images)
    if each.margin is None:
        before, after = (f"{value * each.images:.0f} of {images}" for value in (each.before, each.after))
        return name, str(each.answer), images, before, after, f"{each.lost} lost, {each.won} won", "–", "–"
    known = math.isfinite(each.low)
    interval = f"{_signed(each.low)} to {_signed(each.high)}" if known else "too few images"
    numbers = f"{each.before:.3f}", f"{each.after:.3f}", _signed(each.gain), interval, f"{each.margin:g}"
    return name, str(each.answer), images, *numbers


def _signed(value: float) -> str:
    """Return a number with its sign; what is rounded to 0 is +0.000, whatever its sign was."""
    return f"{round(value, 3) + 0.0:+.3f}"


def _name(each: Tested) -> str:
    return f"{words(each.measure)}{f' of {title(each.of)}' if each.of else ''}"


def release_lines(run_findings: RunFindings) -> list[str]:
    """Return the comparison as lines for the terminal; none if nothing was upgraded."""
    release = run_findings.release
    if release is None:
        return []
    lines = [f"upgrade  {answer(release)}."]
    for table in release_tables(release):
        rows = _aligned([HEADINGS, *table.rows]) if table.rows else []
        lines += [f"upgrade  {table.sentence}", *(f"         {line}" for line in rows)]
    legend = [f"upgrade  {LEGEND}"] if release.tested else []
    covered = [f"upgrade  {text}" for text in filter(None, [covered_sentence(run_findings.covered)])]
    return [*lines, *legend, *covered]


def covered_sentence(covered: int) -> str:
    """Say that shifts over many cases were not looked for in upgraded cases; empty if there are none."""
    if not covered:
        return ""
    return (
        f"Not looked for in {count(covered, 'case')}: a change that is small in each of them and goes the same way in "
        "many, because other weights move every case. The comparison above takes the place of that search."
    )


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
