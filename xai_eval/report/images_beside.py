"""Images of the page that are files beside it: written before the page, and removed once no page shows them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path

from xai_eval.disk.door import is_own_folder
from xai_eval.disk.files import remove_empty_folder, remove_file, write_files
from xai_eval.disk.system_errors import refusal
from xai_eval.errors import StorageError

# The folder beside the page, and letters of a digest that name a file in it: equal images are one file.
FOLDER = "page-images"
LETTERS = 32
_OURS = re.compile(rf"[0-9a-f]{{{LETTERS}}}\.(jpeg|png)", re.ASCII)


class ImagesBeside:
    """Keeps the images of one page in the folder `page-images` of a report."""

    def __init__(self, report: Path) -> None:
        self._report, self._kept = report, set[str]()

    def keep(self, files: Mapping[str, bytes]) -> None:
        """Write images by name; a file that is there already holds the same, because its name is its digest.

        Raises:
            StorageError: the folder cannot be written, or is a link.
        """
        new = {name: data for name, data in files.items() if name not in self._kept}
        if new:
            write_files(self._report / FOLDER, new, root=self._report)
            self._kept |= new.keys()

    def remove_others(self) -> None:
        """Remove the images of earlier pages.

        Raises:
            StorageError: one of them cannot be removed.
        """
        remove_images_beside(self._report, but=self._kept)


def remove_images_beside(report: Path, but: Collection[str] = ()) -> None:
    """Remove images that a page in the folder `report` had beside it, and nothing else; also their folder, if empty.

    Raises:
        StorageError: one of them cannot be removed.
    """
    folder = report / FOLDER
    try:
        if not is_own_folder(folder):
            return
        for path in folder.iterdir():
            if _OURS.fullmatch(path.name) and path.name not in but:
                remove_file(report, path)
        remove_empty_folder(report, folder)
    except OSError as error:
        found = refusal(error, "remove it by hand")
        raise StorageError(
            f"{folder} of an earlier page cannot be removed ({found.reason}). {found.sentence}"
        ) from error
