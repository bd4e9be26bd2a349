"""Times CAM methods and LIME at 1, 2, 4 and 16 threads, and with the model in both memory formats.

    python tests/benchmarks/threads_and_formats.py [--rounds N]

Each number is a ratio to one thread and the contiguous format, measured in turns, so that a busy machine slows both
sides down; the table shows the median of the rounds. More threads than cores only show whether anything collapses.
docs/decisions/0055-precisions.md has a table.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from xai_eval.explainers.lime.lime import LimeSettings
from xai_eval.explainers.lime.segmentation import choose_segmentation
from xai_eval.inputs.images.images import load_images
from xai_eval.inputs.models.models import load_model
from xai_eval.run.benign_changes import channels_last, threads
from xai_eval.tasks.image.explanation_setup import check_setup
from xai_eval.tasks.image.subject import Subject, cam_maps
from xai_eval.tasks.lime.lime_runs import run_lime

BARE = "forward and backward alone"
CAMS = ("gradcam", "hirescam", "eigencam", "scorecam", "ablationcam")
THREADS = (1, 2, 4, 16)
FORMATS = {"contiguous": lambda classifier: classifier, "channels last": channels_last}

Map = NDArray[np.floating]
Work = Callable[[], Map]


def lime(subject: Subject) -> Map:
    """Return the weights of 300 samples."""
    settings = LimeSettings(num_samples=300, top_labels=1, num_features=1000, batch_size=32)
    run = run_lime(subject, choose_segmentation("slic", 0), settings, [0])
    return run.weights(run.label)


def work(kind: str) -> Mapping[str, Work]:
    """Return what is timed with the model in one memory format, by name."""
    classifier = FORMATS[kind](load_model("scenes:objects", device="cpu"))
    subject = check_setup(classifier, load_images("scenes:1"), None, "predicted", 0)
    one = subject.run_model(subject.images.images[0])
    cams = {name: partial(_cam, one, name) for name in CAMS}
    return {BARE: partial(bare, one), **cams, "lime": partial(lime, one)}


def bare(subject: Subject) -> Map:
    """Return the gradient of the score, by one pass forward and back: what a method cannot do without."""
    batch = subject.batch.detach().clone().requires_grad_(True)
    score = subject.model(batch)[0, subject.target.index]
    return torch.autograd.grad(score, batch)[0].numpy()


def _cam(subject: Subject, name: str) -> Map:
    return cam_maps(subject, name).image


def seconds(call: Work, count: int) -> float:
    """Return how long the fastest of five calls takes with a number of threads; a first call is not counted."""
    with threads(count):
        call()
        return min(_once(call) for _ in range(5))


def _once(call: Work) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    every = {kind: work(kind) for kind in FORMATS}
    ways = list(itertools.product(FORMATS, THREADS))
    print("| | " + " | ".join(f"{kind}, {count}" for kind, count in ways) + " | largest difference |")
    print("|---|" + "---|" * (len(ways) + 1))
    for name in (BARE, *CAMS, "lime"):
        ratios: dict[tuple[str, int], list[float]] = {way: [] for way in ways}
        for _round in range(rounds):
            usual = seconds(every["contiguous"][name], 1)
            for kind, count in ways:
                ratios[kind, count].append(seconds(every[kind][name], count) / usual)
        with threads(1):
            expected = every["contiguous"][name]()
        off = 0.0
        for kind, count in ways:
            with threads(count):
                off = max(off, float(np.abs(every[kind][name]() - expected).max()))
        cells = " | ".join(f"{statistics.median(ratios[way]):.2f}" for way in ways)
        print(f"| {name} | {cells} | {off:.0e} |", flush=True)


if __name__ == "__main__":
    main()
