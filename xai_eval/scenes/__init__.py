"""Procedural scenes with exact masks: images whose every pixel is known, made from a seed alone.

Only numpy is needed. Objects are told by their shape: colours, textures, places and surroundings are drawn
without regard to the class, so a classifier that is right has looked at the object.
"""

from __future__ import annotations

from xai_eval.scenes.canvas import SIZE, VERSION
from xai_eval.scenes.concepts import BACKGROUNDS, CONCEPTS, OBJECTS, SCENE_LABELS
from xai_eval.scenes.scene import Scene, labels, render

__all__ = ["BACKGROUNDS", "CONCEPTS", "OBJECTS", "SCENE_LABELS", "SIZE", "VERSION", "Scene", "labels", "render"]
