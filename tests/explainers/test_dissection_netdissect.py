"""Counts of pixels equal those of plain Python, and those that can be counted on paper."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from dissection_reference import count_by_hand, count_images

from xai_eval.errors import UsageError
from xai_eval.explainers.dissection.counts import ConceptIndex, Counts, intersection_over_union
from xai_eval.explainers.dissection.netdissect import LabelledMaps, add_image, best_concepts, other_images
from xai_eval.explainers.dissection.shown_concepts import ShownConcepts

VOCABULARY = ConceptIndex.of(["object", "colour", "object", "part", "colour"])


def count_image(units, maps, labels, thresholds, vocabulary):
    return count_images([(units, maps, labels)], thresholds, vocabulary)


def random_image(generator, units=6, maps=2):
    some = np.flatnonzero(generator.random(units) < 0.8)
    size = tuple(generator.integers(1, 6, 2))
    labels = generator.integers(0, 6, (maps, *generator.integers(2, 14, 2)))
    labels *= generator.random(labels.shape) < 0.6
    return some, generator.standard_normal((len(some), *size)).astype(np.float32), labels.astype(np.int32)


@pytest.mark.parametrize("seed", range(25))
def test_counts_are_those_of_plain_python(seed):
    generator = np.random.default_rng(seed)
    images = [random_image(generator, maps=seed % 4) for _ in range(3)]
    thresholds = generator.uniform(-0.5, 1.0, 6)
    found = count_images(images, thresholds, VOCABULARY)
    both, unit, label = count_by_hand(images, thresholds, VOCABULARY.category_of.tolist(), 3)
    np.testing.assert_array_equal(found.both, both)
    np.testing.assert_array_equal(found.unit, unit)
    np.testing.assert_array_equal(found.label, label)


@pytest.mark.parametrize("seed", range(10))
def test_one_image_against_the_labels_of_many(seed):
    """Label maps of other sizes, none at all, and the same ones again: each comparison is counted by itself."""
    generator = np.random.default_rng(seed)
    units, maps, own = random_image(generator)
    others = [random_image(generator, maps=each)[2] for each in (1, 3, 0)]
    labels = [own, others[0], None, np.roll(own, 1, axis=2), *others[1:], own]
    thresholds = generator.uniform(-0.5, 1.0, 6)
    totals = [Counts.nothing(6, VOCABULARY) for _ in labels]
    shown = [None if each is None else ShownConcepts.of(each, VOCABULARY) for each in labels]
    add_image(totals, LabelledMaps(units, maps, shown), thresholds)
    for total, each in zip(totals, labels, strict=True):
        alone = [] if each is None else [(units, maps, each)]
        both, unit, label = count_by_hand(alone, thresholds, VOCABULARY.category_of.tolist(), 3)
        np.testing.assert_array_equal(total.both, both)
        np.testing.assert_array_equal(total.unit, unit)
        np.testing.assert_array_equal(total.label, label)


def test_categories_are_numbered_as_they_come():
    assert VOCABULARY.categories == ("object", "colour", "part")
    assert VOCABULARY.category_of.tolist() == [0, 1, 0, 2, 1]


def test_a_unit_that_matches_its_concept_has_an_iou_of_1():
    """A map at the labels' own size: the mask is the label, and the IoU is 1."""
    labels = np.zeros((1, 8, 8), dtype=np.int32)
    labels[0, 2:5, 3:8] = 1
    counts = count_image(np.array([0]), (labels == 1).astype(np.float32), labels, np.array([0.5]), VOCABULARY)
    assert (counts.both[0, 0], counts.unit[0, 0], counts.label[0]) == (15, 15, 15)
    assert counts.iou()[0, 0] == 1.0


def test_halves_by_hand():
    """Left half against upper half: a quarter is shared, and three quarters are covered."""
    labels = np.zeros((1, 8, 8), dtype=np.int32)
    labels[0, :4] = 3
    left = np.zeros((1, 8, 8), dtype=np.float32)
    left[0, :, :4] = 1
    assert count_image(np.array([0]), left, labels, np.array([0.5]), VOCABULARY).iou()[0, 2] == pytest.approx(1 / 3)


def test_upsampling_runs_between_the_centres_of_cells():
    """Two cells, 0 and 1, over eight pixels: 0 0 1/8 3/8 5/8 7/8 1 1."""
    labels = np.ones((1, 1, 8), dtype=np.int32)
    maps = np.array([[[0.0, 1.0]]], dtype=np.float32)
    thresholds = np.array([0.0, 0.2, 0.5, 0.9])
    counts = count_image(np.arange(4), np.repeat(maps, 4, axis=0), labels, thresholds, VOCABULARY)
    assert counts.unit[:, 0].tolist() == [6, 5, 4, 2]


def test_values_equal_to_the_threshold_do_not_count():
    labels = np.ones((1, 4, 4), dtype=np.int32)
    flat = np.full((1, 2, 2), 6.0, dtype=np.float32)  # a ReLU6 at its end
    assert not count_image(np.array([0]), flat, labels, np.array([6.0]), VOCABULARY).unit.any()


