"""Use procedural scenes as a probe set: rendered when they are read, with exact label maps."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from xai_eval.errors import UsageError
from xai_eval.inputs.probes.probe_set import Concept, ProbeImage, ProbeSet
from xai_eval.scenes import BACKGROUNDS, CONCEPTS, OBJECTS, SCENE_LABELS, SIZE, VERSION, render

# Seeds of probe scenes lie after those of scenes that are explained or were held out of training, and before those that
# the bundled models were trained on.
FIRST_SEED = 200_000
_END = 1_000_000
_SCENES = 480  # every pair of main object and scene label five times

_MASKED = {name: 1 + index for index, name in enumerate(CONCEPTS)}
_PLACES = {name: 1 + len(CONCEPTS) + index for index, name in enumerate(SCENE_LABELS)}
_CATEGORIES = {"object": OBJECTS, "background": BACKGROUNDS, "scene": SCENE_LABELS}
_ALL = tuple(Concept(name, category) for category, names in _CATEGORIES.items() for name in names)


def load_scenes(spec: str) -> ProbeSet:
    """Load "scenes" (480 scenes) or "scenes:N".

    Each scene has two label maps of its own size: the exact masks of its objects and backgrounds, and its scene label
    over the whole image.

    Raises:
        UsageError: the number is malformed, 0, or so large that scenes of the training would be included.
    """
    count = _count(spec)
    seeds = range(FIRST_SEED, FIRST_SEED + count)
    names = tuple(f"scene-{seed}" for seed in seeds)
    return ProbeSet("scenes", names, _Scenes(), _ALL, _digest(seeds), (f"procedural scenes, seeds from {FIRST_SEED}",))


@dataclass(frozen=True)
class _Scenes:
    def read(self, position: int) -> ProbeImage:
        scene = render(FIRST_SEED + position)
        labels = np.zeros((2, SIZE, SIZE), dtype=np.int32)
        for name, mask in scene.masks.items():
            labels[0][mask] = _MASKED[name]
        labels[1] = _PLACES[scene.scene]
        return ProbeImage(f"scene-{scene.seed}", scene.pixels, labels)


def _count(spec: str) -> int:
    given, most = spec.partition(":")[2] or str(_SCENES), _END - FIRST_SEED
    # The length is checked first, because Python refuses to read numbers of thousands of digits.
    well_formed = spec != "scenes:" and given.isascii() and given.isdigit() and len(given) < 10
    if not well_formed or not 1 <= int(given) <= most:
        raise UsageError(f"probe set {spec!r}: expected a number of scenes from 1 to {most}, as in 'scenes:2000'.")
    return int(given)


def _digest(seeds: range) -> str:
    """Return a digest over what the scenes are rendered from; rendering them all first would take too long."""
    return hashlib.sha256(f"scenes {VERSION} {seeds.start} {len(seeds)} {_ALL}".encode()).hexdigest()
