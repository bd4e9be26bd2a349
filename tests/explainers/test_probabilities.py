import numpy as np
import pytest
import torch

from xai_eval import load_model
from xai_eval.errors import ModelMisbehaves
from xai_eval.explainers.lime.probabilities import check_probabilities, probabilities
from xai_eval.inputs.images.images import load_images


def test_probabilities_of_a_view_are_the_softmax_of_the_image_s_logits():
    model = load_model("scenes:objects")
    pixels = load_images("scenes:1").images[0].pixels
    from PIL import Image

    with torch.no_grad():
        expected = model.module(model.preprocess(Image.fromarray(pixels))[None]).softmax(dim=1)
    found = probabilities(model)(torch.from_numpy(pixels.copy())[None])
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-6)


@pytest.mark.parametrize("rows", [[[2.0, -1.0]], [[0.5, 0.6]], [[1.2, -0.2]], [[float("nan"), 1.0]]])
def test_what_is_no_distribution_is_refused(rows):
    with pytest.raises(ModelMisbehaves, match="apply a softmax"):
        check_probabilities(torch.tensor(rows))


def test_distributions_pass():
    rows = torch.tensor([[0.25, 0.75], [1.0, 0.0]])
    assert check_probabilities(rows) is rows
