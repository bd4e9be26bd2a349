"""An encoder is explained by the similarity to a reference, as the library's tutorial on embeddings has it."""

import dataclasses
import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pytorch_grad_cam import EigenCAM, GradCAM, HiResCAM, ScoreCAM
from torch import nn

from xai_eval import Classifier, OutputKind, evaluate, load_images, load_model
from xai_eval.errors import ModelMisbehaves, UsageError
from xai_eval.inputs.models.preprocessing import fixed_size_preprocessing
from xai_eval.inputs.models.reading import Reading

PREPARED = fixed_size_preprocessing(64, (0.5,) * 3, (0.25,) * 3)
SCENES = load_images("scenes:3")
EXPLAINED, FIRST, SECOND = (dataclasses.replace(SCENES, images=(each,)) for each in SCENES.images)


class Encoder(nn.Module):
    """Two convolutions and the mean over the places: twelve features."""

    def __init__(self, scale=1.0):
        super().__init__()
        torch.manual_seed(1)
        self.body = nn.Sequential(nn.Conv2d(3, 12, 5, 4, 2), nn.ReLU(), nn.Conv2d(12, 12, 3, 2, 1))
        self.scale = scale

    def forward(self, images):
        return self.scale * self.body(images).mean((2, 3))


def encoder(scale=1.0):
    return Classifier("mine", Encoder(scale), PREPARED, output=OutputKind.EMBEDDING)


def batch_of(images):
    return PREPARED(Image.fromarray(images.images[0].pixels))[None]


class SimilarityToConceptTarget:
    """Copied by its formula from the tutorial "Pixel Attribution for embeddings"."""

    def __init__(self, features):
        self.features = features

    def __call__(self, output):
        return nn.CosineSimilarity(dim=0)(output, self.features)


@pytest.mark.parametrize(
    ("method", "stock"), [("gradcam", GradCAM), ("hirescam", HiResCAM), ("eigencam", EigenCAM), ("scorecam", ScoreCAM)]
)
def test_the_map_is_that_of_the_library_for_the_similarity_to_the_reference(method, stock):
    (result,) = evaluate("cams", model=encoder().similar_to(FIRST), images=EXPLAINED, methods=[method], device="cpu")
    plain = Encoder().eval()
    cam = stock(plain, [plain.body[2]])
    with torch.no_grad():
        reference = plain(batch_of(FIRST))[0]
    expected = cam(batch_of(EXPLAINED), [SimilarityToConceptTarget(reference)])[0]
    assert result.case.params["layer"] == "body.2"
    assert np.ptp(expected) > 0.5
    np.testing.assert_allclose(result[method].array, expected, rtol=0, atol=1e-6)


def test_the_references_are_the_classes_and_the_numbers_are_cosines():
    both = dataclasses.replace(SCENES, images=SCENES.images[1:])
    model = encoder().similar_to(both)
    (result,) = evaluate("cams", model=model, images=EXPLAINED, methods=["gradcam"], target="scene-02", device="cpu")
    with torch.no_grad():
        image, *references = (Encoder().double()(batch_of(each).double())[0] for each in (EXPLAINED, FIRST, SECOND))
    cosines = [float(image @ each / image.norm() / each.norm()) for each in references]
    shown = dict(zip(result["top5"].names, result["top5"].values, strict=True))
    assert shown == {
        "scene-01 (0)": pytest.approx(cosines[0], abs=1e-6),
        "scene-02 (1)": pytest.approx(cosines[1], abs=1e-6),
    }
    assert result["explained"].text == "scene-02"
    assert result["intended"].text is None


@given(st.integers(0, 2**31), st.floats(1e-3, 1e3), st.integers(2, 40), st.integers(1, 4))
def test_the_similarity_to_itself_is_1_and_no_length_counts(seed, length, features, references):
    drawn = torch.randn(references, features, generator=torch.Generator().manual_seed(seed))
    reading = Reading(OutputKind.EMBEDDING, features, references=drawn)
    scores = reading.scores(drawn)
    assert scores.shape == (references, references) and reading.classes == references
    torch.testing.assert_close(scores.diagonal(), torch.ones(references))
    torch.testing.assert_close(reading.scores(length * drawn), scores)
    torch.testing.assert_close(scores, scores.T)
    assert bool((scores.abs() <= 1 + 1e-6).all())


def test_maps_do_not_depend_on_the_length_of_the_features():
    (one,), (other,) = (
        evaluate("cams", model=encoder(scale).similar_to(FIRST), images=EXPLAINED, methods=["gradcam"], device="cpu")
        for scale in (1.0, 50.0)
    )
    np.testing.assert_allclose(one["gradcam"].array, other["gradcam"].array, atol=1e-5)


@pytest.mark.parametrize(
    ("task", "few"),
    [
        ("lime", {"num_samples": 40, "seeds": 2}),
        ("comparison", {"num_samples": 40}),
        ("hybrid", {"num_samples": 40}),
        ("attributions", {"methods": ["saliency", "integrated_gradients"]}),
    ],
)
def test_all_tasks_explain_it(task, few):
    result, *_ = evaluate(task, model=encoder().similar_to(FIRST), images=EXPLAINED, device="cpu", **few)
    assert result["explained"].text == "scene-01"


