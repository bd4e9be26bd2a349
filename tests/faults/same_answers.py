"""Libraries and processes that give the same answers: formulas in other words, settings that no answer depends on."""

from __future__ import annotations

import decimal
import gc
import locale
import logging
import os
import random
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import lime.lime_base
import lime.lime_image
import numpy as np
import pytorch_grad_cam.utils.image
import scipy.spatial.distance
import scipy.stats
import sklearn.metrics
import torch
import torch.nn.functional as F
from fault import Inject, replaced
from harmless import IMAGENET, LITE0, REAL, SCENES, SWIN, VIT, Harmless
from lime.lime_base import LimeBase
from pytorch_grad_cam import GradCAM, XGradCAM
from sklearn.linear_model import Ridge
from spelt_transformers import moved
from tf32 import tf32

from xai_eval import Classifier
from xai_eval.explainers.cam import cam_maps
from xai_eval.explainers.lime import lime as our_lime
from xai_eval.inputs.models.arithmetic import arithmetic, restore_arithmetic


def inside(context: Callable[[], AbstractContextManager[Any]]) -> Inject:
    """Evaluate inside a context."""

    @contextmanager
    def inject(classifier: Classifier) -> Iterator[Classifier]:
        with context():
            yield classifier

    return inject


def setting(read: Callable[[], Any], write: Callable[[Any], Any], value: Any) -> Inject:
    """Evaluate under another value of a setting."""

    @contextmanager
    def context() -> Iterator[None]:
        before = read()
        write(value)
        try:
            yield
        finally:
            write(before)

    return inside(context)


@contextmanager
def matrices_in_tf32() -> Iterator[None]:
    """To set the precision back leaves more of torch's settings changed than there were."""
    before = arithmetic()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        restore_arithmetic(before)


# --- libraries -------------------------------------------------------------------------------------------------------


def scaled_by_scipy_formula(_original: Any) -> Any:
    """Map by map, the range of the values first."""

    def scale(cam: Any, target_size: Any = None) -> Any:
        maps = []
        for one in cam:
            low, span = one.min(), np.ptp(one)
            one = ((one - low) / (span + 1e-7)).astype(np.float32)
            maps.append(one if target_size is None else cv2.resize(one, target_size, interpolation=cv2.INTER_LINEAR))
        return np.stack(maps).astype(np.float32)

    return scale


def mean_by_einsum(_original: Any) -> Any:
    def weights(self: Any, _i: Any, _l: Any, _t: Any, _a: Any, grads: Any) -> Any:
        return np.einsum("nchw->nc", grads) / (grads.shape[2] * grads.shape[3])

    return weights


def xgradcam_in_double(original: Any) -> Any:
    def weights(self: Any, i: Any, layer: Any, target: Any, activations: Any, grads: Any) -> Any:
        return original(self, i, layer, target, activations.astype(np.float64), grads.astype(np.float64))

    return weights


def ranks_by_numpy(_original: Any) -> Any:
    """Spearman's correlation as Pearson's of the mean ranks."""

    def spearman(a: Any, b: Any, **_: Any) -> Any:
        ranked = [scipy.stats.rankdata(each, method="average").astype(float) for each in (a, b)]
        found = np.corrcoef(*ranked)[0, 1]
        return type("Found", (), {"statistic": found, "correlation": found, "__getitem__": lambda _, i: found})()

    return spearman


def distances_by_scipy(original: Any) -> Any:
    def distances(x: Any, y: Any = None, metric: str = "euclidean", **options: Any) -> Any:
        if metric != "cosine":
            return original(x, y, metric=metric, **options)
        found = scipy.spatial.distance.cdist(np.asarray(x, float), np.asarray(x if y is None else y, float), "cosine")
        return np.nan_to_num(found, nan=1.0)  # scikit-learn says so of a row of zeros

    return distances


def solved_by_cholesky(**options: Any) -> Ridge:
    return Ridge(solver="cholesky", **options)


def chosen_as_a_list(original: Any) -> Any:
    return lambda *args, **options: [int(each) for each in original(*args, **options)]


