"""Load the probe set that a spec names: bundled scenes, a folder of photographs, one with label maps, or Broden."""

from __future__ import annotations

import os
from pathlib import Path

from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.inputs.downloads import data_root
from xai_eval.inputs.images.orientation import split_orientation
from xai_eval.inputs.paths import given_path, readable
from xai_eval.inputs.probes.broden import load_broden
from xai_eval.inputs.probes.broden_index import is_broden
from xai_eval.inputs.probes.folder_probe import load_folder
from xai_eval.inputs.probes.label_map_probe import has_label_maps, load_label_maps
from xai_eval.inputs.probes.probe_set import ProbeSet
from xai_eval.inputs.probes.scene_probe import load_scenes

_BRODEN = "broden"
_BRODEN_FOLDER = "broden1_224"
_BRODEN_URL = "http://netdissect.csail.mit.edu/data/broden1_224.zip"


def load_probe(spec: str | os.PathLike[str]) -> ProbeSet:
    """Load the probe set that a spec names. Images are decoded only when they are read.

    Args:
        spec: "scenes" (480 bundled scenes), "scenes:N", "broden" (in the data root), or a folder: one of photographs
            (searched with its sub-folders), one with `images/`, `labels/` and `classes.txt`, or
            one laid out as Broden, with `index.csv`. It may end in "?orientation=upright", as for `load_images`.

    Raises:
        UsageError: the spec is malformed or of a wrong type, or two images or concepts have the same name.
        InputUnavailable: the folder is missing, cannot be listed, holds no image, or mixes photographs with label
            maps; an image has no label map; or `classes.txt` or `index.csv` is malformed.
    """
    if not isinstance(spec, str | os.PathLike):
        raise UsageError(f"the probe set is a {type(spec).__name__}; expected a spec: text or a path.")
    whole, upright = split_orientation(str(spec))
    with readable(whole):
        return _load(whole, upright)


def _load(spec: str, upright: bool) -> ProbeSet:
    if spec == "scenes" or spec.startswith("scenes:"):
        return load_scenes(spec)
    if names_probe(spec):
        return load_broden(_broden_folder(), upright=upright)
    folder = given_path(spec)
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise InputUnavailable(
            f"probe set {spec!r}: {folder} {what}; expected 'scenes', 'scenes:N', 'broden', a folder of photographs, a "
            "folder with images/, labels/ and classes.txt, or Broden's folder with its index.csv. Check the path."
        )
    if is_broden(folder):
        return load_broden(folder, upright=upright)
    load = load_label_maps if has_label_maps(folder) else load_folder
    return load(folder, upright=upright)


def _broden_folder() -> Path:
    folder = data_root() / _BRODEN_FOLDER
    if not is_broden(folder):
        raise InputUnavailable(
            f"Broden is not at {folder}; expected the folder {_BRODEN_FOLDER} of the authors' archive, with its "
            f"index.csv. Unpack {_BRODEN_URL} there, or set XAI_EVAL_DATA to a folder that holds {_BRODEN_FOLDER}."
        )
    return folder


def names_probe(spec: str) -> bool:
    """Tell whether a spec names Broden in the data root, and not a folder of the user."""
    return spec.partition("?")[0] == _BRODEN