def test_lime_explains_the_cosine():
    (result,) = evaluate("lime", model=encoder().similar_to(FIRST), images=EXPLAINED, num_samples=60, seeds=1)
    with torch.no_grad():
        image, reference = (Encoder()(batch_of(each))[0] for each in (EXPLAINED, FIRST))
    assert result["surrogates"].frame["probability"][0] == pytest.approx(
        float(nn.CosineSimilarity(0)(image, reference))
    )


def test_an_image_that_is_its_own_reference_has_a_caution():
    (itself,) = evaluate("cams", model=encoder().similar_to(FIRST), images=FIRST, methods=["scorecam"], device="cpu")
    assert "its gradients are 0" in itself["audit"].text
    (other,) = evaluate("cams", model=encoder().similar_to(FIRST), images=EXPLAINED, methods=["scorecam"], device="cpu")
    assert other["audit"].text is None


def test_an_encoder_without_a_reference_is_refused_with_the_remedy():
    with pytest.raises(UsageError, match=r"12 features of an image, of which none is a class.*--similar-to IMAGE"):
        evaluate("cams", model=encoder(), images=EXPLAINED, device="cpu")


NETS = """
from torch import nn
import torch
def encoder():
    torch.manual_seed(1)
    return nn.Sequential(nn.Conv2d(3, 8, 5, 4, 2), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text(NETS)
    for name, scene in zip(("a.png", "b & c.png"), SCENES.images, strict=False):
        Image.fromarray(scene.pixels).save(name)
    return tmp_path


def test_what_identifies_a_case_includes_the_digest_of_the_reference(place):
    def case(spec):
        (result,) = evaluate("cams", model=spec, images=EXPLAINED, methods=["gradcam"], device="cpu")
        return result.case

    digest = hashlib.sha256(Path("a.png").read_bytes()).hexdigest()
    case_a = case("file:nets.py:encoder?output=embedding&similar_to=a.png")
    assert case_a.params["similar_to"] == {"a.png": digest[:12]}
    assert case_a.model == "file:nets.py:encoder?output=embedding&similar_to=a.png"
    # The same file at another place is the same case; another content under the same name is another one.
    (place / "deeper").mkdir()
    shutil.copy("a.png", "deeper/a.png")
    assert case(f"file:nets.py:encoder?output=embedding&similar_to={place / 'deeper' / 'a.png'}") == case_a
    shutil.copy("b & c.png", "a.png")
    assert case("file:nets.py:encoder?output=embedding&similar_to=a.png") != case_a


def test_similar_to_alone_says_that_the_output_is_an_embedding(place):
    model = load_model("file:nets.py:encoder?similar_to=b%20%26%20c.png")
    assert model.output is OutputKind.EMBEDDING and model.class_names == ("b & c.png",)
    with pytest.raises(UsageError, match="similar_to is for --output embedding, not for logits"):
        load_model("file:nets.py:encoder?output=logits&similar_to=a.png")


def test_a_classifier_by_name_is_no_encoder():
    with pytest.raises(UsageError, match=r"is a classifier.*a ResNet whose fc is torch\.nn\.Identity\(\)"):
        load_model("scenes:objects?output=embedding&similar_to=scenes:1")


def test_clip_is_compared_with_a_text_or_with_an_image():
    text = load_model("open_clip:scenes:balloon?output=embedding")
    image = load_model("open_clip:scenes?similar_to=scenes:1")
    batch = text.preprocess(Image.fromarray(SCENES.images[0].pixels))[None]
    from xai_eval.inputs.clip.clip import load_clip

    clip = load_clip("scenes")
    expected = clip.embed_images(batch) @ clip.embed_texts(["balloon"]).T
    with torch.no_grad():
        torch.testing.assert_close(text.scoring(batch), expected)
        torch.testing.assert_close(image.scoring(batch), torch.ones(1, 1))
    assert text.class_names == ("balloon",) and image.class_names == ("scene-00",)
    with pytest.raises(UsageError, match="has references already"):
        load_model("open_clip:scenes:balloon?similar_to=scenes:1")


def test_references_are_prepared_as_the_images_are():
    other = fixed_size_preprocessing(64, (0.2,) * 3, (0.5,) * 3)
    model = dataclasses.replace(encoder().similar_to(FIRST), preprocess=other)
    batch = other(Image.fromarray(FIRST.images[0].pixels))[None]
    with torch.no_grad():
        torch.testing.assert_close(model.scoring(batch), torch.ones(1, 1))


class Dead(Encoder):
    def forward(self, images):
        return super().forward(images) * (images.abs().max() > 1e6)


def test_a_reference_without_features_is_refused():
    model = Classifier("dead", Dead(), PREPARED, output=OutputKind.EMBEDDING).similar_to(FIRST)
    with pytest.raises(ModelMisbehaves, match="features of the reference scene-01 that are not finite, or all 0"):
        evaluate("cams", model=model, images=EXPLAINED, device="cpu")
