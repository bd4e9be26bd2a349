"""What a kind of field gets from the base: storage by annotation, three views of its differences, a name of its own."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from synthetic import make_result

from xai_eval.errors import StorageError, UsageError
from xai_eval.result.fields import (
    KINDS,
    Difference,
    Distance,
    Field,
    Finding,
    Label,
    Severity,
    Shift,
    Statement,
    register,
)
from xai_eval.result.result import Result, stored_digest

GOLDENS = sorted(path.parent for path in (Path(__file__).parents[2] / "golden").rglob("result.json"))


@dataclass(frozen=True)
class Limits:
    most: float
    votes: int


@dataclass(frozen=True)
class Votes(Field):
    """A kind as a user writes it."""

    kind: ClassVar[str] = "votes"
    counts: NDArray[np.int64]
    limits: Limits
    names: tuple[str, ...] = ()
    shares: tuple[float, ...] = ()
    size: tuple[int, int] | None = None
    note: str | None = None

    def differences(self, golden: "Votes") -> Iterator[Difference]:
        change = int(self.counts.sum()) - int(golden.counts.sum())
        told = Statement(Severity.EVIDENCE, "votes", f"{change:+} votes", abs(change), self.limits.most)
        yield Difference("votes", abs(change), self.limits.most, [told], [Shift("votes", change, self.limits.most)])


@pytest.fixture
def votes():
    yield register(Votes)
    del KINDS["votes"]


def test_a_kind_of_a_user_is_stored_by_its_annotations(votes, tmp_path):
    field = Votes(np.array([3, 4]), Limits(math.inf, 5), ("NaN", "b"), (0.1, math.nan), (2, 3), "NaN")
    loaded = Result.load(make_result(fields={"votes": field}).save(tmp_path))["votes"]
    assert loaded.shares[0] == 0.1 and math.isnan(loaded.shares[1])
    assert (loaded.limits, loaded.names, loaded.size, loaded.note) == (field.limits, field.names, (2, 3), "NaN")
    np.testing.assert_array_equal(loaded.counts, [3, 4])
    json.dumps(field.meta(), allow_nan=False)


def test_findings_distances_and_shifts_follow_from_differences():
    was, near, far = (Votes(np.array([count]), Limits(2.0, 5)) for count in (5, 7, 2))
    assert near.compare(was, "it") == ()
    assert far.compare(was, "it") == (Finding("it", Severity.EVIDENCE, "votes", "-3 votes", 3, 2.0),)
    assert (near.distances(was), far.distances(was)) == ((Distance("votes", 2, 2.0),), (Distance("votes", 3, 2.0),))
    assert far.shifts(was) == (Shift("votes", -3, 2.0),)


@pytest.mark.parametrize("value, tolerance", [(math.nan, 1.0), (0.0, math.nan), (math.inf, math.inf)])
def test_what_is_no_number_permits_nothing(value, tolerance, monkeypatch):
    told = Statement(Severity.NUMBERS, "votes", "no number")
    monkeypatch.setattr(Votes, "differences", lambda self, golden: [Difference("votes", value, tolerance, [told])])
    field = Votes(np.array([1]), Limits(1.0, 1))
    assert len(field.compare(field, "it")) == 1


def test_a_name_belongs_to_one_kind(votes):
    with pytest.raises(UsageError, match=r"two kinds of fields are named 'label': .*\.Label and .*\.Rival"):

        @register
        @dataclass(frozen=True)
        class Rival(Votes):
            kind: ClassVar[str] = "label"

    assert KINDS["label"] is Label


def test_the_same_kind_loaded_twice_is_no_clash(votes):
    again = dataclass(frozen=True)(type("Votes", (Votes,), {"__module__": __name__, "__qualname__": "Votes"}))
    assert register(again) is KINDS["votes"] is again


def test_an_attribute_must_not_hide_the_name_that_every_field_is_stored_under():
    hiding = type("Hiding", (Votes,), {"__annotations__": {"name": str}, "name": "x", "__module__": __name__})
    with pytest.raises(UsageError, match=r"Hiding\.name"):
        register(dataclass(frozen=True)(hiding))


def test_a_result_with_a_kind_that_is_not_loaded_says_what_to_do(tmp_path):
    make_result(fields={"votes": Votes(np.array([1]), Limits(1.0, 1))}).save(tmp_path)
    with pytest.raises(StorageError, match=r"unknown kind of field 'votes'.*Load the file that registers it first"):
        Result.load(tmp_path)


@pytest.mark.parametrize("folder", GOLDENS, ids=lambda folder: f"{folder.parent.name}-{folder.name}")
def test_a_golden_that_is_read_and_condensed_again_has_the_digest_that_it_had(folder):
    assert Result.load(folder).condensed().digest == stored_digest(folder)
