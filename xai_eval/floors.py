"""Measured noise, kept with the goldens: `calibrate` writes it, for cases that have one, and changes nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from xai_eval.drift import Verdict, judge
from xai_eval.golden import Goldens, refuse_under_ci
from xai_eval.noise import Noise
from xai_eval.overall import Overall, load_noises, look_over
from xai_eval.result import Result, stored_digest


@dataclass(frozen=True)
class Kept:
    """What became of measured noise.

    Attributes:
        stored: keys of the cases whose noise was written.
        without: keys of cases that have no golden.
        drifted: verdicts on cases that are no longer what their golden says.
        overall: how the tolerances of the stored ones lie.
    """

    stored: tuple[str, ...]
    without: tuple[str, ...]
    drifted: tuple[Verdict, ...]
    overall: Overall


def refuse_calibration_under_ci() -> None:
    """Raise UsageError where CI is set, before anything is measured."""
    refuse_under_ci("calibrating is refused where CI is set: noise is kept with the goldens, which people change.")


def keep(measured: Sequence[tuple[Result, Noise]], goldens: Goldens) -> Kept:
    """Store the noise of every case that has a golden and still agrees with it.

    Args:
        measured: result of the plain run and its noise, by case.
        goldens: where noise is kept.

    Raises:
        UsageError: under CI.
        StorageError: a golden cannot be read, or its folder cannot be written.
    """
    refuse_calibration_under_ci()
    found = {result.case.key: goldens.load(result.case) for result, _ in measured}
    plain = {result.case.key: result for result, _ in measured}
    known = {key: golden for key, golden in found.items() if golden is not None}
    verdicts = {key: judge(plain[key], golden) for key, golden in known.items()}
    for result, noise in measured:
        key = result.case.key
        if key in verdicts and not verdicts[key].failed:
            place = goldens.folder / key
            dataclasses.replace(noise, golden=stored_digest(place)).save(place)
    stored = tuple(key for key, verdict in verdicts.items() if not verdict.failed)
    return Kept(
        stored,
        tuple(key for key, golden in found.items() if golden is None),
        tuple(verdict for verdict in verdicts.values() if verdict.failed),
        look_over(plain, known, list(verdicts.values()), load_noises(goldens.folder, stored)),
    )


def noise_table(noises: Mapping[str, Noise]) -> list[tuple[str, str, str, dict[str, float]]]:
    """Sum up noise by case key: task, field, measure, and the largest distance by condition; what never moved is left
    out.
    """
    rows: dict[tuple[str, str, str], dict[str, float]] = {}
    for key, noise in noises.items():
        for field, measures in noise.distances.items():
            for measure, distances in measures.items():
                row = rows.setdefault((key.split("/")[0], field, measure), {})
                for condition, value in distances.items():
                    row[condition] = max(value, row.get(condition, 0.0))
    return [(*where, row) for where, row in rows.items() if any(row.values())]
