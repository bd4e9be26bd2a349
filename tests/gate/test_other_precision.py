"""Precisions are told apart: by limits, by noise, and by what is said."""

import dataclasses
import itertools

import numpy as np
import pytest
from synthetic import make_result

from xai_eval import judge
from xai_eval.gate.accept import store_noise
from xai_eval.gate.noise_in_use import noise_in_use
from xai_eval.gate.run_findings import run_findings_of
from xai_eval.gate.verdict import State
from xai_eval.report.text.calibration import calibration_lines
from xai_eval.result.fingerprint import fingerprint_array
from xai_eval.result.precisions import coarseness, same_precision
from xai_eval.result.stage import Stage
from xai_eval.result.stage import StageKind as K
from xai_eval.store.goldens import Goldens
from xai_eval.store.noise import Measured, Noise

VALUES = np.linspace(-1.0, 1.0, 300)
SINGLE = {"float32_matmul": "highest", "mkldnn": True}
BFLOAT16, FLOAT16 = ({**SINGLE, "autocast": name} for name in ("bfloat16", "float16"))
OF_GPU = {"float32_matmul": "highest", "mkldnn": True, "cudnn_tf32": True, "cudnn_deterministic": False}
BEFORE_IT_WAS_RECORDED = {}
PRECISIONS = (SINGLE, BFLOAT16, FLOAT16, OF_GPU, BEFORE_IT_WAS_RECORDED)


def of(precision, stage=None, change=0.0):
    """A result of a precision; one stage moved by a relative change."""
    result = make_result()
    stages = {**result.stages, **({stage: fingerprint_array(VALUES * (1 + change))} if stage else {})}
    made = dataclasses.replace(result.provenance, precision=precision)
    return dataclasses.replace(result, stages=stages, provenance=made)


def pair(now, was, stage, change):
    return of(now, stage, change), of(was, stage)


# Relative changes that other kernels of one CPU cause in MobileNetV2 (decision 0055).
@pytest.mark.parametrize(("precision", "noise"), [(FLOAT16, 3.1e-3), (BFLOAT16, 2.0e-2)])
@pytest.mark.parametrize("kind", [K.LAYER_ACTIVATIONS, K.LOGITS])
def test_the_noise_of_half_precision_is_no_drift_in_it_and_is_in_float32(precision, noise, kind):
    stage = Stage(kind)
    assert judge(*pair(precision, precision, stage, 1.1 * noise)).state is State.OK
    assert judge(*pair(precision, precision, stage, 12 * noise)).state is State.DRIFT
    assert judge(*pair(SINGLE, SINGLE, stage, 1.1 * noise)).state is State.DRIFT


@pytest.mark.parametrize(("now", "was"), [(BFLOAT16, SINGLE), (SINGLE, BFLOAT16), (FLOAT16, BFLOAT16)])
def test_a_changed_precision_is_drift_with_its_name(now, was):
    verdict = judge(*pair(now, was, Stage(K.LAYER_ACTIVATIONS), 4e-3))
    assert verdict.state is State.DRIFT
    told = f"precision autocast {was.get('autocast', 'off')} -> {now.get('autocast', 'off')}"
    assert told in map(str, verdict.changes)


@pytest.mark.parametrize("kind", [K.INPUT_TENSOR, K.DECODED_PIXELS, K.VIEW, K.TRIAL])
@pytest.mark.parametrize("precision", [BFLOAT16, FLOAT16])
def test_what_no_model_computes_keeps_its_limit_in_half_precision(kind, precision):
    assert judge(*pair(precision, precision, Stage(kind), 3e-4)).state is State.DRIFT


def test_what_an_older_golden_lacks_is_the_default_and_fails_nothing():
    verdict = judge(of(SINGLE), of(BEFORE_IT_WAS_RECORDED))
    assert verdict.state is State.OK
    assert not [each for each in verdict.changes if "autocast" in each.what]


def test_noise_is_used_for_its_own_precision_alone():
    results = [of(each) for each in PRECISIONS]
    for precision, obtained, golden in itertools.product(PRECISIONS, results, results):
        now, was = obtained.provenance.precision, golden.provenance.precision
        measured = Noise("", {}, precision=precision)
        used = noise_in_use(measured, obtained, golden)
        alike = len({each.get("autocast") for each in (precision or was, now, was)}) == 1
        assert used is (measured if alike else None)


def test_being_of_one_precision_is_symmetric():
    for one, other in itertools.product(PRECISIONS, repeat=2):
        assert same_precision(one, other) == same_precision(other, one)
        assert same_precision(one, one)
    rounded = {"float32_matmul": "high", "cudnn_tf32": True}
    assert not same_precision(SINGLE, {**SINGLE, **rounded}) and not same_precision(OF_GPU, {**OF_GPU, **rounded})


def test_bfloat16_is_as_much_coarser_as_it_has_fewer_bits():
    torch = pytest.importorskip("torch")
    assert coarseness("bfloat16") == torch.finfo(torch.bfloat16).eps / torch.finfo(torch.float16).eps
    assert coarseness("float16") == coarseness(None) == coarseness("") == 1.0


def test_noise_that_is_not_used_is_told_once():
    results = {name: make_result(name) for name in ("a.jpg", "b.jpg")}
    goldens = {each.case.key: each for each in results.values()}
    provenance = dataclasses.replace(make_result().provenance, precision=BFLOAT16)
    now = {key: dataclasses.replace(each, provenance=provenance) for key, each in goldens.items()}
    noises = {key: Noise("", {}, precision=SINGLE) for key in goldens}
    verdicts = [judge(now[key], golden) for key, golden in goldens.items()]
    (said,) = run_findings_of(now, goldens, verdicts, Measured(noises, ())).unusable
    assert "and 1 more is not used, because it was measured in another precision" in said
    assert "bfloat16 (autocast)" in said and "calibrate" in said
    assert run_findings_of(goldens, goldens, verdicts, Measured({}, ())).unusable == ()


def test_noise_of_another_precision_than_that_of_the_golden_is_not_stored(tmp_path, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    goldens = Goldens(tmp_path / "golden")
    place = goldens.store(of(SINGLE), "looked")
    outcome = store_noise([(of(BFLOAT16), Noise("", {}, precision=BFLOAT16))], goldens)
    assert (outcome.stored, outcome.drifted, outcome.other_precision) == ((), (), (of(SINGLE).case.key,))
    assert Noise.load(place) is None
    assert "its golden was made in another one" in "\n".join(calibration_lines(outcome, {}))


def test_noise_is_read_with_its_precision_and_older_noise_without(tmp_path):
    for precision in PRECISIONS:
        Noise("d", {}, precision=precision).save(tmp_path)
        assert Noise.load(tmp_path).precision == precision
