"""Procedural scenes: images rendered from a seed, with an exact mask of everything that they show.

Only numpy is needed. Colours, textures, places and surroundings are drawn independently of the class of an object. Only
its shape tells what an object is, so a classifier can be right only by looking at the object.
"""

from __future__ import annotations

from xai_eval.scenes.canvas import SIZE, VERSION
from xai_eval.scenes.concepts import BACKGROUNDS, CONCEPTS, OBJECTS, SCENE_LABELS
from xai_eval.scenes.scene import Scene, labels, render

__all__ = ["BACKGROUNDS", "CONCEPTS", "OBJECTS", "SCENE_LABELS", "SIZE", "VERSION", "Scene", "labels", "render"]
