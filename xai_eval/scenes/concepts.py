"""The names of everything that a scene can show."""

from __future__ import annotations

OBJECTS = (
    "balloon",
    "bird",
    "boat",
    "car",
    "fish",
    "flower",
    "house",
    "kite",
    "lamp",
    "mushroom",
    "tree",
    "umbrella",
)
BACKGROUNDS = ("sky", "river", "grass", "road", "sand", "sea", "mountain", "snow")
CONCEPTS = OBJECTS + BACKGROUNDS
SCENE_LABELS = ("beach", "desert", "meadow", "mountains", "ocean", "riverside", "street", "winter")
