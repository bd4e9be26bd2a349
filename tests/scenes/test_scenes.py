from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from xai_eval.errors import UsageError
from xai_eval.scenes import BACKGROUNDS, CONCEPTS, OBJECTS, SCENE_LABELS, SIZE, VERSION, Scene, labels, render
from xai_eval.scenes.canvas import Canvas
from xai_eval.scenes.dice import Dice
from xai_eval.scenes.landscapes import paint_landscape
from xai_eval.scenes.polygons import Figure, ellipse
from xai_eval.scenes.staging import Placed, paint, stage
from xai_eval.scenes.value_noise import value_noise

# Rendered under numpy 1.26.4 and 2.4.6, with and without AVX: a change here changes every stored evaluation.
KNOWN_BYTES = {
    0: "5cf146b9089727716ebcd8281130ceb3d9a67ef73cfbe14f280804c9118f1228",
    7: "71174bd06f4351eafd994f5c721d9eb600fd5015b3822a981d131934bf67733d",
    11: "bea1e39a3473dee4b3908cf9620886f347809af9cf6b682e230851ea547c59a6",
    100_000: "3c4622049fb91d4747f52bed6ddad47bfab3806b15e73ac9cd0c30af2d3686e6",
    2**32 - 1: "085cec8086d81cd8a2bc86edf3c8a078c094d24374e51b6fdf3831a9acfb7137",
}
BUNDLED = 12
MANY = 480  # five times every pair of main object and scene label


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [render(seed) for seed in range(500_000, 500_000 + MANY)]


def digest(scene: Scene) -> str:
    content = hashlib.sha256(scene.pixels.tobytes())
    for concept, mask in sorted(scene.masks.items()):
        content.update(concept.encode() + np.packbits(mask).tobytes())
    return content.hexdigest()


@pytest.mark.parametrize("seed", KNOWN_BYTES)
def test_images_and_masks_have_the_known_bytes(seed: int) -> None:
    """After an intended change, raise the version of the scenes too: digests of probe sets contain nothing else."""
    assert VERSION == 1
    assert digest(render(seed)) == KNOWN_BYTES[seed]


def test_many_scenes_have_the_known_bytes(scenes: list[Scene]) -> None:
    together = hashlib.sha256("".join(digest(scene) for scene in scenes).encode())
    assert (VERSION, together.hexdigest()) == (1, "0ab9a0027d2f833b6ef83d714145ecf087510605f7ab6328c3b7b27287eb5597")


def test_a_scene_does_not_depend_on_what_was_rendered_before() -> None:
    first = digest(render(3))
    np.random.seed(1)
    render(4)
    assert digest(render(3)) == first


def test_there_are_twelve_objects_eight_backgrounds_and_eight_places() -> None:
    assert (len(set(OBJECTS)), len(set(BACKGROUNDS)), len(set(SCENE_LABELS))) == (12, 8, 8)
    assert set(CONCEPTS) == {*OBJECTS, *BACKGROUNDS}


def test_scenes_have_the_documented_form(scenes: list[Scene]) -> None:
    for scene in scenes:
        assert (scene.pixels.shape, scene.pixels.dtype) == ((SIZE, SIZE, 3), np.uint8)
        assert scene.pixels.flags.c_contiguous
        assert set(scene.masks) <= set(CONCEPTS)
        assert (scene.main_object, scene.scene) == labels(scene.seed)
        for mask in scene.masks.values():
            assert (mask.shape, mask.dtype) == ((SIZE, SIZE), bool)
            assert mask.any()


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed: int) -> None:
    with pytest.raises(UsageError, match=f"seed {seed}: expected .* 0 to 4294967295"):
        render(seed)


# Masks


def test_no_pixel_belongs_to_two_concepts_and_most_belong_to_one(scenes: list[Scene]) -> None:
    for scene in scenes:
        concepts_per_pixel = np.sum(list(scene.masks.values()), axis=0)
        assert concepts_per_pixel.max() == 1
        assert concepts_per_pixel.mean() > 0.8


def replay(seed: int) -> tuple[Canvas, Dice, list[Placed]]:
    """Stop a rendering where the landscape is done and the objects are chosen, but not painted."""
    dice, canvas = Dice(seed), Canvas()
    main_object, scene = labels(seed)
    return canvas, dice, stage(dice, main_object, paint_landscape(canvas, dice, scene))


@pytest.mark.parametrize("seed", range(BUNDLED))
def test_painting_an_object_takes_exactly_its_pixels_from_everything_below(seed: int) -> None:
    canvas, dice, placed = replay(seed)
    empty = np.zeros((SIZE, SIZE), dtype=bool)
    for item in placed:
        before, covered = canvas.masks(), item.on_canvas()
        paint(canvas, dice, item)
        after = canvas.masks()
        for concept in CONCEPTS:
            expected = before.get(concept, empty) & ~covered
            if concept == item.thing.concept:
                expected |= covered
            np.testing.assert_array_equal(after.get(concept, empty), expected)
    np.testing.assert_equal(canvas.masks(), dict(render(seed).masks))


