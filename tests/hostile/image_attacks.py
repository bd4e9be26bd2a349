"""Images that are not what they seem, that cost too much, or that are left out without a word."""

from __future__ import annotations

import functools
import io
import json
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import tifffile
from hostile import image_bombs
from hostile.attack import Attack
from hostile.reference_cost import cheapest
from PIL import Image

from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.inputs.images.decode import decode
from xai_eval.inputs.images.images import load_images
from xai_eval.inputs.set_names import name_of_file, name_of_folder

RAMP = np.add.outer(np.arange(32) * 4, np.arange(32) * 3).astype(np.uint8)


def refused(read: Callable[[], object], *words: str) -> str | None:
    """Nothing if reading is refused with these words, and at once."""
    came, seconds = cheapest(partial(_refusal, read), image_bombs.SECONDS)
    if not isinstance(came, InputUnavailable):
        return f"it was read: {getattr(came, 'notes', came)}"
    missing = [word for word in words if word not in str(came)]
    late = seconds > image_bombs.SECONDS
    return f"the error says {came}" if missing else "it took more than a second" if late else None


def _refusal(read: Callable[[], object]) -> object:
    """The error by which reading is refused, or what was read."""
    try:
        return read()
    except InputUnavailable as error:
        return error


def saved(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def encoded(kind: str, pixels: np.ndarray = RAMP, **options: object) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


# Programs: formats that Pillow hands on to other programs, or that are no raster images.
_NO_RASTER = {
    "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\nshowpage\n",
    "EPS behind a DOS header": b"\xc5\xd0\xd3\xc6"
    + struct.pack("<II", 32, 60)
    + bytes(20)
    + b"%!PS-Adobe-3.0 EPSF-3.0\n",
    "WMF": b"\xd7\xcd\xc6\x9a\0\0" + struct.pack("<4hH", 0, 0, 640, 640, 96) + bytes(40),
    "EMF": struct.pack("<IIiiiiiiii", 1, 108, 0, 0, 64, 64, 0, 0, 64, 64) + b" EMF" + bytes(80),
    "PDF": b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\n",
    "XPM": b'/* XPM */\nstatic char *x[] = {\n"16 16 1 1",\n"a c #000000",\n' + b'"aaaaaaaaaaaaaaaa",\n' * 16,
    "FITS": b"SIMPLE  =                    T".ljust(2880),
}


def _no_raster(content: bytes, folder: Path) -> str | None:
    for suffix in ("png", "tif", "jpg"):
        if came := refused(partial(decode, saved(folder, f"photo.{suffix}", content)), "not an image"):
            return came
    return None


# Images taken as sound.
def _damaged_in_the_middle(folder: Path) -> str | None:
    pixels = np.random.RandomState(0).randint(0, 256, (12, 12)).astype(np.uint8).repeat(16, 0).repeat(16, 1)
    whole = bytearray(encoded("JPEG", pixels))
    middle = (whole.index(b"\xff\xda") + len(whole)) // 2
    whole[middle : middle + 12] = bytes(range(100, 112))
    return refused(partial(decode, saved(folder, "a.jpg", bytes(whole))), "damaged", "libjpeg")


def _damaged_behind_a_harmless_warning(folder: Path) -> str | None:
    whole = bytearray(encoded("JPEG"))
    whole[11] = 7
    end = len(whole) - 30
    return refused(partial(decode, saved(folder, "a.jpg", bytes(whole[:end]) + b"\xff\xd9")), "damaged")


def _changed_pixel_of_a_png(folder: Path) -> str | None:
    whole = bytearray(encoded("PNG", compress_level=0))
    whole[whole.index(b"IDAT") + 300] ^= 64
    return refused(partial(decode, saved(folder, "a.png", bytes(whole))), "checksum")


def _turned_black(folder: Path) -> str | None:
    rows = b"".join(b"\0" + np.stack([row] * 3, axis=1).astype(">u2").tobytes() for row in RAMP)
    header = struct.pack(">IIBBBBB", 32, 32, 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    whole = b"\x89PNG\r\n\x1a\n" + b"".join(image_bombs.chunk(*each) for each in chunks)
    return refused(partial(decode, saved(folder, "a.png", whole)), "nothing could be seen")


def _grey_that_turns_black(folder: Path) -> str | None:
    tifffile.imwrite(folder / "a.tif", RAMP.astype(np.uint32) + 70_000)
    return refused(partial(decode, folder / "a.tif"), "nothing could be seen")


def _white_is_smallest(folder: Path) -> str | None:
    for kind in (np.uint8, np.uint16, np.uint32):
        values = (RAMP.astype(np.float64) / 255 * np.iinfo(kind).max).astype(kind)
        tifffile.imwrite(folder / "a.tif", values, photometric="miniswhite")
        apart = np.abs(decode(folder / "a.tif").pixels[:, :, 0].astype(int) - (255 - RAMP.astype(int))).max()
        if apart > 1:
            return f"{np.dtype(kind)} is read {apart} levels off"
    return None


def _planes_of_16_bits(folder: Path) -> str | None:
    values = np.stack([RAMP, RAMP.T, 255 - RAMP]).astype(np.uint16) * 257
    tifffile.imwrite(folder / "a.tif", values, photometric="rgb", planarconfig="separate")
    right = np.array_equal(decode(folder / "a.tif").pixels, np.moveaxis(values >> 8, 0, -1))
    return None if right else "the planes were mixed"


def _signed_bytes(folder: Path) -> str | None:
    tifffile.imwrite(folder / "a.tif", RAMP.astype(np.int8))
    return refused(partial(decode, folder / "a.tif"), "8-bit values from -")


def _much_text(folder: Path) -> str | None:
    return None if "read" in _came("many_texts") else _came("many_texts")


def _mask_of_the_upright_photograph(folder: Path) -> str | None:
    exif = Image.Exif()
    exif[0x0112] = 3
    saved(folder, "set/images/a.jpg", encoded("JPEG", exif=exif))
    saved(folder, "set/masks/a.png", encoded("PNG", ((RAMP > 60) * 255).astype(np.uint8)))
    return refused(partial(load_images, folder / "set"), "orientation 3", "?orientation=upright")


def _gallery_of_a_golden(folder: Path) -> str | None:
    from xai_eval.result.fields.gallery import _looks

    looks, seconds = cheapest(partial(_looks, image_bombs.large_jpeg(), 5), 1)
    return None if not looks.any() and seconds < 1 else "it was decoded"


# Small files that cost a lot, in one process with little memory.
@functools.cache
def _tried() -> dict[str, dict[str, object]]:
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-W", "ignore", "-m", image_bombs.__name__, folder]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    rows = [json.loads(line) for line in ran.stdout.splitlines()]
    return {row["name"]: row for row in rows} or {"": {"came": ran.stderr[-300:]}}


def _came(name: str) -> str:
    return str(_tried().get(name, {"came": "nothing: the process ended"})["came"])


def _bomb(name: str, wanted: str, _: Path) -> str | None:
    row = _tried().get(name)
    if row is None or not str(row["came"]).startswith(wanted):
        return _came(name)
    return f"it took {row['seconds']} s" if float(str(row["seconds"])) > image_bombs.SECONDS else None


def _eight_at_once(folder: Path) -> str | None:
    for number in range(8):
        saved(folder, f"set/{number}.png", image_bombs.large_png())
    return refused(partial(load_images, folder / "set"), "8 images cannot be used", "700 MB")


def _errors_keep_nothing(folder: Path) -> str | None:
    from xai_eval.inputs.images.image_files import _read_or_refuse, read_image

    path = saved(folder, "a.png", encoded("PNG")[:-30])
    error = _read_or_refuse(partial(read_image, path, "a", "s"))
    held = getattr(error, "__traceback__", None) or getattr(error, "__cause__", None)
    return None if held is None else f"the error holds {held}"


# Special files.
def _pipe(folder: Path) -> str | None:
    os.mkfifo(folder / "a.png")
    return refused(partial(decode, folder / "a.png"), "not an ordinary file")


def _device(folder: Path) -> str | None:
    (folder / "a.png").symlink_to("/dev/zero")
    return refused(partial(decode, folder / "a.png"), "not an ordinary file")


def _circle(folder: Path) -> str | None:
    saved(folder, "set/a/x.png", encoded("PNG"))
    (folder / "set/a/b").symlink_to(folder / "set", target_is_directory=True)
    images = load_images(folder / "set")
    return None if len(images) == 1 and not images.complete else f"{len(images)} images, complete: {images.complete}"


# Names.
def _left_out_in_silence(folder: Path) -> str | None:
    saved(folder, "set/a.png", encoded("PNG"))
    (folder / "set/b.png").symlink_to(folder / "gone.png")
    for name in ("c.heic", "d.jxl", "e.avif.part", ".f.png"):
        saved(folder, f"set/{name}", b"x")
    images = load_images(folder / "set")
    unnamed = [name for name in ("b.png", "c.heic", "d.jxl", "e.avif.part", ".f.png") if name not in str(images.notes)]
    return f"{unnamed} are not named, complete: {images.complete}" if unnamed or images.complete else None


def _pruned_because_left_out(folder: Path) -> str | None:
    from xai_eval.cli.main import main
    from xai_eval.scenes import render

    for number in (0, 1):
        saved(folder, f"photos/{number}.png", encoded("PNG", render(number).pixels))
    places = ["--golden", str(folder / "golden")]
    command = ["run", "cams", "--images", str(folder / "photos"), "--methods", "gradcam", "--quiet", *places]
    command += ["--out", str(folder / "out")]
    before = {name: os.environ.pop(name) for name in ("CI", "GITHUB_ACTIONS") if name in os.environ}
    try:
        main(command)
        main(["accept", "--results", str(folder / "out"), "--all", "--reason", "first", *places])
        (folder / "photos/1.png").rename(folder / "photos/1.heic")
        main(command)
        goldens = len(list((folder / "golden/cams").iterdir()))
        main(["prune", "--results", str(folder / "out"), *places])
    finally:
        os.environ.update(before)
    left = len(list((folder / "golden/cams").iterdir()))
    return None if goldens == left == 2 else f"{left} of {goldens} goldens are left"


def _one_name_for_two(first: str, second: str, folder: Path) -> str | None:
    (folder / "pyproject.toml").touch()
    for name in (first, second):
        (folder / name).mkdir(parents=True, exist_ok=True)
    names = {name_of_folder(folder / name) for name in (first, second)}
    return None if len(names) == 2 else f"both are {names}"


def _one_name_for_two_models(folder: Path) -> str | None:
    (folder / "pyproject.toml").touch()
    names = {name_of_file(folder / place / "model.py") for place in ("birds", "cats")}
    return None if len(names) == 2 else f"both are {names}"


def _two_spellings(folder: Path) -> str | None:
    names = set()
    for place, letter in (("one", "\u00e9"), ("two", "e\u0301")):
        saved(folder / place, f"s{letter}t/{letter}.png", encoded("PNG"))
        images = load_images(folder / place / f"s{letter}t")
        names.add((images.name, images.images[0].name))
    return None if len(names) == 1 else f"they are {names}"


def _two_spellings_in_one_folder(folder: Path) -> str | None:
    for letter in ("\u00e9", "e\u0301"):
        saved(folder, f"set/{letter}.png", encoded("PNG"))
    try:
        load_images(folder / "set")
    except UsageError as error:
        return None if "several images called" in str(error) else str(error)
    return "one image hides the other"


def _images(name: str, expected: str, tried: Callable[[Path], str | None], *, slow: bool = False) -> Attack:
    return Attack(name, "images", expected, tried, slow)


def _words(name: str) -> str:
    return f"bomb: {name.replace('_', ' ')}"


_REFUSED, _READ = "an error within a second and 300 MB", "read without what it claims, within a second and 300 MB"

ATTACKS = (
    *(
        Attack(
            f"{name} named .png, .tif and .jpg", "programs chosen by data", "not opened", partial(_no_raster, content)
        )
        for name, content in _NO_RASTER.items()
    ),
    _images("a JPEG damaged in the middle", "an error that says so", _damaged_in_the_middle),
    _images("a JPEG cut behind a harmless warning", "an error that says so", _damaged_behind_a_harmless_warning),
    _images("a PNG with one changed pixel", "an error that names the checksum", _changed_pixel_of_a_png),
    _images("16-bit colours of low range", "an error that gives the range", _turned_black),
    _images("32-bit grey of low range", "an error that gives the range", _grey_that_turns_black),
    _images("grey of 8, 16 and 32 bits where 0 is white", "inverted", _white_is_smallest),
    _images("16-bit colours in planes", "read plane by plane", _planes_of_16_bits),
    _images("signed bytes", "an error that says so", _signed_bytes),
    _images("a PNG with 500 MB of text", "read, and not called damaged", _much_text, slow=True),
    _images("a mask of the upright photograph", "refused, with what to do", _mask_of_the_upright_photograph),
    Attack("a gallery of 4,290 megapixels in a golden", "cost", "not decoded", _gallery_of_a_golden),
    Attack("eight images of 100 megapixels in 389 KB", "cost", _REFUSED, _eight_at_once),
    Attack("errors of many images", "cost", "they hold no bytes or pixels", _errors_keep_nothing),
    *(
        Attack(_words(each.__name__), "cost", _REFUSED, partial(_bomb, each.__name__, "refused"), slow=True)
        for each in image_bombs.REFUSED
    ),
    *(
        Attack(_words(each.__name__), "cost", _READ, partial(_bomb, each.__name__, "read"), slow=True)
        for each in image_bombs.READ
    ),
    Attack("bomb: a sparse file of 20 GB", "cost", _REFUSED, partial(_bomb, "sparse", "refused"), slow=True),
    Attack("a pipe named .png", "links and special files", "an error at once", _pipe),
    Attack("a link to /dev/zero named .png", "links and special files", "an error at once", _device),
    Attack("a folder of images that links to itself", "links and special files", "ends, and is told", _circle),
    Attack("images that nothing here reads", "names", "each is named, the set is not complete", _left_out_in_silence),
    Attack("prune after an image was left out", "names", "its golden stays", _pruned_because_left_out, slow=True),
    Attack(
        "train/images and val/images", "names", "two names", partial(_one_name_for_two, "train/images", "val/images")
    ),
    Attack("a/test and b/test", "names", "two names", partial(_one_name_for_two, "a/test", "b/test")),
    Attack("birds/model.py and cats/model.py", "names", "two names", _one_name_for_two_models),
    Attack("two spellings of Unicode on two machines", "names", "one name", _two_spellings),
    Attack("two spellings of Unicode in one folder", "names", "an error", _two_spellings_in_one_folder),
)
