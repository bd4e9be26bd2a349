"""Sets of images that are the same to a model: other names, places, containers, and files that are no images.

Each changes a copy of the folder `several`, which holds images and masks, and returns the folder to explain.
"""

from __future__ import annotations

import os
import shutil
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, PngImagePlugin

Change = Callable[[Path], Path | None]


@dataclass(frozen=True)
class SameImages:
    """A change of a folder that must raise no alarm in some tasks."""

    name: str
    change: Change
    tasks: tuple[str, ...] = ("cams",)


def named(stem: str) -> Change:
    """Give an image and its mask another name."""

    def change(folder: Path) -> None:
        for kind, suffix in (("images", "jpg"), ("masks", "png")):
            (folder / kind / f"3.{suffix}").rename(folder / kind / f"{stem}.{suffix}")

    return change


def packed(
    stem: str, suffix: str, convert: Callable[[Image.Image], Image.Image] = lambda image: image, **options: object
) -> Change:
    """Write the PNG again, with the same pixels."""

    def change(folder: Path) -> None:
        path = folder / "images" / "5.png"
        image = Image.open(path)
        image.load()
        path.unlink()
        convert(image).save(path.with_name(f"{stem}.{suffix}"), **options)

    return change


def with_text() -> object:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "made on another day")
    info.add_itxt("Author", "Zoë")
    return info


def with_alpha(image: Image.Image) -> Image.Image:
    return image.convert("RGBA")


def few_colours(image: Image.Image) -> Image.Image:
    return image.quantize(64)


def read_again_as_rgb(folder: Path) -> None:
    path = folder / "images" / "5.png"
    Image.open(path).convert("RGB").save(path)


def added(name: str, content: bytes = b"nothing\n") -> Change:
    def change(folder: Path) -> None:
        path = folder / "images" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)

    return change


def linked(folder: Path) -> Path:
    link = folder.with_name("link")
    link.symlink_to(folder)
    return link


def linked_files(folder: Path) -> None:
    kept = folder.with_name("kept")
    shutil.copytree(folder, kept)
    for path in folder.glob("*/*"):
        path.unlink()
        path.symlink_to(kept / path.relative_to(folder))


def upper_case(folder: Path) -> None:
    for path in list((folder / "images").iterdir()):
        path.rename(path.with_suffix(path.suffix.upper()))


def older(folder: Path) -> None:
    for path in folder.rglob("*"):
        os.utime(path, (86400, 86400))


def read_only(folder: Path) -> None:
    for path in folder.glob("*/*"):
        path.chmod(0o444)


def with_exif(folder: Path) -> None:
    path = folder / "images" / "5.png"
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 1, "somebody's camera"
    Image.open(path).save(path, exif=exif)


def jpeg_comment(folder: Path) -> None:
    path = folder / "images" / "3.jpg"
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"\xff\xfe\x00\x07hello" + data[2:])


def moved_far(folder: Path) -> Path:
    place = folder.with_name("a place") / "with spaces" / "and ünïcode"
    place.parent.mkdir(parents=True)
    return folder.rename(place)


def masks_as_one_bit(folder: Path) -> None:
    for path in (folder / "masks").iterdir():
        Image.open(path).convert("1").save(path)


NFC = unicodedata.normalize("NFC", "Zürich é")
NFD = unicodedata.normalize("NFD", NFC)
CHANGES = (
    SameImages("a renamed image", named("zebra"), ("cams", "lime", "comparison", "attributions")),
    SameImages("a name of Unicode", named(NFC)),
    SameImages("a folder with spaces", moved_far, ("cams", "comparison")),
    SameImages("a symbolic link to the folder", linked, ("cams", "comparison")),
    SameImages("symbolic links to files", linked_files, ("cams", "comparison")),
    SameImages("suffixes in capitals", upper_case, ("cams", "comparison")),
    SameImages("PNG packed again", packed("5", "png", optimize=True), ("cams", "comparison")),
    SameImages("PNG with text", packed("5", "png", pnginfo=with_text()), ("cams", "comparison")),
    SameImages("EXIF that turns nothing", with_exif),
    SameImages("a comment in a JPEG", jpeg_comment, ("cams", "lime")),
    SameImages("opaque transparency", packed("5", "png", with_alpha), ("cams", "lime")),
    SameImages("BMP", packed("5", "bmp"), ("cams", "comparison")),
    SameImages("TIFF", packed("5", "tiff"), ("cams",)),
    SameImages("WebP without loss", packed("5", "webp", lossless=True), ("cams",)),
    SameImages("a README beside the images", added("README.md"), ("cams", "comparison")),
    SameImages("a hidden file", added(".DS_Store", b"\0\0\0\1Bud1"), ("cams", "comparison")),
    SameImages("a file of Windows", added("Thumbs.db", b"\xd0\xcf\x11\xe0")),
    SameImages("a hidden image", added("._5.png", b"\0\5\x16\7")),
    SameImages("a folder of the editor", added(".ipynb_checkpoints/5-checkpoint.png")),
    SameImages("older files", older),
    SameImages("read-only files", read_only),
    SameImages("masks of one bit", masks_as_one_bit),
)
