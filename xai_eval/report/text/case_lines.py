"""The lines of the terminal on single cases: drifts of one cause stand together below a line on this cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xai_eval.gate.causes import Group, told_together
from xai_eval.gate.verdict import Verdict
from xai_eval.media import terminal


def case_lines(worst_first: Sequence[Verdict], words: Sequence[str], models: Mapping[str, str]) -> list[str]:
    """Return one line per case, and one above each group of drifts that have one cause.

    Args:
        worst_first: the verdicts, the worst first. A group stands where its worst case belongs.
        words: the state of each case as people read it.
        models: what is added to a sentence, by model; empty where the run has only one.
    """
    labels = [_label(verdict) for verdict in worst_first]
    states, severities = (max(map(len, each), default=0) for each in (words, labels))
    heads = {
        verdict.case.key: f"{word:<{states}}  {label:<{severities}}  {verdict.case.key}"
        for verdict, word, label in zip(worst_first, words, labels, strict=True)
    }
    return [
        line
        for told in told_together(worst_first)
        for line in (_group_lines(told, heads, models) if isinstance(told, Group) else [_line(told, heads, models)])
    ]


def _line(verdict: Verdict, heads: Mapping[str, str], models: Mapping[str, str]) -> str:
    return f"{heads[verdict.case.key]}  {terminal.sentence(verdict.sentence + models[verdict.case.model])}"


def _group_lines(group: Group, heads: Mapping[str, str], models: Mapping[str, str]) -> list[str]:
    worst = group.verdicts[0]
    cause = terminal.sentence(worst.cause_of_group)
    title = f"cause  {terminal.sentence(group.title)}. The worst is {worst.case.key}. {cause}"
    told = ((heads[each.case.key], terminal.sentence(each.short + models[each.case.model])) for each in group.verdicts)
    return [title, *(f"{head}  {text}" for head, text in told)]


def _label(verdict: Verdict) -> str:
    return verdict.severity.label if verdict.severity else "-"
