"""Harmless changes around a run: where files lie, how they are packed, in which order and process they are read."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from gate import PARAMETERS, Bench
from PIL import Image

from xai_eval import Result, evaluate
from xai_eval.gate.judge import judge_all
from xai_eval.store.runs import load_cases

MODEL_FILE = """
from xai_eval import load_model
def make():
    return load_model("scenes:objects", device="cpu").module
"""
RUN = """
import sys
from xai_eval import evaluate
for task in ("cams", "lime"):
    for result in evaluate(task, model="scenes:objects", images=sys.argv[1], device="cpu", **eval(sys.argv[2])[task]):
        result.save(f"{sys.argv[3]}/{result.case.key}")
"""


def assert_no_alarm(obtained: dict[str, Result], goldens: dict[str, Result]) -> None:
    assert obtained.keys() == goldens.keys()
    failed = [verdict for verdict in judge_all(obtained, goldens) if verdict.failed]
    assert not failed, failed[0].sentence


def copied(bench: Bench, parent: Path) -> Path:
    """The same images in another place, written in another order."""
    folder, first = parent / "several", bench.folder / "several"
    for path in sorted(first.rglob("*.*"), reverse=True):
        place = folder / path.relative_to(first)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
    return folder


def cams_of(folder: Path) -> dict[str, Result]:
    results = evaluate("cams", model="scenes:objects", images=str(folder), device="cpu", **PARAMETERS["cams"])
    return {result.case.key: result for result in results}


@pytest.mark.slow
def test_another_place_and_order_of_files(bench, tmp_path):
    assert_no_alarm(cams_of(copied(bench, tmp_path)), bench.goldens("cams"))


@pytest.mark.slow
@pytest.mark.parametrize("level", [0, 9])
def test_png_packed_in_another_way(bench, tmp_path, level):
    folder = copied(bench, tmp_path)
    image = folder / "images" / "5.png"
    before = image.read_bytes()
    Image.open(image).save(image, compress_level=level)
    assert image.read_bytes() != before
    assert_no_alarm(cams_of(folder), bench.goldens("cams"))


@pytest.mark.slow
def test_a_jpeg_with_other_metadata(bench, tmp_path):
    folder = copied(bench, tmp_path)
    image = folder / "images" / "3.jpg"
    data = image.read_bytes()
    image.write_bytes(data[:2] + b"\xff\xfe\x00\x07hello" + data[2:])  # a comment
    assert_no_alarm(cams_of(folder), bench.goldens("cams"))


@pytest.mark.slow
def test_a_model_file_that_lies_elsewhere(bench, tmp_path):
    found = []
    for name in ("here", "there"):
        path = tmp_path / name / "models.py"
        path.parent.mkdir()
        path.write_text(MODEL_FILE)
        results = evaluate("cams", model=f"file:{path}:make", images=str(bench.folder / "one"), device="cpu")
        found.append({result.case.key: result for result in results})
    assert_no_alarm(found[1], {key: each.condensed() for key, each in found[0].items()})


@pytest.mark.slow
def test_parameters_in_another_order(bench):
    grid = dict(reversed(PARAMETERS["lime_search"]["grid"].items()))
    assert_no_alarm(bench.run("lime_search", None, grid=grid), bench.goldens("lime_search"))


@pytest.mark.slow
def test_a_fresh_process_with_other_hashes(bench, tmp_path):
    parameters = repr({task: dict(PARAMETERS[task]) for task in ("cams", "lime")})
    environment = {**os.environ, "PYTHONHASHSEED": "123", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", RUN, str(bench.folder / "several"), parameters, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    obtained, errors = load_cases(tmp_path)
    assert not errors
    assert_no_alarm(dict(obtained), {**bench.goldens("cams"), **bench.goldens("lime")})