def fitted_in_single(original: Any) -> Any:
    def fit(self: Any, data: Any, predictions: Any, *args: Any, **options: Any) -> Any:
        return original(self, np.asfortranarray(data), np.asarray(predictions, np.float32), *args, **options)

    return fit


LIBRARIES = (
    ("maps scaled in other words", ("cams",), replaced(cam_maps, "scale_cam_image", scaled_by_scipy_formula)),
    (
        "maps scaled by a new version",
        ("cams", "hybrid"),
        replaced(pytorch_grad_cam.utils.image, "scale_cam_image", scaled_by_scipy_formula),
    ),
    ("Grad-CAM by einsum", ("cams", "comparison", "hybrid"), replaced(GradCAM, "get_cam_weights", mean_by_einsum)),
    ("XGradCAM in double precision", ("cams",), replaced(XGradCAM, "get_cam_weights", xgradcam_in_double)),
    ("rank correlation by NumPy", ("comparison", "lime_search"), replaced(scipy.stats, "spearmanr", ranks_by_numpy)),
    (
        "distances by SciPy",
        ("lime", "lime_search"),
        replaced(sklearn.metrics, "pairwise_distances", distances_by_scipy),
    ),
    ("distances of LIME by SciPy", ("lime", "hybrid"), replaced(our_lime, "pairwise_distances", distances_by_scipy)),
    (
        "ridge regression by Cholesky",
        ("lime", "lime_search"),
        replaced(lime.lime_base, "Ridge", lambda _: solved_by_cholesky),
    ),
    ("features as a list", ("lime", "comparison"), replaced(LimeBase, "feature_selection", chosen_as_a_list)),
    (
        "fitted to single precision",
        ("lime", "comparison"),
        replaced(LimeBase, "explain_instance_with_data", fitted_in_single),
    ),
)


# --- rounding --------------------------------------------------------------------------------------------------------


def once_more(name: str) -> Inject:
    return replaced(F, name, moved)


ROUNDING = (
    (
        "batch normalisation rounds otherwise",
        ("cams", "dissection", "attributions"),
        once_more("batch_norm"),
        (SCENES, LITE0),
    ),
    ("pooling rounds otherwise", ("lime", "comparison"), once_more("adaptive_avg_pool2d"), (SCENES, IMAGENET)),
    ("scaling of tensors rounds otherwise", ("cams", "dissection"), once_more("interpolate"), (SCENES,)),
    (
        "scaling of maps rounds otherwise",
        ("cams", "hybrid"),
        replaced(cam_maps, "scale_cam_image", lambda f: noisy(f)),
        (SCENES, *REAL),
    ),
    (
        "softmax of logits rounds otherwise",
        ("lime", "lime_search"),
        replaced(torch.Tensor, "softmax", moved),
        (SCENES, IMAGENET),
    ),
    ("TF32", ("cams", "lime", "attributions"), inside(tf32), (SCENES, VIT, SWIN, *REAL)),
    ("TF32 in the others", ("comparison", "hybrid", "lime_search", "dissection"), inside(tf32), (SCENES,)),
    (
        "four threads",
        ("cams", "lime", "attributions"),
        setting(torch.get_num_threads, torch.set_num_threads, 4),
        (SCENES, VIT, *REAL),
    ),
    (
        "four threads in the others",
        ("comparison", "hybrid", "lime_search", "dissection"),
        setting(torch.get_num_threads, torch.set_num_threads, 4),
        (SCENES,),
    ),
    (
        "products of high precision",
        ("cams", "lime"),
        inside(matrices_in_tf32),
        (SCENES, VIT),
    ),
)


# Rounding of a GPU, which is simulated.
ON_GPU = ("TF32", "TF32 in the others")


def noisy(function: Any) -> Any:
    def call(*args: Any, **options: Any) -> Any:
        values = function(*args, **options)
        return (values * (1 + 1e-6 * np.random.RandomState(5).uniform(-1, 1, values.shape))).astype(np.float32)

    return call


