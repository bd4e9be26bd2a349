"""Colours of the page: text has a contrast of 7, and states differ for readers who are blind to some colours."""

from __future__ import annotations

import itertools
import re
from importlib import resources

import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

TEXT, STATES = ("ink", "soft", "accent", "ok", "bad", "warn"), ("accent", "ok", "bad", "warn")
# Machado, Oliveira and Fernandes (2009), table 1, severity 1.0: what is seen of linear red, green and blue.
SEEN = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def palette(scheme):
    """The colours of the style sheet by name, as linear red, green and blue in [0, 1]."""
    css = resources.files("xai_eval.report.page").joinpath("page.css").read_text(encoding="utf-8")
    roots = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    light, dark = (dict(re.findall(r"--([\w-]+): #(\w{6});", root)) for root in roots)
    chosen = light if scheme == "light" else light | dark
    return {name: linear(np.frombuffer(bytes.fromhex(text), np.uint8) / 255) for name, text in chosen.items()}


def linear(colour):
    return np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)


def contrast(one, other):
    """As WCAG 2.2 defines it: from 1 to 21."""
    dark, light = sorted(float(each @ [0.2126, 0.7152, 0.0722]) for each in (one, other))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_the_contrast_of_level_aaa_on_every_ground(scheme):
    colours = palette(scheme)
    for text, ground in itertools.product(TEXT, ("paper", "card", "warn-paper")):
        assert contrast(colours[text], colours[ground]) >= 7, (text, ground)


@pytest.mark.parametrize("kind", SEEN)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_states_differ_for_readers_who_are_blind_to_some_colours(scheme, kind):
    colours = palette(scheme)
    seen = {name: np.clip(np.array(SEEN[kind]) @ colours[name], 0, 1) for name in STATES}
    lab = {
        name: rgb2lab(np.where(c <= 0.0031308, 12.92 * c, 1.055 * c ** (1 / 2.4) - 0.055)) for name, c in seen.items()
    }
    for one, other in itertools.combinations(STATES, 2):
        # 2.3 is just noticeable side by side; a thin border or a word needs more.
        assert deltaE_ciede2000(lab[one], lab[other]) > 7, (one, other)