@pytest.mark.parametrize("seed", range(BUNDLED))
def test_painting_changes_no_pixel_outside_the_mask_and_hides_all_inside(seed: int) -> None:
    _, _, placed = replay(seed)
    black, white, noise = Canvas(), Canvas(), Dice(seed)
    white.colours += 255.0
    for item in placed:
        mask, window = item.thing.mask, item.window
        before = black.colours.copy()
        paint_over = noise.grid(*mask.shape) * np.ones((3, 1, 1)) + 1.0
        for canvas in (black, white):
            canvas.paint(item.thing.concept, mask, paint_over, window)
        outside = ~item.on_canvas()
        np.testing.assert_array_equal(black.colours[:, outside], before[:, outside])
        np.testing.assert_array_equal(black.colours[:, ~outside], white.colours[:, ~outside])
        assert (black.colours[:, ~outside] != before[:, ~outside]).all()


def test_a_shadow_changes_colours_but_no_mask() -> None:
    canvas, _, _ = replay(0)
    before, colours = canvas.masks(), canvas.colours.copy()
    half = np.arange(SIZE * SIZE).reshape(SIZE, SIZE) % 2 == 0
    canvas.shade(half, 0.5)
    np.testing.assert_equal(canvas.masks(), before)
    np.testing.assert_array_equal(canvas.colours, np.where(half, colours * 0.5, colours))


# Composition


def test_the_main_object_is_large_nearly_whole_and_by_far_the_largest() -> None:
    for seed in range(200):
        _, _, placed = replay(seed)
        main_object = labels(seed)[0]
        sizes = {item.thing.concept: item for item in placed if item.thing.concept}
        main = sizes.pop(main_object)
        extent = max(main.thing.mask.shape)
        assert 0.28 * SIZE <= extent <= 0.52 * SIZE
        assert 1 <= len(sizes) <= 3
        assert all(max(other.thing.mask.shape) <= 0.5 * extent for other in sizes.values())
        assert render(seed).masks[main_object].sum() >= 0.75 * main.thing.mask.sum()


@pytest.mark.parametrize("first", [0, 31, 1_000_000])
def test_any_96_seeds_hold_every_pair_of_labels_once(first: int) -> None:
    pairs = Counter(labels(seed) for seed in range(first, first + 96))
    assert len(pairs) == 96
    assert set(pairs.values()) == {1}


def test_the_bundled_scenes_show_every_object_and_every_place() -> None:
    shown = [labels(seed) for seed in range(BUNDLED)]
    assert {main for main, _ in shown} == set(OBJECTS)
    assert {place for _, place in shown} == set(SCENE_LABELS)


def test_every_concept_is_often_to_be_seen(scenes: list[Scene]) -> None:
    seen = Counter(concept for scene in scenes for concept, mask in scene.masks.items() if mask.sum() >= 16)
    assert set(seen) == set(CONCEPTS)
    assert min(seen.values()) >= 50


NEEDED = {
    "beach": {"sea", "sand"},
    "desert": {"sand"},
    "meadow": {"grass"},
    "mountains": {"mountain", "grass", "sky"},
    "ocean": {"sea"},
    "riverside": {"river"},
    "street": {"road"},
    "winter": {"snow"},
}
ALSO = {
    "desert": {"mountain"},
    "riverside": {"grass", "sand"},
    "street": {"grass", "sand", "snow"},
    "winter": {"mountain"},
}


def test_the_backgrounds_make_the_place(scenes: list[Scene]) -> None:
    for scene in scenes:
        shown = {concept for concept in scene.masks if concept in BACKGROUNDS}
        needed = NEEDED[scene.scene]
        assert needed <= shown <= needed | ALSO.get(scene.scene, set()) | {"sky"}, scene.seed


# A classifier has to look at the object


