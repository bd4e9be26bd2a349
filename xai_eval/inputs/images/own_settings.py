"""Read images without what the process says of images: its warnings, and settings of Pillow that spare damage.

Code of a user sets these for the whole process, such as with the usual line `ImageFile.LOAD_TRUNCATED_IMAGES = True`.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from PIL import Image, ImageFile

# Pillow's own number. This package measures an image before it is decoded, and refuses fewer pixels.
_MOST_PIXELS = 2**30 // 4 // 3


class _OwnSettings:
    """Settings of the process, shared by threads.

    They change the whole process, and are restored to what they were: of two threads that enter and leave one after the
    other, the second would restore what the first had set. So the first that enters sets, and the last that leaves
    restores.
    """

    def __init__(self) -> None:
        self._alone = threading.Lock()
        self._inside = 0
        self._stack = ExitStack()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Drop all warnings, and let Pillow raise for half an image, while the context is open."""
        with self._alone:
            if not self._inside:
                self._stack.enter_context(warnings.catch_warnings())
                warnings.simplefilter("ignore")
                self._stack.enter_context(_strict_pillow())
            self._inside += 1
        try:
            yield
        finally:
            with self._alone:
                self._inside -= 1
                if not self._inside:
                    self._stack.close()


@contextmanager
def _strict_pillow() -> Iterator[None]:
    before = ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS
    ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = False, _MOST_PIXELS
    try:
        yield
    finally:
        ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS = before


own_settings = _OwnSettings()
