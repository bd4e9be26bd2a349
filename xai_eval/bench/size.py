"""How much work each row of the benchmark does."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """How much work each row does.

    Attributes:
        name: as in the report; only reports of one size can be compared.
        budget: seconds for one row.
        side: side of the images in pixels.
        networks: the networks whose layers CAM methods explain, by their names in torchvision.
        transformer: layers and channels of the transformer that AblationCAM explains; patches have 16 x 16 pixels.
        samples: perturbed images of LIME.
        lime_images: images that LIME explains.
        search_images: images of the search over LIME's settings.
        probe_images: images of the dissection.
        similarity: numbers of images, units and concepts.
        cases: cases that the gate judges.
    """

    name: str
    budget: float
    side: int
    networks: tuple[str, ...]
    transformer: tuple[int, int]
    samples: int
    lime_images: int
    search_images: int
    probe_images: int
    similarity: tuple[int, int, int]
    cases: int


FULL = Size("full", 20.0, 224, ("resnet18", "resnet50"), (12, 768), 1000, 10, 10, 10_000, (10_000, 512, 2_000), 1_000)
QUICK = Size("quick", 7.0, 64, ("resnet18",), (4, 192), 200, 3, 1, 32, (2_000, 128, 500), 100)
