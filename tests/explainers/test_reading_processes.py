"""Batches that copies of this process read are those that it reads itself, whatever becomes of the copies."""

import dataclasses
import errno
import multiprocessing
import os
import signal
from contextlib import closing
from functools import partial

import pytest
import torch
from far_device import FarDevice
from small_plan import ColourClip, make_plan
from torchvision import transforms

from xai_eval.errors import InputUnavailable, ModelMisbehaves
from xai_eval.explainers.dissection import read_ahead, reading_processes
from xai_eval.explainers.dissection.batches import read_batch
from xai_eval.explainers.dissection.known_code import of_known_libraries
from xai_eval.explainers.dissection.read_ahead import Processes, batches_of, processes_for
from xai_eval.explainers.dissection.reading_processes import read_by_processes
from xai_eval.inputs.models.derived.derived_preprocessing import as_preprocessing
from xai_eval.inputs.models.preprocessing import imagenet_preprocessing
from xai_eval.inputs.probes.probes import load_probe

ROOM, IMAGES = 2**20, 16


@pytest.fixture(scope="module")
def plan():
    """Its images are drawn once."""
    drawn = make_plan(count=IMAGES, layers=("layer4",))
    images = [drawn.probe.read(each) for each in range(IMAGES)]
    return reading(drawn, **{f"at_{each}": partial(images.__getitem__, each) for each in range(IMAGES)})


def reading(plan, **changes):
    """The same plan with a reader whose method `read` is changed, by position."""

    class Reader:
        def read(self, position):
            return changes[f"at_{position}"]() if f"at_{position}" in changes else plan.probe.reader.read(position)

    return dataclasses.replace(plan, probe=dataclasses.replace(plan.probe, reader=Reader()))


def read(plan, count=2, room=ROOM):
    batches = batches_of(plan, range(len(plan.probe)))
    with closing(read_by_processes(plan, batches, count, room, torch.clone)) as coming:
        found = list(coming)
    assert not multiprocessing.active_children()
    return found


def assert_same(found, plan):
    expected = [read_batch(plan, each) for each in batches_of(plan, range(len(plan.probe)))]
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert (one.positions, one.skipped) == (other.positions, other.skipped)
        for mine, theirs in zip((*one.inputs, one.clip_input), (*other.inputs, other.clip_input), strict=True):
            assert (mine is None and theirs is None) or (mine.dtype == theirs.dtype and torch.equal(mine, theirs))
        for mine, theirs in zip(one.summaries[0], other.summaries[0], strict=True):
            assert (mine.thumbnail, mine.labels, mine.trace.pack()) == (
                theirs.thumbnail,
                theirs.labels,
                theirs.trace.pack(),
            )


def unreadable():
    raise InputUnavailable("cannot be decoded")


def killed():
    """Ends a copy as the system does when memory runs out; this process, which reads the batch then, reads nothing."""
    if multiprocessing.current_process().daemon:
        os.kill(os.getpid(), signal.SIGKILL)
    raise InputUnavailable("after it was killed")


def test_copies_read_what_this_process_reads(plan):
    assert_same(read(plan), plan)


def test_images_that_cannot_be_read_are_skipped(plan):
    broken = reading(plan, at_5=unreadable, **{f"at_{each}": unreadable for each in range(8, 12)})
    found = read(broken)
    assert_same(found, broken)
    assert [len(batch.skipped) for batch in found] == [0, 1, 4, 0]


def test_a_batch_without_room_and_one_of_a_killed_copy_are_read_here(plan):
    assert_same(read(plan, room=1), plan)
    broken = reading(plan, at_5=killed)
    assert_same(read(broken, count=3), broken)


def test_an_error_is_that_of_this_process_at_its_batch(plan):
    def fails():
        raise ModelMisbehaves(f"fails in {os.getpid()}")

    batches = batches_of(plan, range(IMAGES))
    coming = read_by_processes(reading(plan, at_9=fails), batches, 2, ROOM, torch.clone)
    assert [next(coming).positions[0] for _ in range(2)] == [0, 4]
    with pytest.raises(ModelMisbehaves, match=f"^fails in {os.getpid()}$"):
        next(coming)
    assert not multiprocessing.active_children()


def test_a_copy_that_never_answers_is_given_up(plan, monkeypatch):
    monkeypatch.setattr(reading_processes, "_PATIENCE", 0.3)

    def never():
        while multiprocessing.current_process().daemon:
            signal.pause()
        unreadable()

    stuck = reading(plan, at_1=never)
    assert [len(batch.skipped) for batch in read(stuck)] == [1, 0, 0, 0]


@pytest.mark.parametrize("allowed", [0, 1])
def test_where_fewer_processes_may_be_started_the_others_read_all(plan, monkeypatch, allowed):
    started, usual = [], reading_processes._started

    def limited(*given):
        if len(started) == allowed:
            raise BlockingIOError(errno.EAGAIN, "no more")
        started.append(usual(*given))
        return started[-1]

    monkeypatch.setattr(reading_processes, "_started", limited)
    assert_same(read(plan, count=3), plan)
    assert len(started) == allowed and not multiprocessing.active_children()


def test_nothing_is_left_when_somebody_stops_in_the_middle(plan):
    coming = read_by_processes(plan, batches_of(plan, range(IMAGES)), 3, ROOM, torch.clone)
    next(coming)
    assert len(multiprocessing.active_children()) == 3
    coming.close()
    assert not multiprocessing.active_children()


@pytest.mark.parametrize(
    ("cores", "batches", "expected"),
    [(16, 400, 15), (16, 9, 4), (64, 400, 32), (16, 3, None), (2, 400, None), (3, 400, 2)],
)
def test_beside_a_gpu_processes_read(monkeypatch, cores, batches, expected):
    monkeypatch.setattr(read_ahead.os, "sched_getaffinity", lambda _process: range(cores), raising=False)
    plan = make_plan(layers=("layer4",))
    with FarDevice() as device:
        device.moved(plan.models[0].classifier.module)
        alone = dataclasses.replace(plan, clip=None)
        room = 4 * 3 * 96 * 96 * 4
        assert processes_for(alone, batches) == (None if expected is None else Processes(expected, room))
        # Code of users is not copied, and shared memory is bounded.
        assert processes_for(plan, batches) is None and processes_for(reading(alone), batches) is None
        monkeypatch.setattr(read_ahead, "_MOST_SHARED", room)
        assert processes_for(alone, batches) is None
    assert processes_for(dataclasses.replace(make_plan(layers=("layer4",)), clip=None), 400) is None


def test_code_of_known_libraries_is_told_from_code_of_users():
    steps = [transforms.Resize(8), transforms.ToTensor()]
    own = [transforms.Lambda(lambda image: image), *steps]
    assert of_known_libraries(imagenet_preprocessing()) and of_known_libraries(load_probe("scenes:3").reader)
    assert of_known_libraries(as_preprocessing(transforms.Compose(steps)))
    assert not of_known_libraries(as_preprocessing(transforms.Compose(own)))
    assert not of_known_libraries(ColourClip()) and not of_known_libraries(lambda image: image)
