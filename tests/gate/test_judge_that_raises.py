"""A kind of field whose comparing raises: its case is an error that names it, and every other case is judged."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from field_changes import SEEDS
from synthetic import make_result

from xai_eval.errors import StorageError
from xai_eval.gate.judge import judge, judge_all
from xai_eval.gate.run_findings import RunFindingsCollector
from xai_eval.gate.verdict import State
from xai_eval.result.fields import Curve, Difference, Field, Shift, Weights
from xai_eval.store.noise import Measured


@dataclass(frozen=True)
class Raising(Field):
    kind: ClassVar[str] = "raising"
    error: BaseException
    late: bool = False  # only where the way is asked for

    def differences(self, golden: "Raising") -> Iterator[Difference]:
        if not self.late:
            raise self.error
        yield Difference("it", 0.0, 1.0, (), self._moved())

    def _moved(self) -> Iterator[Shift]:
        raise self.error
        yield


OTHER = make_result("other.jpg")


def raising(error: BaseException, *, late: bool = False):
    return make_result("broken.jpg", fields={"it": Raising(error, late)})


@pytest.mark.parametrize("late", [False, True], ids=["compared", "asked for the run as a whole"])
def test_one_case_that_raises_is_an_error_and_the_others_are_judged(late):
    case = raising(IndexError("no such row"), late=late)
    results = {case.case.key: case, OTHER.case.key: OTHER}
    broken, other = judge_all(results, results, listener=RunFindingsCollector(Measured({}, ())))
    assert (broken.state, other.state, broken.failed) == (State.ERROR, State.OK, True)
    assert "IndexError: no such row" in broken.sentence and "run again" in broken.sentence
    assert late or "field it (raising): " in broken.sentence


@pytest.mark.parametrize("error", [StorageError("damaged"), KeyboardInterrupt()], ids=["damage", "Ctrl-C"])
def test_damage_and_interruption_are_not_taken_for_it(error):
    with pytest.raises(type(error)):
        judge(raising(error), raising(error))


def test_fields_with_nothing_in_them_are_refused():
    with pytest.raises(ValueError, match="at least one point"):
        Curve(np.zeros(0), {"a": np.zeros(0)}, "x", "y", 0.1)
    with pytest.raises(ValueError, match="at least one superpixel"):
        Weights(("a",), np.zeros((1, 0)), np.zeros((1, 0)), SEEDS)