def test_thresholds_between_two_floats_are_not_rounded_up():
    value = np.float32(0.1)
    between = (float(np.nextafter(value, np.float32(0))) + 3 * float(value)) / 4  # nearest to the value, and below it
    assert np.float32(between) == value
    labels = np.ones((1, 2, 2), dtype=np.int32)
    counts = count_image(np.array([0]), np.full((1, 2, 2), value), labels, np.array([between]), VOCABULARY)
    assert counts.unit[0, 0] == 4


def test_a_concept_in_two_maps_counts_once():
    labels = np.full((2, 3, 3), 2, dtype=np.int32)
    counts = count_image(np.array([0]), np.ones((1, 1, 1), np.float32), labels, np.array([0.5]), VOCABULARY)
    assert (counts.label[1], counts.both[0, 1], counts.unit[0, 1]) == (9, 9, 9)


def test_activated_pixels_count_wherever_the_category_is_in_the_image():
    """If pixels outside the labels of the category did not count, the IoU would be too high."""
    labels = np.zeros((1, 4, 4), dtype=np.int32)
    labels[0, 0, 0] = 1
    everywhere = np.ones((1, 1, 1), dtype=np.float32)
    shown = (np.array([0]), everywhere, labels)
    other_category = (np.array([0]), everywhere, np.full((1, 4, 4), 4, dtype=np.int32))
    counts = count_images([shown, other_category], np.array([0.5]), VOCABULARY)
    assert counts.unit.tolist() == [[16, 0, 16]]
    assert counts.iou()[0, 0] == 1 / 16


@pytest.mark.parametrize("maps", [0, 1, 3])
def test_images_without_labels_count_nothing(maps):
    labels = np.zeros((maps, 4, 4), dtype=np.int32)
    counts = count_image(np.array([0]), np.ones((1, 2, 2), np.float32), labels, np.array([0.5]), VOCABULARY)
    assert not (counts.both.any() or counts.unit.any() or counts.label.any())
    assert not counts.iou().any()


def test_an_image_in_which_no_unit_is_strong_counts_its_labels():
    labels = np.ones((1, 4, 4), dtype=np.int32)
    counts = count_image(np.zeros(0, np.int64), np.zeros((0, 2, 2), np.float32), labels, np.zeros(3), VOCABULARY)
    assert counts.label[0] == 16 and not counts.unit.any()


@pytest.mark.parametrize(("label", "shown"), [(6, "6"), (-1, "-1"), (2**31 - 1, "2147483647")])
def test_labels_outside_the_vocabulary_are_refused(label, shown):
    labels = np.array([[[0, 1], [label, 2]]], dtype=np.int32)
    with pytest.raises(UsageError, match=rf"a label map holds {shown}; expected 0 \(no label\) to 5"):
        count_image(np.array([0]), np.ones((1, 2, 2), np.float32), labels, np.array([0.5]), VOCABULARY)


def test_upsampling_is_torch_s_bilinear():
    generator = np.random.default_rng(4)
    for _ in range(10):
        image = random_image(generator)
        torch_s = F.interpolate(torch.from_numpy(image[1])[None], size=image[2].shape[1:], mode="bilinear")[0]
        labels = np.ones_like(image[2][:1])
        covered = count_image(*image[:2], labels, np.full(6, 0.3), VOCABULARY).unit[image[0], 0]
        np.testing.assert_array_equal(covered, (torch_s > 0.3).sum(dim=(1, 2)).numpy())


def test_counts_of_other_units_or_concepts_do_not_add_up():
    counts = Counts.nothing(3, VOCABULARY)
    for other in (
        Counts.nothing(4, VOCABULARY),
        Counts.nothing(3, ConceptIndex.of(["object"] * 5)),
        Counts.nothing(3, ConceptIndex.of(["object", "colour", "part", "part", "colour"])),
    ):
        with pytest.raises(ValueError, match="the same units, concepts and categories"):
            counts + other


def test_the_iou_of_an_empty_union_is_0():
    assert intersection_over_union(*np.array([[0, 2], [0, 4], [0, 3]])).tolist() == [0.0, 0.4]


def test_best_concepts_by_hand():
    iou = np.array([[0.1, 0.3, 0.3, 0.0, 0.2], [0.0] * 5, [0.04, 0.0, 0.0, 0.039, 0.0]])
    best = best_concepts(iou, VOCABULARY)
    assert best.concept.tolist() == [1, -1, 0]
    assert best.iou.tolist() == [0.3, 0.0, 0.04]
    assert best.by_category.tolist() == [[2, 1, -1], [-1, -1, -1], [0, -1, 3]]
    assert best.interpretable.tolist() == [True, False, True]


@pytest.mark.parametrize("count", [2, 3, 10, 101])
def test_every_image_gets_the_labels_of_another(count):
    for seed in range(5):
        others = other_images(count, seed)
        assert sorted(others.tolist()) == list(range(count))
        assert (others != np.arange(count)).all()
    assert not np.array_equal(other_images(101, 0), other_images(101, 1))


def test_shuffling_the_labels_of_one_image_is_refused():
    with pytest.raises(UsageError, match="expected at least 2"):
        other_images(1, 0)
