"""What a golden lacks is unwatched and no drift; what it has and the result lacks is one."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from synthetic import every_kind, make_result

from xai_eval.gate.judge import judge
from xai_eval.gate.systemic import Compared, case_shifts
from xai_eval.gate.tolerance_fit import measurements_of
from xai_eval.gate.unwatched import Unwatched, counted, watched
from xai_eval.gate.verdict import State
from xai_eval.result.fields import Curve, Document, Field, Score, Table, UnitLabels
from xai_eval.result.fields.possible import Possible
from xai_eval.result.fingerprint import fingerprint_text
from xai_eval.result.stage import OwnKind, Stage
from xai_eval.result.stage import StageKind as K
from xai_eval.store.noise import Noise

X = np.array([0.0, 1.0])


def table(**columns: list[float]) -> Table:
    return Table(pd.DataFrame({"method": ["a", "b"], **columns}), dict.fromkeys(columns, 0.1))


def rows(*keys: str) -> Table:
    return Table(pd.DataFrame({"method": list(keys), "hit": [float(len(key)) for key in keys]}), {"hit": 0.1})


def curve(*lines: str) -> Curve:
    return Curve(X, dict.fromkeys(lines, X * 0.5), "x", "y", 0.1)


# What the golden has, what the result has, and what of it is unwatched.
GROWN: dict[str, tuple[Field, Field, Unwatched]] = {
    "column behind": (table(hit=[1.0, 2.0]), table(hit=[1.0, 2.0], new=[3.0, 4.0]), Unwatched("column", "new", "it")),
    "column between": (table(hit=[1.0, 2.0]), table(new=[3.0, 4.0], hit=[1.0, 2.0]), Unwatched("column", "new", "it")),
    "row behind": (rows("one", "three"), rows("one", "three", "new"), Unwatched("row", "new", "it")),
    "row between": (rows("one", "three"), rows("one", "new", "three"), Unwatched("row", "new", "it")),
    "line": (curve("one"), curve("new", "one"), Unwatched("line", "new", "it")),
    "entry": (Document({"n": 1}), Document({"n": 1, "new": None}), Unwatched("entry", "new", "it")),
}


@pytest.mark.parametrize("name", GROWN)
def test_an_addition_is_unwatched_and_its_loss_a_drift(name):
    was, now, part = GROWN[name]
    without, with_it = make_result(fields={"it": was}), make_result(fields={"it": now})
    verdict = judge(with_it, without)
    assert (verdict.state, verdict.unwatched) == (State.OK, (part,))
    assert verdict.sentence == f"The explanation matches its golden. Unwatched, because the golden lacks it: {part}."
    assert judge(without, with_it).state is State.DRIFT


@pytest.mark.parametrize("name", GROWN)
def test_what_is_watched_is_compared_all_the_same(name):
    was, now, part = GROWN[name]
    assert watched(now, was).compare(was, "it") == ()
    verdict = judge(make_result(fields={"it": _moved(now)}), make_result(fields={"it": was}))
    assert (verdict.state, verdict.unwatched) == (State.DRIFT, (part,))
    assert [finding.field for finding in verdict.findings] == ["it"] * len(verdict.findings)
    assert not any("new" in finding.sentence for finding in verdict.findings)


def _moved(field: Field) -> Field:
    if isinstance(field, Document):
        return Document(dict.fromkeys(field.content, 2))
    if isinstance(field, Curve):
        return dataclasses.replace(field, lines={name: values + 1 for name, values in field.lines.items()})
    assert isinstance(field, Table)
    return Table(field.frame.set_index("method").add(1).reset_index(), field.tolerance)


@pytest.mark.parametrize(
    ("was", "now"),
    [(("a", "bb"), ("a", "new")), (("a", "bb"), ("bb", "new", "a")), ((), ("new",))],
    ids=["in the place of another", "in another order", "where there were none"],
)
def test_a_row_more_is_a_drift_where_the_others_are_not_as_they_were(was, now):
    verdict = judge(make_result(fields={"it": rows(*now)}), make_result(fields={"it": rows(*was)}))
    assert verdict.state is State.DRIFT
    assert "the rows changed" in verdict.findings[0].sentence


def test_what_rounding_allows_and_what_is_only_read_goes_with_its_row():
    frame = pd.DataFrame({"method": ["new", "a"], "hit": [1.0, 2.0], "note": ["x", "y"]})
    possible = {"hit": (Possible(0.0, 1.0), Possible(2.0, 3.0))}
    now = Table(frame, {"hit": 0.1}, unjudged=("note",), possible=possible)
    was = Table(frame.tail(1), {"hit": 0.1}, unjudged=("note",)).condensed()
    kept = watched(now, was)
    assert isinstance(kept, Table) and kept.possible == {"hit": (Possible(2.0, 3.0),)}
    assert kept.condensed().read == was.read
    assert kept.compare(was, "it") == ()


@pytest.mark.parametrize("kind", every_kind())
def test_a_whole_field_of_any_kind_is_unwatched_if_a_golden_keeps_it(kind):
    field = every_kind()[kind]
    verdict = judge(make_result(fields={"it": field}), make_result())
    assert verdict.state is State.OK
    assert verdict.unwatched == ((Unwatched("field", "it"),) if field.condensed() is not None else ())


@pytest.mark.parametrize("kind", [K.VIEW, K.LOGITS, K.TARGET, K.IMAGE_BYTES, OwnKind("anything else")])
def test_a_stage_is_unwatched_and_its_loss_a_drift(kind):
    golden, stage = make_result(), Stage(kind)
    stages = {name: each for name, each in golden.stages.items() if name != stage}
    without = dataclasses.replace(golden, stages=stages)
    with_it = dataclasses.replace(golden, stages={**stages, stage: fingerprint_text("x")})
    assert judge(with_it, without).state is State.OK
    assert judge(with_it, without).unwatched == (Unwatched("stage", str(stage)),)
    assert judge(without, with_it).state is State.DRIFT


def test_what_is_for_reading_alone_is_neither_watched_nor_unwatched():
    was = table(hit=[1.0, 2.0])
    now = Table(was.frame.assign(seconds=[3.0, 4.0]), was.tolerance, ("seconds",))
    assert judge(make_result(fields={"it": now}), make_result(fields={"it": was.condensed()})).unwatched == ()


def test_another_key_is_no_addition():
    was = Table(pd.DataFrame({"method": ["a", "b"], "hit": [1.0, 2.0]}))
    now = Table(pd.DataFrame({"name": ["x", "y"], "method": ["a", "a"], "hit": [1.0, 2.0]}))
    assert judge(make_result(fields={"it": now}), make_result(fields={"it": was})).state is State.DRIFT


def test_classes_of_weights_and_units_are_no_additions():
    units = every_kind()["unit labels"]
    assert isinstance(units, UnitLabels)
    more = pd.concat([units.frame, units.frame.tail(1).assign(unit="layer4/3")], ignore_index=True)
    now, was = make_result(fields={"it": UnitLabels(more, 0.05)}), make_result(fields={"it": units})
    assert (judge(now, was).state, judge(now, was).unwatched) == (State.DRIFT, ())


def test_shifts_and_noise_are_told_of_what_is_watched():
    was = make_result(fields={"it": table(hit=[1.0, 2.0])})
    now = make_result(fields={"it": table(hit=[1.05, 2.05], new=[3.0, 4.0])})
    noise = Noise("", distances={"it": {"hit": {"threads": 0.01}}})
    compared = Compared(now, was, judge(now, was), noise)
    told = {(series.what, series.measure): shift.change for series, shift in case_shifts(compared)}
    assert told["it", "hit"] == pytest.approx(0.05)
    assert ("it", "new") not in told
    assert len(measurements_of(compared)) == 1


def test_many_parts_are_counted_in_a_sentence():
    golden = make_result()
    more = {f"s{i}": Score(1.0, 0.1) for i in range(8)}
    sentence = judge(make_result(fields=more), golden).sentence
    assert sentence.endswith("lacks it: field s0, field s1, field s2, field s3, field s4 and 3 more.")


def test_equal_parts_of_several_cases_are_counted():
    one, two = Unwatched("stage", "view"), Unwatched("column", "new", "it")
    assert counted([one, two, two]) == [(two, 2), (one, 1)]


def test_an_experiment_that_cannot_be_compared_has_nothing_unwatched():
    golden = make_result()
    case = dataclasses.replace(golden.case, params={"target": "intended"})
    verdict = judge(dataclasses.replace(make_result(fields={"it": Score(1.0, 0.1)}), case=case), golden)
    assert (verdict.state, verdict.unwatched) == (State.INCOMPARABLE, ())
