"""Parameters that several tasks have, defined once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from xai_eval.tasks.parameters import Option

_METHODS = Option(
    "methods: for cams those of pytorch-grad-cam, for attributions those that docs/attributions.md lists", "METHOD"
)
Methods = Annotated[Sequence[str], _METHODS]
Layer = Annotated[
    str | None,
    Option("layer that class activation maps are computed from", default="the last that lies over the image"),
]
Target = Annotated[
    str | int,
    Option("explained class: predicted, intended, or a class by index, name or WordNet id", metavar="CLASS"),
]
Seed = Annotated[int, Option("seed of all random numbers")]
Samples = Annotated[int, Option("perturbed images per seed")]
BatchSize = Annotated[int, Option("number of images in one batch of the model", least=1)]
Segmentation = Annotated[
    Literal["quickshift", "slic", "felzenszwalb", "none"],
    Option("method that cuts the image into superpixels; none leaves the choice to lime"),
]
SegmentationParameters = Annotated[
    Mapping[str, Any] | None,
    Option(
        "parameters of the segmentation, such as n_segments=50",
        default="for quickshift those of lime; for slic and felzenszwalb those of the gallery of scikit-image",
    ),
]
