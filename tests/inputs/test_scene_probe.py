from __future__ import annotations

import pickle
from collections import Counter

import numpy as np
import pytest

from xai_eval.errors import UsageError
from xai_eval.inputs.downloads import bundled_entry
from xai_eval.inputs.probes.probe_set import Concept
from xai_eval.inputs.probes.probes import load_probe
from xai_eval.scenes import BACKGROUNDS, OBJECTS, SCENE_LABELS, VERSION, labels, render


def test_the_default_shows_every_pair_of_object_and_place_equally_often() -> None:
    probe = load_probe("scenes")
    assert (probe.name, len(probe)) == ("scenes", 480)
    pairs = Counter(labels(int(name.removeprefix("scene-"))) for name in probe.names)
    assert set(pairs.values()) == {5}
    assert len(pairs) == len(OBJECTS) * len(SCENE_LABELS)


def test_no_scene_is_evaluated_held_out_or_trained_on() -> None:
    seeds = [int(name.removeprefix("scene-")) for name in load_probe("scenes:800000").names]
    assert (seeds[0], seeds[-1], len(seeds)) == (200_000, 999_999, 800_000)
    trained_on = bundled_entry("scenes_objects")["seeds"]
    for first, last in trained_on.values():
        assert seeds[-1] < first or last < seeds[0]


def test_labels_are_the_exact_masks_and_the_place() -> None:
    probe = load_probe("scenes:6")
    for position in range(6):
        image, scene = probe.read(position), render(200_000 + position)
        assert image.name == probe.names[position] == f"scene-{scene.seed}"
        assert np.array_equal(image.pixels, scene.pixels)
        assert image.labels is not None
        assert (image.labels.shape, image.labels.dtype) == ((2, 96, 96), np.int32)
        for label, concept in enumerate(probe.concepts, start=1):
            if concept.category == "scene":
                expected = np.full((96, 96), concept.name == scene.scene)
                assert np.array_equal(image.labels[1] == label, expected)
            else:
                expected = scene.masks.get(concept.name, np.zeros((96, 96), dtype=bool))
                assert np.array_equal(image.labels[0] == label, expected)
        assert image.labels[1].min() > 0


def test_the_concepts_have_names_of_their_own() -> None:
    concepts = load_probe("scenes:1").concepts
    assert Counter(concept.category for concept in concepts) == {"object": 12, "background": 8, "scene": 8}
    assert len({concept.name for concept in concepts}) == 28
    assert {Concept("car", "object"), Concept("mountain", "background"), Concept("mountains", "scene")} < set(concepts)
    assert [concept.name for concept in concepts] == [*OBJECTS, *BACKGROUNDS, *SCENE_LABELS]


def test_a_hundred_thousand_scenes_are_ready_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of them is rendered, which takes a quarter of an hour."""
    rendered: list[int] = []
    monkeypatch.setattr("xai_eval.inputs.probes.scene_probe.render", lambda seed: rendered.append(seed) or render(seed))
    probe = load_probe("scenes:100000")
    assert len(probe) == 100_000 and not rendered
    probe.read(7)
    assert rendered == [200_007]


def test_the_digest_follows_the_seeds_and_the_version_of_the_scenes(monkeypatch: pytest.MonkeyPatch) -> None:
    digest = load_probe("scenes:7").digest
    assert digest == load_probe("scenes:7").digest != load_probe("scenes:8").digest
    monkeypatch.setattr("xai_eval.inputs.probes.scene_probe.VERSION", VERSION + 1)
    assert load_probe("scenes:7").digest != digest


@pytest.mark.parametrize(
    "spec", ["scenes:", "scenes:0", "scenes:-3", "scenes:many", "scenes:1.5", "scenes:800001", "scenes:" + "9" * 5000]
)
def test_a_malformed_number_of_scenes(spec: str) -> None:
    with pytest.raises(UsageError, match="expected a number of scenes from 1 to 800000"):
        load_probe(spec)


def test_workers_read_the_same() -> None:
    probe = load_probe("scenes:3")
    copy = pickle.loads(pickle.dumps(probe))
    assert np.array_equal(copy.read(2).labels, probe.read(2).labels)
