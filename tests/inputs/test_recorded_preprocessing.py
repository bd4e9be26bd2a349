"""A preprocessing rebuilt from its description equals torchvision's own."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import Compose, Resize, ToTensor

from xai_eval.errors import UsageError
from xai_eval.inputs.models.derived.derived_preprocessing import as_preprocessing
from xai_eval.inputs.models.preprocessing import fixed_size_preprocessing, imagenet_preprocessing
from xai_eval.inputs.models.recorded_preprocessing import recorded_preprocessing
from xai_eval.inputs.models.timm_preprocessing import timm_preprocessing

PRESETS = {
    "imagenet": imagenet_preprocessing(),
    "fixed size": fixed_size_preprocessing(96, (0.45, 0.4, 0.5), (0.25, 0.3, 0.2)),
}


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
@pytest.mark.parametrize("size", [(96, 96), (300, 217), (217, 300), (1000, 257), (256, 256), (61, 640)])
def test_it_computes_what_the_preset_computes(preset, size):
    rng = np.random.default_rng(sum(size))
    image = Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8))
    again = recorded_preprocessing(preset.describe())
    np.testing.assert_array_equal(again.view(image), preset.view(image))
    torch.testing.assert_close(again(image), preset(image), rtol=0, atol=1e-6)
    views = torch.from_numpy(np.stack([preset.view(image)] * 2))
    torch.testing.assert_close(again.from_view(views), preset.from_view(views), rtol=0, atol=1e-6)
    mask = rng.random(size) < 0.5
    np.testing.assert_array_equal(again.mask(mask), preset.mask(mask))
    assert again.describe() == preset.describe()


@pytest.mark.parametrize(
    "described",
    [
        None,
        {"kind": "timm"},
        {**PRESETS["imagenet"].describe(), "interpolation": "lanczos"},
        {**PRESETS["imagenet"].describe(), "crop": 300},
    ],
)
def test_descriptions_that_cannot_be_rebuilt_are_refused(described):
    with pytest.raises(UsageError, match="cannot be rebuilt from its description"):
        recorded_preprocessing(described)


def test_timm_s_preprocessing_is_made_again_from_what_is_recorded():
    timm = pytest.importorskip("timm")
    net = timm.create_model("vit_tiny_patch16_224", pretrained=False, depth=1)
    preset = timm_preprocessing(net)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 217, 3), dtype=np.uint8))
    again = recorded_preprocessing(json.loads(json.dumps(preset.describe())))
    torch.testing.assert_close(again(image), preset(image), rtol=0, atol=0)
    assert json.dumps(again.describe()) == json.dumps(preset.describe())


def test_of_a_function_it_is_said_how_to_restore_it():
    described = as_preprocessing(Compose([Resize((32, 32)), ToTensor()])).describe()
    with pytest.raises(UsageError, match=r"was a function, which is not stored.* name it with --old-model"):
        recorded_preprocessing(described)