def histogram(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Share of 64 colours among pixels (..., 3)."""
    bins = (pixels.reshape(-1, 3) // 64).astype(int) @ [16, 4, 1]
    return np.bincount(bins, minlength=64) / len(bins)


def mean_colour(scene: Scene) -> NDArray[np.float64]:
    return scene.pixels.mean(axis=(0, 1))


def all_colours(scene: Scene) -> NDArray[np.float64]:
    return histogram(scene.pixels)


def colours_beside_the_object(scene: Scene) -> NDArray[np.float64]:
    return histogram(scene.pixels[~scene.masks[scene.main_object]])


def thumbnail(scene: Scene) -> NDArray[np.float64]:
    return scene.pixels.reshape(6, 16, 6, 16, 3).mean(axis=(1, 3)).ravel()


def background_shares(scene: Scene) -> NDArray[np.float64]:
    return np.array([scene.masks[c].mean() if c in scene.masks else 0.0 for c in BACKGROUNDS])


def nearest_centroid_accuracy(features: NDArray[np.float64], answers: Sequence[str]) -> float:
    """Accuracy on the odd rows of the nearest class mean of the even rows."""
    names, of_row = np.unique(answers, return_inverse=True)
    spread = features[::2].std(axis=0)
    features = features / np.where(spread > 0, spread, 1.0)
    centroids = np.stack([features[::2][of_row[::2] == i].mean(axis=0) for i in range(len(names))])
    distances = ((features[1::2, None] - centroids) ** 2).sum(axis=2)
    return float((distances.argmin(axis=1) == of_row[1::2]).mean())


@pytest.fixture(scope="module")
def shuffled(scenes: list[Scene]) -> list[Scene]:
    return [scenes[i] for i in np.random.RandomState(0).permutation(MANY)]


CHANCE = 1 / len(OBJECTS)
LUCKY = CHANCE + 4 * np.sqrt(CHANCE * (1 - CHANCE) / (MANY / 2))


@pytest.mark.parametrize("feature", [mean_colour, all_colours, colours_beside_the_object, thumbnail, background_shares])
def test_colours_and_backgrounds_do_not_tell_the_object(
    shuffled: list[Scene], feature: Callable[[Scene], NDArray[np.float64]]
) -> None:
    features = np.stack([feature(scene) for scene in shuffled])
    assert nearest_centroid_accuracy(features, [scene.main_object for scene in shuffled]) < LUCKY
    places = [scene.scene for scene in shuffled]
    assert nearest_centroid_accuracy(features, places) > 0.25  # the features are informative


def test_the_object_s_own_mean_colour_does_not_tell_it_either(shuffled: list[Scene]) -> None:
    features = np.stack([scene.pixels[scene.masks[scene.main_object]].mean(axis=0) for scene in shuffled])
    assert nearest_centroid_accuracy(features, [scene.main_object for scene in shuffled]) < LUCKY


# Parts


def test_a_polygon_covers_the_pixels_whose_centre_is_inside() -> None:
    random = np.random.RandomState(0)
    y, x = np.mgrid[:40, :50] + 0.5
    for _ in range(50):
        a, b, c = random.uniform(-5, 55, size=(3, 2))
        sides = [(q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0]) for p, q in ((a, b), (b, c), (c, a))]
        inside = np.all([s > 0 for s in sides], axis=0) | np.all([s < 0 for s in sides], axis=0)
        triangle = Figure.of([(tuple(a), tuple(b), tuple(c))])
        np.testing.assert_array_equal(triangle.fill(40, 50)[0], inside)


def test_outlines_are_filled_each_on_its_own() -> None:
    square, far = ((1, 1), (4, 1), (4, 3), (1, 3)), ((3, 2), (6, 2), (6, 5), (3, 5))
    both = Figure.of([square, far]).fill(6, 7)
    assert [mask.sum() for mask in both] == [6, 9]
    np.testing.assert_array_equal(both[1], Figure.of([far]).fill(6, 7)[0])


def test_the_corners_of_an_ellipse_lie_on_it() -> None:
    for x, y in ellipse(3, -2, 5, 0.5):
        assert ((x - 3) / 5) ** 2 + ((y + 2) / 0.5) ** 2 == pytest.approx(1.0)
    assert Figure.of([ellipse(50, 50, 40, 30)]).fill(100, 100).sum() == pytest.approx(np.pi * 1200, rel=0.03)


def test_noise_stays_in_range_and_is_smooth_at_the_scale_of_its_cells() -> None:
    noise = value_noise(Dice(0), [(16, 32)], SIZE)
    assert noise.shape == (SIZE, SIZE)
    assert 0 <= noise.min() < 0.3 < 0.7 < noise.max() < 1
    assert abs(np.diff(noise, axis=0)).max() < 1.5 / 16
    assert abs(np.diff(noise, axis=1)).max() < 1.5 / 32


def test_dice_are_even_and_stay_in_range() -> None:
    dice = Dice(0)
    counts = Counter(dice.below(6) for _ in range(6000))
    assert set(counts) == set(range(6))
    assert all(abs(count - 1000) < 5 * np.sqrt(1000 * 5 / 6) for count in counts.values())
    assert all(-2 <= dice.between(-2, 3) < 3 for _ in range(1000))
    assert sorted(dice.sample("abcdef", 6)) == list("abcdef")
    assert not dice.chance(0.0)
    assert dice.chance(1.0)
