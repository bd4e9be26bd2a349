"""Which images a gallery shows is known by what they roughly look like."""

import io

import numpy as np
import pytest
from PIL import Image

from xai_eval.result.fields import Gallery

RNG = np.random.default_rng(0)
IMAGES = [np.kron(RNG.integers(0, 255, (2, 2, 3)), np.ones((36, 36, 1))).astype(np.uint8) for _ in range(40)]


def strip(*places: int, quality: int = 75, line: bool = False) -> bytes:
    white = np.full((72, 2, 3), 255, np.uint8)
    tiles = [IMAGES[place].copy() for place in places]
    for tile in tiles if line else ():
        tile[30] = (0, 255, 255)
    joined = np.concatenate([part for tile in tiles for part in (tile, white)][:-1], axis=1)
    buffer = io.BytesIO()
    Image.fromarray(joined).save(buffer, "jpeg", quality=quality)
    return buffer.getvalue()


def gallery(first: int = 0, **how: object) -> Gallery:
    return Gallery(
        {str(unit): strip(*((first + unit * 5 + at) % 40 for at in range(5)), **how) for unit in range(4)}, 5
    )


GOLDEN = gallery().condensed()


@pytest.mark.parametrize("same", [gallery(), gallery(quality=60), gallery(line=True)], ids=["same", "JPEG", "outline"])
def test_the_same_images_are_no_finding(same):
    assert same.compare(GOLDEN, "top_images") == ()


def test_images_that_change_places_within_a_strip_are_no_finding():
    turned = Gallery({str(unit): strip(*(unit * 5 + at for at in (1, 0, 2, 4, 3))) for unit in range(4)}, 5)
    assert turned.compare(GOLDEN, "top_images") == ()


def test_one_of_twenty_may_be_another_and_the_strips_of_the_next_unit_may_not():
    one = Gallery({**gallery().strips, "2": strip(10, 11, 12, 13, 30)}, 5)
    assert one.compare(GOLDEN, "top_images") == ()
    (finding,) = gallery(first=5).compare(GOLDEN, "top_images")
    assert finding.value > 0.5 and "in 0, 1, 2 and 1 more" in finding.sentence


def test_images_turned_left_to_right_are_found():
    strips = {}
    for name, each in gallery().strips.items():
        tiles = np.array_split(np.asarray(Image.open(io.BytesIO(each)))[:, ::-1], 5, axis=1)
        buffer = io.BytesIO()
        Image.fromarray(np.concatenate(tiles[::-1], axis=1)).save(buffer, "jpeg")
        strips[name] = buffer.getvalue()
    assert Gallery(strips, 5).compare(GOLDEN, "top_images") != ()


def test_other_strips_cannot_be_compared():
    assert np.isinf(Gallery({"a": strip(0)}, 1).compare(GOLDEN, "top_images")[0].value or np.inf)


def test_a_golden_keeps_no_image_and_is_condensed_once():
    assert set(GOLDEN.arrays()) == {"looks"} and GOLDEN.condensed() is GOLDEN
    assert Gallery.restore(GOLDEN.meta(), GOLDEN.arrays()).looks.tolist() == gallery().looks.tolist()
