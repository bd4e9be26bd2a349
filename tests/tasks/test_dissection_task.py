"""The task `dissection` with pixel labels only. Goldens cover both methods on the bundled default."""

import dataclasses
import json
import types

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from xai_eval import evaluate, load_model
from xai_eval.cli.main import main
from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.explainers.dissection.by_clip import default_similarity
from xai_eval.gate.judge import judge
from xai_eval.gate.verdict import State
from xai_eval.inputs.images.labelled import ImageSet
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.preprocessing import fixed_size_preprocessing
from xai_eval.inputs.probes.concept_sets import load_concepts
from xai_eval.inputs.probes.probes import load_probe
from xai_eval.result.result import Result
from xai_eval.result.stage import Stage, StageKind
from xai_eval.tasks.dissection.label_tables import comparing_fields
from xai_eval.tasks.dissection.passes import LabelledLayer
from xai_eval.tasks.dissection.unit_frames import clip_frame, concept_names, score_tolerance

ALONE = {"images": "scenes:48", "device": "cpu", "clip": "none", "against": "none"}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """A separate folder for the checkpoints of each test."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        (result,) = evaluate("dissection", **ALONE)
    return result


def test_every_unit_has_a_row_and_a_strip(result):
    frame = result["pixel_units"].frame
    assert list(frame["unit"]) == list(result["top_images"].strips)
    assert frame.groupby("layer", sort=False).size().to_dict() == {"layer2": 32, "layer3": 64, "layer4": 128}
    assert (frame["score"].dropna() >= 0).all() and (frame["margin"].dropna() >= 0).all()
    assert set(frame["label"].dropna()) <= {each.name for each in load_probe("scenes:1").concepts}


def test_top_images_are_those_with_the_largest_activation(result):
    """The activations are taken from the model by a hook of the test."""

    model, probe = load_model("scenes:objects"), load_probe("scenes:48")
    kept = []
    model.layer("layer4").register_forward_hook(lambda _m, _i, out: kept.append(out.mean(dim=(2, 3))))
    with torch.no_grad():
        for start in range(0, 48, 32):
            images = [Image.fromarray(probe.read(i).pixels) for i in range(start, min(start + 32, 48))]
            model.module(torch.stack([model.preprocess(each) for each in images]))
    activations = torch.cat(kept).numpy()
    frame = result["pixel_units"].frame.set_index("unit")
    for unit in (0, 17, 127):
        best = np.argsort(-activations[:, unit], kind="stable")[:5]
        assert frame.loc[f"layer4/{unit}", "top_images"] == ", ".join(probe.names[row] for row in best)


def test_tables_follow_from_the_units(result):
    frame = result["pixel_units"].frame
    layers = result["layers"].frame.set_index("layer")
    concepts = result["pixel_concepts"].frame.set_index("concept")
    for layer, own in frame.groupby("layer"):
        assert layers.loc[layer, "interpretable"] == (own["score"] >= 0.04).sum()
        assert layers.loc[layer, "beyond_chance"] == (own["false_discovery_rate"] <= 0.05).sum()
        assert concepts[layer].sum() == (own["score"] >= 0.04).sum()
    assert concepts["total"].sum() == frame["interpretable"].sum()
    assert dict(zip(result["pixel_top_concepts"].names, result["pixel_top_concepts"].values, strict=True)) == {
        name: float(total) for name, total in concepts["total"].head(5).items()
    }
    objects = concepts[concepts["kind"] == "object"]
    assert result["pixel_unique_objects"].value == len(objects)


def test_a_trained_layer_is_interpretable_beyond_chance(result):
    layer4 = result["layers"].frame.set_index("layer").loc["layer4"]
    assert layer4["interpretable"] > 3 * layer4["interpretable_by_chance"]


def test_the_most_active_units_of_an_image_are_named_with_their_labels(result):
    frame, labels = result["interpretation"].frame, result["pixel_units"].frame.set_index("unit")["label"]
    assert list(frame["label"]) == list(labels.loc[frame["unit"]])
    assert list(frame["deviations"]) == sorted(frame["deviations"], reverse=True)
    assert str(result["interpreted"]) == "scene-200000"


def test_a_stopped_evaluation_leaves_its_checkpoints_and_goes_on_to_identical_bytes(result, cache, monkeypatch):
    from xai_eval.tasks.dissection import dissection_results

    with monkeypatch.context() as patch:
        patch.setattr(dissection_results, "model_result", interrupted)
        with pytest.raises(KeyboardInterrupt):
            evaluate("dissection", **ALONE)
    assert len(list(cache.rglob("shard-*.safetensors"))) == 1
    (again,) = evaluate("dissection", **ALONE)
    assert again.digest == result.digest
    assert not list(cache.rglob("shard-*")), "checkpoints are removed when all is done"


def interrupted(*_args):
    raise KeyboardInterrupt


def test_a_result_read_from_disk_is_ok_against_itself(result, tmp_path):
    loaded = Result.load(result.save(tmp_path))
    assert loaded.digest == result.digest
    assert judge(loaded, result.condensed()).state is State.OK
    assert sum(path.stat().st_size for path in result.condensed().save(tmp_path / "golden").iterdir()) < 200_000


def test_another_model_is_a_drift_of_the_conclusion(result):
    model = load_model("scenes:objects")

    torch.manual_seed(0)
    torch.nn.init.normal_(model.module.layer4[1].conv2.weight, std=0.05)
    changed = dataclasses.replace(model, weights_digest="")
    (other,) = evaluate("dissection", **{**ALONE, "model": changed})
    verdict = judge(other, result.condensed())
    assert verdict.state is State.DRIFT and verdict.severity.label == "conclusion"
    assert "units have another label" in verdict.sentence
    assert verdict.origin.stage == Stage(StageKind.MODEL_WEIGHTS, "layer4.1")  # the blocks before it did not change


def test_layers_without_maps_have_top_images_but_no_pixel_labels(cache):
    (found,) = evaluate("dissection", **{**ALONE, "layers": ["layer4", "fc"]})
    assert set(found["pixel_units"].frame["layer"]) == {"layer4"}
    assert len(found["top_images"].strips) == 128 + 12
    assert list(found["layers"].frame["layer"]) == ["layer4", "fc"]


class Flat(torch.nn.Module):
    """A model with a constant layer, and a layer that is at its maximum almost everywhere."""

    def __init__(self):
        super().__init__()
        self.dead, self.saturated = torch.nn.Identity(), torch.nn.Identity()

    def forward(self, x):
        self.dead(torch.ones_like(x[:, :2, ::16, ::16]))
        return self.saturated((x[:, :2, ::16, ::16] * 100).clamp(0, 6)).mean(dim=(2, 3))


def test_dead_and_saturated_units_have_no_label_and_are_counted(cache):
    prepare = fixed_size_preprocessing(96, (0.1,) * 3, (0.25,) * 3)
    model = Classifier("flat", Flat(), prepare, ("a", "b"))
    (found,) = evaluate("dissection", **{**ALONE, "model": model, "layers": ["dead", "saturated"]})
    layers = found["layers"].frame.set_index("layer")
    assert layers["dead"].to_dict() == {"dead": 2, "saturated": 0}
    assert layers["never_above_threshold"].to_dict() == {"dead": 0, "saturated": 2}
    assert found["pixel_units"].frame["label"].isna().all()


def test_layers_that_nothing_could_label_are_refused_before_the_pass(cache):
    with pytest.raises(UsageError, match=r"none of the layers given for scenes:objects \(fc\) returns maps"):
        evaluate("dissection", **{**ALONE, "layers": ["fc"]})
    assert not list(cache.rglob("shard-*"))


def test_a_named_image_that_cannot_be_read_is_an_error(cache):
    probe = load_probe("scenes:12")

    class Broken:
        def read(self, position):
            if position == 5:
                raise InputUnavailable("cannot be decoded")
            return probe.reader.read(position)

    broken = dataclasses.replace(probe, reader=Broken())
    with pytest.raises(InputUnavailable, match="cannot be decoded"):
        evaluate("dissection", **{**ALONE, "images": broken, "interpret": probe.names[5]})


def test_units_without_a_score_get_no_label():
    layer = LabelledLayer("l", np.zeros((4, 3)), np.zeros(3, bool), np.zeros((3, 1), np.int64), None, None, ())
    scores = np.array([[np.nan, np.nan], [0.2, 0.7], [0.4, np.nan]])
    frame = clip_frame(layer, scores, ("car", "tree"), ["p"])
    assert frame["label"].fillna("none").tolist() == ["none", "tree", "car"]
    assert frame["second"].fillna("none").tolist() == ["none", "car", "none"]


def test_tolerance_follows_the_scale_of_the_scores():
    scores = np.array([[0.0, 1.0], [2.0, 4.0], [np.nan, np.nan], [0.0, 3.0]])
    assert score_tolerance(scores) == pytest.approx(0.02)
    assert score_tolerance(scores * 100) == pytest.approx(2.0)


def test_a_model_without_maps_is_compared_by_the_methods_that_both_models_have():
    maps = pd.DataFrame({"layer": ["l"] * 2, "label": ["car", "tree"], "interpretable": [True, False]})
    words = pd.DataFrame({"layer": ["l"] * 2, "label": ["car", "sea"]})
    request = types.SimpleNamespace(vocabulary=None, seed=0, plan=types.SimpleNamespace(probe=load_probe("scenes:1")))
    fields = comparing_fields(request, {"a": {"clip_units": words, "pixel_units": maps}, "b": {"clip_units": words}})
    assert set(fields) == {"thresholds", "clip_shared_concepts", "clip_difference"}
    assert fields["clip_difference"].frame["distance"].tolist() == [0.0, 0.0]


def test_fewer_images_are_drawn_at_random_and_recorded(cache):
    (found,) = evaluate("dissection", **{**ALONE, "probe_size": 10, "seed": 3, "shuffles": 0, "layers": ["layer4"]})
    assert found.case.input == "scenes (10 images)"
    assert found.case.params["probe"] == ["scenes", 10, 3]
    assert "10 of 48 images, drawn with seed 3" in found.provenance.parameters["notes"]
    assert "p_value" not in found["pixel_units"].frame  # there are no shuffles, so no p-values


def test_one_image_is_enough(cache):
    (found,) = evaluate("dissection", **{**ALONE, "images": "scenes:1", "layers": ["layer4"]})
    assert found["pixel_units"].frame["dead"].all()  # activations cannot vary over a single image
    assert found["pixel_units"].frame["label"].isna().all()


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"layers": ["layer9"]}, "unknown layer 'layer9'"),
        ({"layers": []}, r"layers is \[\]; expected the names of at least one layer"),
        ({"layers": "layer4"}, "layers is 'layer4'; expected the names"),
        ({"clip": "nothing"}, "CLIP spec 'nothing'"),
        ({"similarity": "wmpi"}, "unknown similarity 'wmpi'. Did you mean"),
        ({"top_k": 0}, "top_k is 0; expected a whole number from 1"),
        ({"probe_size": 49}, "subset of 49 images"),
        ({"interpret": "scene-1"}, "unknown image of scenes 'scene-1'"),
        ({"shuffles": -1}, "shuffles is -1"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"similarity": "rank_reorder", "images": "scenes:39"}, "39 are too few for that, expected 40 or more"),
        ({"engine": "spark"}, "unknown engine 'spark'"),
        ({"against": "scenes:objects"}, "both models are named scenes:objects"),
    ],
)
def test_bad_options_are_refused_before_anything_is_computed(asked, message, cache):
    with pytest.raises(UsageError, match=message):
        evaluate("dissection", **{**ALONE, **asked})
    assert not list(cache.rglob("shard-*"))


def test_photographs_without_labels_need_clip(tmp_path, cache):
    Image.fromarray(np.zeros((50, 60, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(UsageError, match="labels no pixels, so without CLIP nothing could label a unit"):
        evaluate("dissection", **{**ALONE, "images": tmp_path})
    with pytest.raises(UsageError, match=r"names 0 concepts of its own; .*--concepts"):
        evaluate("dissection", **{**ALONE, "images": tmp_path, "clip": "ViT-B-16/openai"})


def test_tasks_refuse_each_other_s_images():
    with pytest.raises(UsageError, match="task dissection takes a ProbeSet, got a ImageSet"):
        evaluate("dissection", **{**ALONE, "images": ImageSet("none", ())})
    with pytest.raises(UsageError, match="task cams takes a ImageSet, got a ProbeSet"):
        evaluate("cams", images=load_probe("scenes:1"))


def labelled_folder(folder, label):
    """Make a folder of four photographs whose label maps hold a single value."""
    for name in ("images", "labels"):
        (folder / name).mkdir()
    for index in range(4):
        Image.fromarray(np.full((50, 60, 3), 60 * index, np.uint8)).save(folder / "images" / f"{index}.png")
        Image.fromarray(np.full((50, 60), label, np.uint8)).save(folder / "labels" / f"{index}.png")
    (folder / "classes.txt").write_text("car\ntree\n")
    return folder


def test_too_many_broken_images_are_an_error(tmp_path, cache):
    folder = labelled_folder(tmp_path, 0)
    (folder / "images" / "1.png").write_bytes(b"no image")
    with pytest.raises(InputUnavailable, match=r"1 of 4 images .* cannot be read, first 1.png"):
        evaluate("dissection", **{**ALONE, "images": folder})


def test_a_probe_set_without_one_labelled_pixel_is_refused(tmp_path, cache):
    folder = labelled_folder(tmp_path, 255)
    with pytest.raises(InputUnavailable, match=r"no pixel of the 4 images of .* is labelled: all .* empty"):
        evaluate("dissection", **{**ALONE, "images": folder})


def test_labels_of_a_class_that_is_not_listed_are_an_error(tmp_path, cache):
    folder = labelled_folder(tmp_path, 7)
    with pytest.raises(InputUnavailable, match=r"4 of 4 images .* holds the ids 7; expected 0 to 1"):
        evaluate("dissection", **{**ALONE, "images": folder})


def test_names_that_two_categories_share_are_told_apart():
    from xai_eval.inputs.probes.probe_set import Concept

    assert concept_names([Concept("wood", "material"), Concept("wood", "scene"), Concept("sea", "scene")]) == [
        "wood (material)",
        "wood (scene)",
        "sea",
    ]


def test_the_command_line_writes_page_figures_and_tables(tmp_path, capsys, cache):
    out = str(tmp_path / "reports")
    asked = ["run", "dissection", "--images", "scenes:12", "--clip", "none", "--against", "none", "--quiet"]
    code = main([*asked, "--layers", "layer4", "--out", out, "--golden", str(tmp_path / "golden")])
    assert code == 0, capsys.readouterr()
    files = json.loads((tmp_path / "reports" / "verdicts.json").read_text())["files"]
    for name in ("scenes-objects_layer_concepts", "similarity_distribution", "image_interpretation"):
        assert f"figures/{name}.png" in files
    units = pd.read_csv(tmp_path / "reports" / "tables" / "dissection_pixel_units.csv")
    assert len(units) == 128
    page = (tmp_path / "reports" / "index.html").read_text()
    assert page.count('class="strip"') == 128
    assert "layer4: 128 units" in page


def test_the_command_line_prints_the_notes_of_the_run(tmp_path, capsys, cache):
    asked = ["run", "dissection", "--images", "scenes:24", "--against", "none", "--layers", "layer4", "--shuffles", "0"]
    folders = ["--out", str(tmp_path / "reports"), "--golden", str(tmp_path / "golden")]
    assert main([*asked, *folders, "--similarity", "soft_wpmi"]) == 0
    said = capsys.readouterr().err
    assert "soft_wpmi looks at the top 2 images of a unit, not at 100 as published." in said


@pytest.mark.slow
def test_few_words_are_compared_by_the_function_without_a_prior(cache):
    """A probe set smaller than the published number of top images also uses fewer top images."""
    few = {"images": "scenes:48", "device": "cpu", "against": "none", "layers": ["layer4"], "shuffles": 0}
    (found,) = evaluate("dissection", **few)
    assert found.case.params["similarity"] == {"name": "cos_cubed", "top_k": None}
    assert set(found["clip_units"].frame["label"].dropna()) <= set(load_concepts("scenes").concepts)
    (wpmi,) = evaluate("dissection", **{**few, "similarity": "soft_wpmi"})
    assert wpmi.case.params["similarity"] == {"name": "soft_wpmi", "top_k": 4}
    note = "soft_wpmi looks at the top 4 images of a unit, not at 100 as published"
    assert note in wpmi.provenance.parameters["notes"]
    assert not any("published" in each for each in found.provenance.parameters["notes"])
    assert default_similarity(100) == "soft_wpmi"
