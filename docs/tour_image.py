"""The image of the tour in the README: the first case of its page, as a browser shows it.

python docs/tour.py tour
python docs/tour_image.py tour/reports/index.html docs/tour.png
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from PIL import Image

sys.path.append(str(Path(__file__).parents[1] / "tests"))
import chromium

_WINDOW = {"width": 1080, "height": 900}  # pixels of the page, of which each is so many of the image:
_SCALE = 0.8
_LARGEST = 200_000  # bytes: it travels with the repository
_COLOURS = 256


def take_image(page: Path, image: Path) -> None:
    """Write what the worst case looks like, down to the comparison of its first map, as a PNG file."""
    with chromium.launched() as browser:
        tab = browser.new_page(viewport=_WINDOW, device_scale_factor=_SCALE)
        tab.goto(page.resolve().as_uri())
        case = tab.locator("article").first
        top, end = case.bounding_box(), case.locator("section.drift").first.bounding_box()
        shown = {**top, "height": end["y"] + end["height"] - top["y"] + 8}
        taken = tab.screenshot(full_page=True, clip=shown)
    drawn = Image.open(io.BytesIO(taken)).convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    drawn.save(image, optimize=True)
    if image.stat().st_size > _LARGEST:
        raise SystemExit(f"{image} has {image.stat().st_size} bytes; expected {_LARGEST} at most.")


if __name__ == "__main__":
    take_image(Path(sys.argv[1]), Path(sys.argv[2]))
