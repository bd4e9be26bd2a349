import json
import math

import pytest

from xai_eval.disk.signed import sign
from xai_eval.errors import StorageError
from xai_eval.result.stage import Stage, StageKind
from xai_eval.store.noise import NOISE_FILE, LargestNoise, Noise

LOGITS = Stage(StageKind.LOGITS)
NOISE = Noise(
    golden="a" * 64,
    distances={
        "gradcam": {"largest difference": {"stored": 2e-4, "float64": 3e-4}},
        "label": {"label": {"stored": 0.0}},
    },
    shifts={"gradcam": {"mean": {"float64": -3e-5}}},
    stages={LOGITS: {"1 thread": math.inf}},
    unmeasured={"mkldnn off": "RuntimeError: no"},
    versions={"torch": "2.11.0"},
)


def test_what_is_saved_is_loaded(tmp_path):
    NOISE.save(tmp_path)
    assert Noise.load(tmp_path) == NOISE
    first = (tmp_path / NOISE_FILE).read_bytes()
    NOISE.save(tmp_path)
    assert (tmp_path / NOISE_FILE).read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == [NOISE_FILE]


def test_floors_are_the_worst_and_unsigned():
    assert NOISE.largest_distance("gradcam", "largest difference") == LargestNoise(3e-4, "float64")
    assert NOISE.largest_shift("gradcam", "mean") == LargestNoise(3e-5, "float64")
    assert NOISE.largest_stage_change(LOGITS) == LargestNoise(math.inf, "1 thread")
    assert (
        NOISE.largest_distance("gradcam", "x")
        is None
        is NOISE.largest_shift("x", "y")
        is NOISE.largest_stage_change(Stage(StageKind.VIEW))
    )


def test_a_golden_without_noise_has_none(tmp_path):
    assert Noise.load(tmp_path) is None


def edited(document, **changes):
    return json.dumps({**document, **changes})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: "{",
        lambda d: "[]",
        lambda d: edited(d, golden="b" * 64),
        lambda d: edited(d, stages=None),
        lambda d: edited(d, schema=1),
        lambda d: "",
    ],
)
def test_what_was_edited_or_cut_short_is_an_error(tmp_path, spoil):
    NOISE.save(tmp_path)
    path = tmp_path / NOISE_FILE
    path.write_text(spoil(json.loads(path.read_text())))
    with pytest.raises(StorageError, match="calibrate"):
        Noise.load(tmp_path)


def test_what_was_signed_by_hand_is_an_error_too(tmp_path):
    NOISE.save(tmp_path)
    document = json.loads((tmp_path / NOISE_FILE).read_text())
    for wrong in ({"stored": "much"}, ["much"], [0.0] * 9, 3, None):
        forged = sign({**document, "distances": {"gradcam": {"mean": wrong}}})
        (tmp_path / NOISE_FILE).write_text(json.dumps(forged))
        with pytest.raises(StorageError, match="calibrate"):
            Noise.load(tmp_path)
    for wrong in ("logits", [], {"kind": "", "changes": [0.0]}, {"kind": "logits"}):
        (tmp_path / NOISE_FILE).write_text(json.dumps(sign({**document, "stages": [wrong]})))
        with pytest.raises(StorageError, match="calibrate"):
            Noise.load(tmp_path)
