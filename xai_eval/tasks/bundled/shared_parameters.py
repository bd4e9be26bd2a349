"""Parameters that several tasks take, defined once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from xai_eval.tasks.parameters import Option

Layer = Annotated[str | None, Option("explained layer", default="the last convolutional block")]
Target = Annotated[
    str | int,
    Option("explained class: predicted, intended, or a class by index, name or WordNet id", metavar="CLASS"),
]
Seed = Annotated[int, Option("seed of whatever draws random numbers")]
Samples = Annotated[int, Option("perturbed images per seed")]
BatchSize = Annotated[int, Option("images that the model gets at once", least=1)]
Segmentation = Annotated[
    Literal["quickshift", "slic", "felzenszwalb", "none"],
    Option("how the image is cut into superpixels; none is whatever lime does by itself"),
]
SegmentationParameters = Annotated[
    Mapping[str, Any] | None,
    Option(
        "parameters of the segmentation, such as n_segments=50",
        default="those of lime for quickshift, of scikit-image's gallery for slic and felzenszwalb",
    ),
]
