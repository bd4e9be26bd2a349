"""Over any image, a map is the lighter, the larger its value; two kinds of colour-blindness cannot hide its sign."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.color import deltaE_ciede2000, rgb2lab
from skimage.data import chelsea

from xai_eval.report.drawing.lab import lab_of, rgb_of
from xai_eval.report.drawing.pixels import (
    diverging,
    grey,
    heat_legend,
    heat_scale,
    overlay,
    signed,
    signed_legend,
    signed_scale,
)

# What rounding to 256 levels of a channel does to L*, which runs from 0 to 100; a difference of 1 can just be seen.
ROUNDING, SEEN = 0.25, 1.0
RISING = np.linspace(0.0, 1.0, 256)[None]
GREYS = {"white": 255, "grey": 128, "black": 0}
# Machado, Oliveira and Fernandes 2009, severity 1.0, on linear RGB.
DEUTERANOPIA = np.array(
    [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]]
)
PROTANOPIA = np.array(
    [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
)


def lightness(pixels):
    """CIE L* of RGB, by scikit-image."""
    return rgb2lab(pixels)[..., 0]


def assert_rises(pixels, steps=16):
    """L* never falls along the second axis, but for rounding, and rises from every sixteenth value to the next."""
    values = lightness(pixels)
    assert np.diff(values, axis=1).min() > -ROUNDING
    assert np.diff(values[:, :: len(values[0]) // steps], axis=1).min() > SEEN


def seen_by(blindness, pixels):
    linear = np.where(pixels <= 10.31475, pixels / 255 / 12.92, ((pixels / 255 + 0.055) / 1.055) ** 2.4)
    mixed = np.clip(linear @ blindness.T, 0, 1)
    return np.where(mixed <= 0.0031308, mixed * 12.92, 1.055 * mixed ** (1 / 2.4) - 0.055)


def filled(*colours):
    """Each colour (3,) in a row of 256 equal pixels, (n, 256, 3)."""
    return np.repeat(np.array(colours, np.uint8)[:, None], 256, axis=1)


@pytest.mark.parametrize("level", GREYS.values(), ids=GREYS)
def test_hotter_is_lighter_over_white_grey_and_black(level):
    assert_rises(overlay(filled([level] * 3), RISING))


@pytest.mark.parametrize("level", GREYS.values(), ids=GREYS)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_stronger_is_lighter_on_each_side_over_white_grey_and_black(level, sign):
    assert_rises(signed(filled([level] * 3), sign * RISING, 1.0))


@given(st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=20))
def test_the_same_over_pixels_of_any_colour(colours):
    image = filled(*colours)
    values = np.repeat(RISING, len(colours), axis=0)
    assert_rises(overlay(image, values))
    assert_rises(signed(image, values, 1.0))
    assert_rises(signed(image, -values, 1.0))


def test_the_same_over_every_pixel_of_a_photograph():
    photograph = chelsea()[::20, ::20].reshape(-1, 3)
    values = np.repeat(RISING, len(photograph), axis=0)
    assert_rises(overlay(filled(*photograph), values))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_larger_differences_are_darker_on_each_side(sign):
    assert_rises(diverging(sign * RISING[:, ::-1], 1.0))


def test_lightness_and_back_are_those_of_scikit_image():
    colours = np.random.default_rng(0).random((500, 3))
    np.testing.assert_allclose(lab_of(colours), rgb2lab(colours), atol=0.02)
    np.testing.assert_allclose(rgb_of(lab_of(colours)), colours, atol=1e-9)


def test_scales_show_the_colours_as_they_appear():
    column = np.linspace(-1.0, 1.0, 256)[None]
    for row, level in ((0, 255), (-1, 0)):
        np.testing.assert_array_equal(heat_scale()[row], overlay(grey_of(level), RISING)[0])
        np.testing.assert_array_equal(signed_scale()[row], signed(grey_of(level), column, 1.0)[0])
    np.testing.assert_array_equal(heat_legend(), overlay(grey((1, 256)), RISING))
    np.testing.assert_array_equal(signed_legend(), signed(grey((1, 256)), column, 1.0))


def grey_of(level):
    return filled([level] * 3)


def test_both_kinds_of_maps_show_the_same_dimmed_image_at_0():
    image = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    nothing = np.zeros((9, 9))
    np.testing.assert_array_equal(overlay(image, nothing), signed(image, nothing, 1.0))
    np.testing.assert_array_equal(overlay(None, nothing), overlay(grey((9, 9)), nothing))


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_the_image_can_be_recognised_below_any_value(value):
    """Grey levels stay in order, and white and black differ by 40 of 100 steps of lightness."""
    greys = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    for drawn in (overlay(greys, np.full((1, 256), value)), signed(greys, np.full((1, 256), value), 1.0)):
        seen = lightness(drawn)[0]
        assert np.diff(seen).min() > -ROUNDING
        assert seen[-1] - seen[0] == pytest.approx(40, abs=3)


@pytest.mark.parametrize("blindness", [DEUTERANOPIA, PROTANOPIA], ids=["deuteranopia", "protanopia"])
def test_the_colour_blind_see_order_and_sign(blindness):
    for level in GREYS.values():
        image = grey_of(level)
        assert_rises(seen_by(blindness, overlay(image, RISING)))
        both = [rgb2lab(seen_by(blindness, signed(image, sign * RISING, 1.0))) for sign in (1.0, -1.0)]
        # CIEDE2000: 2.3 is just noticeable.
        assert deltaE_ciede2000(*both)[0, 96:].min() > 10
