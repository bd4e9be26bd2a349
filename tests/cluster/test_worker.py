"""What a worker sends back: values, and errors that another process can read."""

import copy
import sys

import pytest

from xai_eval import errors
from xai_eval.cluster.cluster import connected, value_of
from xai_eval.cluster.crew import require_same
from xai_eval.cluster.worker import Failed, Home, Worker, portable
from xai_eval.errors import InputUnavailable, MetricMisbehaves, UsageError, XaiEvalError
from xai_eval.explainers.cam.differentiable import NoGradient
from xai_eval.inputs.models.derived.called import ViewUnknown

KINDS = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, XaiEvalError)]
OTHERS = {"MetricMisbehaves": ("iou", "text"), "LibraryMisbehaves": ("a step", "torch", "text")}
EXAMPLES = [
    *(each(*OTHERS.get(each.__name__, ("text",))) for each in KINDS),
    NoGradient("Do this."),
    ViewUnknown("mine", "it is odd"),
]


class OfALibrary(Exception):
    """As some libraries have them: made of other arguments than those that it keeps."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda each: type(each).__name__)
def test_an_error_of_the_package_is_the_same_in_another_process(error):
    again = copy.copy(error)  # made as another process makes it
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


def test_a_metric_is_still_named():
    assert copy.copy(MetricMisbehaves("iou", "text")).metric == "iou"


def test_an_error_that_cannot_travel_says_the_same():
    pytest.importorskip("ray")
    found = portable(OfALibrary(1, 2))
    assert type(found) is RuntimeError and str(found) == "OfALibrary: 1 and 2"


def test_what_a_worker_raised_is_raised_here():
    with pytest.raises(UsageError, match="no such layer"):
        value_of(Failed(UsageError("no such layer")))
    assert value_of(3) == 3


def test_a_worker_without_the_folder_says_what_to_share(tmp_path):
    told = Worker(Home(str(tmp_path / "gone"), dict)).hello()
    assert isinstance(told, Failed) and "cannot enter" in str(told.error) and "same path" in str(told.error)


def test_a_worker_that_differs_is_refused_by_what_differs():
    here = {"threads": "4", "library torch": "2.6", "device": "cpu"}
    require_same(here, dict(here))
    with pytest.raises(
        InputUnavailable, match=r"library torch \(2.6 here, 2.7 there\); device \(cpu here, none there\)"
    ):
        require_same(here, {"threads": "4", "library torch": "2.7"})


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UsageError, match=r"pip install 'xai-eval\[distributed\]'"):
        connected()
