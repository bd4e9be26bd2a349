"""Two runs side by side: what the page of a comparison says of them above its cases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from xai_eval.report.text.wording import commit_words, count
from xai_eval.result.precisions import spoken
from xai_eval.store.runs import RunRecord


@dataclass(frozen=True)
class ComparedRuns:
    """What differs between the records of two runs.

    Attributes:
        sentence: what is compared with what, and what *golden* means here.
        rows: name, value of the reference run, value of the other run; only what differs.
        same: what is the same in both, as text.
    """

    sentence: str
    rows: tuple[tuple[str, str, str], ...]
    same: str


def compared_runs(reference: RunRecord, reference_folder: Path, record: RunRecord, folder: Path) -> ComparedRuns:
    """Compare the records of two runs; the folders are named in the sentence."""
    facts = list(_facts(reference, record))
    differing = tuple(each for each in facts if each[1] != each[2])
    same = [name for name, before, after in facts if before == after]
    versions = [name for name in same if name in {*reference.versions, *record.versions}]
    named = [name for name in same if name not in versions]
    told = [*named, *([count(len(versions), "version")] if versions else [])]
    return ComparedRuns(
        compared_sentence(reference_folder, folder),
        differing,
        ", ".join(told),
    )


def compared_sentence(reference_folder: Path, folder: Path) -> str:
    """Return what is compared with what, and what a golden is here."""
    return (
        f"The run in {folder} is compared with the run in {reference_folder}, by the same limits as in a check. A "
        f"golden, or what is expected, is the result in {reference_folder} here; nobody need have accepted it."
    )


def _facts(reference: RunRecord, record: RunRecord) -> Iterator[tuple[str, str, str]]:
    for name, before, after in (
        ("models", reference.models, record.models),
        ("images", reference.inputs, record.inputs),
        ("tasks", reference.tasks, record.tasks),
    ):
        yield name, ", ".join(before) or "none", ", ".join(after) or "none"
    if reference.commit or record.commit:
        yield "commit", _commit(reference), _commit(record)
    yield "device", reference.device or "not recorded", record.device or "not recorded"
    if reference.precision or record.precision:  # runs of earlier versions record none
        yield "precision", spoken(reference.precision), spoken(record.precision)
    for name in dict.fromkeys((*reference.versions, *record.versions)):
        yield name, reference.versions.get(name, "not recorded"), record.versions.get(name, "not recorded")


def _commit(record: RunRecord) -> str:
    return commit_words(record.commit, uncommitted=record.uncommitted) or "not recorded"