# --- processes -------------------------------------------------------------------------------------------------------


@contextmanager
def elsewhere() -> Iterator[None]:
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            yield
        finally:
            os.chdir(before)


def environment(**values: str) -> Inject:
    @contextmanager
    def context() -> Iterator[None]:
        before = {name: os.environ.get(name) for name in values}
        os.environ.update(values)
        time.tzset()
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.__setitem__(name, value)
            time.tzset()

    return inside(context)


@contextmanager
def default_in_double_and_back() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    torch.zeros(1)
    torch.set_default_dtype(torch.float32)
    yield


@contextmanager
def default_in_double() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def filtered(action: str) -> Callable[[], AbstractContextManager[Any]]:
    @contextmanager
    def context() -> Iterator[None]:
        with warnings.catch_warnings():
            warnings.simplefilter(action)
            yield

    return context


@contextmanager
def other_states() -> Iterator[None]:
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(99), np.random.seed(99), torch.manual_seed(99)
    np.random.rand(5), torch.rand(5)
    try:
        yield
    finally:
        random.setstate(before[0]), np.random.set_state(before[1]), torch.set_rng_state(before[2])


@contextmanager
def all_logged() -> Iterator[None]:
    before = logging.root.level
    logging.root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        logging.root.setLevel(before)


@contextmanager
def no_collection() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def printed_otherwise() -> Iterator[None]:
    import pandas as pd

    shown = pd.option_context("display.max_rows", 2, "display.float_format", "{:.1f}".format)
    with np.printoptions(suppress=True, floatmode="fixed", precision=1, sign="+", linewidth=20), shown:
        torch.set_printoptions(precision=1, sci_mode=True)
        try:
            yield
        finally:
            torch.set_printoptions(profile="default")


@contextmanager
def other_backend() -> Iterator[None]:
    import matplotlib

    before = matplotlib.get_backend()
    matplotlib.use("svg")
    try:
        yield
    finally:
        matplotlib.use(before)


PROCESSES = (
    ("warnings are always shown", inside(filtered("always"))),
    ("warnings are never shown", inside(filtered("ignore"))),
    ("warnings are errors", inside(filtered("error"))),
    ("numbers printed otherwise", inside(printed_otherwise)),
    ("another working directory", inside(elsewhere)),
    ("another home and time zone", environment(HOME="/nowhere", TZ="Pacific/Auckland", LC_ALL="C.UTF-8", COLUMNS="20")),
    ("another folder for temporary files", environment(TMPDIR="/var/tmp")),
    ("another umask", setting(lambda: os.umask(0o22), os.umask, 0o77)),
    ("a locale", setting(partial(locale.setlocale, locale.LC_ALL), partial(locale.setlocale, locale.LC_ALL), "C")),
    ("double precision by default, and back", inside(default_in_double_and_back)),
    ("double precision by default", inside(default_in_double)),
    ("other states of random numbers", inside(other_states)),
    ("all is logged", inside(all_logged)),
    ("no garbage is collected", inside(no_collection)),
    ("another backend of matplotlib", inside(other_backend)),
    ("NumPy raises for each overflow", inside(lambda: np.errstate(all="raise"))),
    ("decimals of three digits", inside(lambda: decimal.localcontext(prec=3))),
    ("gradients are searched for errors", inside(torch.autograd.detect_anomaly)),
    ("tiny numbers are flushed", setting(lambda: False, torch.set_flush_denormal, True)),
    ("a deeper stack", setting(sys.getrecursionlimit, sys.setrecursionlimit, 5000)),
)

CHANGES = (
    *(Harmless(name, tasks, inject, kind="library") for name, tasks, inject in LIBRARIES),
    *(
        Harmless(name, tasks, inject, kind="rounding", models=models, device="cuda" if name in ON_GPU else "cpu")
        for name, tasks, inject, models in ROUNDING
    ),
    *(Harmless(name, ("cams", "lime"), inject, kind="process") for name, inject in PROCESSES),
)
