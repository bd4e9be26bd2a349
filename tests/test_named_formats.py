"""Pillow opens named raster formats only, wherever in the package: some of its plugins start other programs."""

import ast
from pathlib import Path

import pytest

import xai_eval
from xai_eval.inputs.images.raster_formats import FORMATS

FILES = sorted(Path(xai_eval.__file__).parent.rglob("*.py"))
# What reads images by itself; in this package, all images come through inputs/images/.
READERS = {"imread", "pil_loader", "read_file", "imopen", "mimread", "decode_image", "decode_jpeg", "decode_png"}


def opened(tree: ast.AST) -> list[ast.Call]:
    """Calls of Image.open."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    return [each for each in calls if each.func.attr == "open" and getattr(each.func.value, "id", "") == "Image"]


def unnamed(source: str) -> list[int]:
    """The lines on which Image.open is told no formats, or another reader is called."""
    tree = ast.parse(source)
    lines = [each.lineno for each in opened(tree) if "formats" not in {word.arg for word in each.keywords}]
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute | ast.Name)]
    return lines + [each.lineno for each in names if getattr(each, "attr", getattr(each, "id", "")) in READERS]


def test_every_image_is_opened_as_one_of_named_formats():
    assert {path.name: unnamed(path.read_text()) for path in FILES if unnamed(path.read_text())} == {}
    assert sum(len(opened(ast.parse(path.read_text()))) for path in FILES) >= 5


@pytest.mark.parametrize("line", ["Image.open(path)", "plt.imread(path)", "torchvision.io.decode_image(data)"])
def test_the_scan_sees_what_it_looks_for(line):
    assert unnamed(f"x = {line}") == [1]
    assert unnamed("x = Image.open(path, formats=('PNG',))") == []


def test_no_named_format_starts_a_program_or_draws():
    assert not {"EPS", "WMF", "EMF", "PDF", "PS", "FPX", "MIC", "GRIB", "BUFR", "HDF5", "XPM"} & set(FORMATS)
