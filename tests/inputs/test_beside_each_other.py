"""Steps of several items overlap, and give what one item after the other gives: results, errors, and their order."""

import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xai_eval.inputs import steps as module
from xai_eval.inputs.steps import Steps, in_order, items_ahead

PREPARE, ASK, FINISH = "prepare", "ask", "finish"


class Work:
    """Steps that say what they did, and fail at some items; `asked` tells which thread asked for which item."""

    def __init__(self, failing=frozenset()):
        self.failing, self.asked, self.begun = failing, [], []
        self.steps = Steps(self.prepare, self.ask, self.finish)

    def does(self, step, item):
        self.begun.append((step, item))
        if (step, item) in self.failing:
            raise ValueError(f"{step} {item}")

    def prepare(self, item):
        self.does(PREPARE, item)
        return item + 1

    def ask(self, item, turn):
        self.asked.append((item, threading.current_thread()))
        self.does(ASK, item)
        return turn.prepared() * 10

    def finish(self, item, asked):
        self.does(FINISH, item)
        return item, asked


def given_by(results):
    """What an iterator gives, and the error that it ends with."""
    found = []
    try:
        for each in results:
            found.append(each)
    except ValueError as error:
        return found, str(error)
    return found, None


FAILING = st.frozensets(st.tuples(st.sampled_from([PREPARE, ASK, FINISH]), st.integers(0, 6)), max_size=2)


@given(st.integers(0, 7), st.integers(1, 3), st.integers(0, 3), FAILING)
def test_whatever_overlaps_gives_what_one_after_the_other_gives(count, ahead, alone, failing):
    one, other = Work(failing), Work(failing)
    expected = given_by(map(one.steps.alone, range(count)))
    threads = threading.active_count()
    assert given_by(in_order(other.steps, range(count), ahead=ahead, alone=alone)) == expected
    assert threading.active_count() == threads
    # The model is asked in this thread, in order; after an error of `finish`, about one item more.
    here = threading.current_thread()
    extra = other.asked[len(one.asked) :]
    assert other.asked[: len(one.asked)] == one.asked and all(thread is here for _, thread in other.asked)
    assert len(extra) <= (expected[1] or "").startswith(FINISH)


class InParts(Work):
    """The same for items that have parts: the steps of these fail at some (item, part), too."""

    parts = 3

    def ask(self, item, turn):
        own = Work(frozenset((step, part) for step, (whole, part) in self.failing if whole == item))
        try:
            return turn.parts(own.steps, range(turn.prepared() % (self.parts + 1)))
        finally:
            self.asked += [((item, part), thread) for part, thread in own.asked]

    def finish(self, item, asked):
        return item, asked


PARTS_FAILING = st.frozensets(
    st.tuples(st.sampled_from([PREPARE, ASK, FINISH]), st.tuples(st.integers(0, 3), st.integers(0, 2))), max_size=1
)


@settings(max_examples=60)
@given(st.integers(0, 4), st.integers(1, 2), PARTS_FAILING)
def test_whatever_overlaps_of_parts_gives_what_one_after_the_other_gives(count, ahead, failing):
    one, other = InParts(failing), InParts(failing)
    expected, threads = given_by(in_order(one.steps, range(count), ahead=0)), threading.active_count()
    assert given_by(in_order(other.steps, range(count), ahead=ahead)) == expected
    assert threading.active_count() == threads
    here, extra = threading.current_thread(), other.asked[len(one.asked) :]
    assert other.asked[: len(one.asked)] == one.asked and all(thread is here for _, thread in other.asked)
    assert len(extra) <= (expected[1] or "").startswith(FINISH)


@pytest.mark.parametrize("items", [1, 2])
def test_parts_overlap_where_a_thread_is_left_even_of_a_single_item(items):
    def ask(_item, turn):
        finished, prepared = threading.Event(), threading.Event()

        def wait(part, own):
            own.prepared()
            assert part != 1 or (finished.wait(600) and prepared.wait(600))

        own = Steps(lambda part: part == 2 and prepared.set(), wait, lambda part, _: part == 0 and finished.set())
        turn.parts(own, range(3))

    assert len(list(in_order(Steps(lambda _: None, ask, lambda *_: None), range(items), ahead=1))) == items


def test_while_the_model_works_the_next_is_prepared_and_the_one_before_finished():
    work = Work()
    finished, prepared = threading.Event(), threading.Event()

    def prepare(item):
        if item == 2:
            prepared.set()

    def ask(item, _turn):
        if item == 1:  # waits for what could never come one after the other
            assert finished.wait(600) and prepared.wait(600)

    def finish(item, _asked):
        if item == 0:
            finished.set()
        return item

    work.steps = Steps(prepare, ask, finish)
    assert list(in_order(work.steps, range(4), ahead=1)) == [0, 1, 2, 3]


@given(st.integers(1, 3))
def test_no_more_is_prepared_than_was_asked_for(ahead):
    work = Work()
    results = in_order(work.steps, range(20), ahead=ahead)
    for number, _ in enumerate(results, 1):
        prepared = sum(step == PREPARE for step, _ in work.begun)
        assert prepared <= number + 1 + ahead  # one that is finishing, one that was asked for, and those ahead


@pytest.mark.parametrize("parts", [False, True])
@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_what_has_begun_ends_before_an_interrupt_is_passed_on(interrupt, parts):
    running, threads = [], threading.active_count()

    def prepare(item):
        running.append(item)
        if item == 1:
            asked.wait(600)
        running.remove(item)

    def ask(item, turn):
        turn.prepared()
        asked.set()
        raise interrupt

    asked, steps = threading.Event(), Steps(prepare, ask, lambda *_: None)
    whole = Steps(lambda _: None, lambda _, turn: turn.parts(steps, range(9)), lambda *_: None)
    with pytest.raises(interrupt):
        list(in_order(whole if parts else steps, range(9), ahead=2))
    assert running == [] and threading.active_count() == threads


def test_a_closed_iterator_leaves_nothing_running():
    threads, work = threading.active_count(), Work()
    results = in_order(work.steps, range(9), ahead=2, alone=1)
    assert next(results) == (0, 10)
    results.close()
    assert threading.active_count() == threads


def test_alone_items_are_handed_over_before_the_model_is_asked_about_the_next():
    work, asked = Work(), []
    for _ in in_order(work.steps, range(4), ahead=1, alone=2):
        asked.append(len(work.asked))
    assert asked == [1, 2, 4, 4]


@pytest.mark.parametrize(
    ("cores", "threads", "device", "expected"),
    [(1, 1, "cpu", 0), (2, 2, "cpu", 0), (2, 1, "cpu", 1), (16, 1, "cpu", 2), (1, 1, "cuda", 0), (16, 16, "cuda", 2)],
)
def test_items_are_prepared_by_the_cores_that_the_model_leaves(monkeypatch, cores, threads, device, expected):
    monkeypatch.setattr(module.os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert items_ahead(torch.device(device)) == expected
