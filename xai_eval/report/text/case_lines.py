"""The lines of the terminal on single cases: drifts of one cause stand together below a line on this cause."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xai_eval.gate.causes import Group, grouped
from xai_eval.gate.verdict import State, Verdict
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
    groups = {group.verdicts[0].case.key: group for group in grouped(worst_first)}
    lines: list[str] = []
    for verdict in worst_first:
        key = verdict.case.key
        if verdict.state is not State.DRIFT:
            lines.append(f"{heads[key]}  {terminal.sentence(verdict.sentence + models[verdict.case.model])}")
        elif key in groups:
            lines += _group_lines(groups[key], heads, models)
    return lines


def _group_lines(group: Group, heads: Mapping[str, str], models: Mapping[str, str]) -> list[str]:
    worst = group.verdicts[0]
    if len(group.verdicts) == 1:
        return [f"{heads[worst.case.key]}  {terminal.sentence(worst.sentence + models[worst.case.model])}"]
    title = f"cause  {terminal.sentence(group.title)}. The worst is {worst.case.key}. {terminal.sentence(worst.cause)}"
    told = ((heads[each.case.key], terminal.sentence(each.short + models[each.case.model])) for each in group.verdicts)
    return [title, *(f"{head}  {text}" for head, text in told)]


def _label(verdict: Verdict) -> str:
    return verdict.severity.label if verdict.severity else "-"
