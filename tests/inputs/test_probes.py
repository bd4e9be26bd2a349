from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from forbidden import forbid
from PIL import Image

from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.inputs.probes.probes import load_probe


@pytest.mark.parametrize("spec", ["gone", "gone.png", "senes", "a/gone"])
def test_specs_that_name_nothing_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        InputUnavailable, match=r"does not exist; expected 'scenes', 'scenes:N', 'broden', a folder of photo"
    ):
        load_probe(spec)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    with pytest.raises(InputUnavailable, match=r"a\.png is a file; expected"):
        load_probe(tmp_path / "a.png")


@pytest.mark.parametrize("spec", [3, None, ["scenes"]])
def test_specs_of_a_wrong_type_are_refused(spec: object) -> None:
    with pytest.raises(UsageError, match="expected a spec"):
        load_probe(spec)  # type: ignore[arg-type]


def test_names_that_no_system_takes(tmp_path: Path) -> None:
    with pytest.raises(InputUnavailable, match="cannot be read"):
        load_probe(tmp_path / ("n" * 300))
    with pytest.raises(UsageError, match="no_such_user"):
        load_probe("~no_such_user_of_this_machine/photos")


@pytest.mark.parametrize("given", ["set", "set/images", "set/images/deep", "photos"])
def test_a_folder_that_cannot_be_listed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    for name in ("set/images/deep/a.png", "set/labels/deep/a.png", "photos/deep/a.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (20, 20)).save(tmp_path / name)
    (tmp_path / "set" / "classes.txt").write_text("car\n")
    forbid(monkeypatch, tmp_path / ("photos/deep" if given == "photos" else "set/images/deep"))
    with pytest.raises(InputUnavailable, match=r"deep(/index\.csv)? cannot be read.*permissions"):
        load_probe(tmp_path / given)


def test_probe_sets_need_no_torch() -> None:
    code = (
        "import sys, xai_eval.inputs.probes.probes as probes; probes.load_probe('scenes:1').read(0); "
        "print(sorted({'torch', 'torchvision', 'scipy', 'pandas', 'skimage'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
