"""What `xai-eval calibrate` prints."""

from __future__ import annotations

from collections.abc import Mapping

from xai_eval.gate.accept import StoredNoise
from xai_eval.gate.verdict import Verdict
from xai_eval.media import markdown, terminal
from xai_eval.report.text.wording import count
from xai_eval.store.noise import Noise

_OTHER_PRECISION = "its golden was made in another one, so its noise was not stored: calibrate in that of the golden"


def calibration_lines(outcome: StoredNoise, noises: Mapping[str, Noise]) -> list[str]:
    """Return the table of noise by field and condition, as Markdown, and say for which cases it was stored.

    Args:
        outcome: what was stored.
        noises: all noise that was measured, by case key.
    """
    unmeasured = {name: why for noise in noises.values() for name, why in noise.unmeasured.items()}
    return [
        *_table(noises),
        *(f"unmeasured  {name}: {terminal.sentence(why)}" for name, why in unmeasured.items()),
        *(f"no golden  {key}: accept its result, then calibrate again" for key in outcome.without_golden),
        *(f"other precision  {key}: {_OTHER_PRECISION}" for key in outcome.other_precision),
        *(f"{each.state}  {each.case.key}  {_not_stored(each)}" for each in outcome.drifted),
        *(f"{note.fit}  {terminal.sentence(note.sentence)}" for note in outcome.run_findings.tolerances),
        f"noise of {count(len(outcome.stored), 'case')} stored",
    ]


def _not_stored(verdict: Verdict) -> str:
    return f"{terminal.sentence(verdict.sentence)} Its noise was not stored."


def _table(noises: Mapping[str, Noise]) -> list[str]:
    rows = noise_table(noises)
    conditions = list(dict.fromkeys(condition for *_, row in rows for condition in row))
    head = [markdown.text(name) for name in ("task", "field", "measure", *conditions)]
    cells = [[*map(markdown.text, names), *(_cell(row.get(c)) for c in conditions)] for *names, row in rows]
    return [markdown.row(line) for line in (head, ["---"] * len(head), *cells)]


def _cell(value: float | None) -> str:
    """Return the value in one digit; an empty text if it was not measured."""
    return "" if value is None else f"{value:.1g}"


def noise_table(noises: Mapping[str, Noise]) -> list[tuple[str, str, str, dict[str, float]]]:
    """Sum up the noise of all cases: task, field, measure, and the largest distance by condition.

    Measures that never changed are left out.
    """
    rows: dict[tuple[str, str, str], dict[str, float]] = {}
    for key, noise in noises.items():
        for field, measures in noise.distances.items():
            for measure, distances in measures.items():
                row = rows.setdefault((key.split("/")[0], field, measure), {})
                for condition, value in distances.items():
                    row[condition] = max(value, row.get(condition, 0.0))
    return [(*where, row) for where, row in rows.items() if any(row.values())]
