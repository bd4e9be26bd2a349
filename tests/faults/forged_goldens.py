"""The catalogue of forged goldens: each row hides a real drift, and the check has to stay red and say why."""

from __future__ import annotations

import math
import unicodedata
from typing import Any

import numpy as np
from faults.forgery import (
    Forgery,
    copy_history,
    document,
    field,
    history,
    lose_results,
    noise,
    plan,
    provenance,
    remove,
    replaced_by_the_drift,
    set_aside,
    text,
    twin,
)

from xai_eval.store.history import HISTORY_FILE

Held, Arrays = dict[str, Any], dict[str, Any]
RESTORE = "[Rr]estore"


def map_of(rows: int, columns: int, name: str = "gradcam.map") -> Any:
    def change(held: Held, arrays: Arrays) -> None:
        shape = arrays[name].shape[:-2]
        arrays[name] = np.ones((*shape, rows, columns), arrays[name].dtype)

    return document(change)


def twice(part: str, last: Any) -> Any:
    """Repeat the first entry of a list of the document; `last` edits the second, which a program would take."""

    def change(held: Held, arrays: Arrays) -> None:
        held[part].append({**held[part][0], **last})

    return document(change)


def column(change: Any) -> Any:
    return field("table", change)


def map_times(factor: float) -> Any:
    def change(held: Held, arrays: Arrays) -> None:
        arrays["gradcam.map"] = (arrays["gradcam.map"].astype(np.float32) * factor).astype(arrays["gradcam.map"].dtype)

    return document(change)


def values(name: str, first: Any) -> Any:
    """Replace the first value of a column."""

    def change(held: Held) -> None:
        [place] = [each for each in held["columns"] if each["name"] == name]
        place["values"][0] = first

    return column(change)


def add_column(name: str) -> Any:
    return column(lambda held: held["columns"].append({**held["columns"][1], "name": name, "values": [0.9, 0.25]}))


def no_stages(held: Held, arrays: Arrays) -> None:
    held["stages"] = []
    for name in [name for name in arrays if name.startswith("stage.")]:
        del arrays[name]


def no_fields(held: Held, arrays: Arrays) -> None:
    held["fields"] = []
    for name in [name for name in arrays if not name.startswith("stage.")]:
        del arrays[name]


def sketch(change: Any) -> Any:
    def edit(held: Held, arrays: Arrays) -> None:
        arrays["stage.0"] = change(arrays["stage.0"])

    return document(edit)


def wide_spread(held: Held, arrays: Arrays) -> None:
    arrays["weights.spread"] = arrays["weights.spread"] * 1000


def nine_bits(held: Held, arrays: Arrays) -> None:
    held["stages"][0]["bits"] = 9


def reversed_stages(held: Held, arrays: Arrays) -> None:
    held["stages"].reverse()
    names = [f"stage.{place}" for place in range(len(held["stages"]))]
    arrays.update(zip(names, [arrays[name] for name in reversed(names)], strict=True))


def every_tolerance(held: Held, arrays: Arrays) -> None:
    for each in held["fields"]:
        if isinstance(each.get("tolerance"), float):
            each["tolerance"] = 1e9
        for name in each.get("tolerance", {}) if isinstance(each.get("tolerance"), dict) else ():
            each["tolerance"][name] = (
                1e9 if name in ("largest", "moved", "scale", "floor", "energy", "errors") else -1.0
            )
        if "least_iou" in each:
            each["least_iou"] = 0.0


COMPOSED = unicodedata.normalize("NFC", "clé")
DECOMPOSED = unicodedata.normalize("NFD", "clé")
NAMED_TWICE = "names '.*' twice"

FORGERIES = [
    # Noise.
    Forgery("noise of 1000", "shift", noise(1000.0), "systemic: score"),
    Forgery("endless noise", "shift", noise(math.inf), "systemic: score"),
    Forgery("noise that is no number", "shift", noise(math.nan), "systemic: score"),
    Forgery("noise of a stage", "stage shift", noise(1000.0), "systemic: stage logits"),
    Forgery("noise of 1000 and a map that moved", "map", noise(1000.0), "(Grad-CAM|Signed) changed"),
    # Resolution.
    Forgery("a map of 1 x 2 cells", "map", map_of(1, 2), "keeps the map of 64x64 pixels at 1x2.*56x56.*restore"),
    Forgery("a map of one cell", "map", map_of(1, 1), "at 1x1"),
    Forgery("a map of two rows", "map", map_of(2, 56), "at 2x56"),
    Forgery("a signed map of one cell", "map", map_of(1, 1, "signed.map"), "Signed changed .*at 1x1"),
    # Values that compare with nothing.
    Forgery("a map of no numbers", "map", map_times(np.nan), "Grad-CAM changed"),
    Forgery("a map of large numbers", "map", map_times(100), "Grad-CAM changed"),
    Forgery("an empty map", "map", map_times(0), "Grad-CAM changed"),
    Forgery("a map upside down in sign", "map", map_times(-1), "Grad-CAM changed"),
    Forgery("a column of no numbers", "column", values("energy", "NaN"), "nan became 0.9"),
    Forgery("a column of the largest number", "column", values("energy", 1e308), "became 0.9"),
    Forgery("a number as a text", "column", values("energy", "0.9"), "is the text '0.9'"),
    Forgery("a row that looks the same", "column", values("method", "gradcam\u200b"), "the rows changed"),
    Forgery("a choice of nothing", "choice", field("best", lambda f: f.update(content={"segments": None})), "segments"),
    Forgery("another choice", "choice", field("best", lambda f: f.update(content={"other": "slic"})), "other"),
    Forgery("a line of another name", "line", field("curve", lambda f: f.update(lines=["other"])), "lines or their"),
    # Limits, tolerances, what is judged.
    Forgery("every column for reading", "column", column(lambda f: f.update(unjudged=["energy", "hit"])), "became 0.9"),
    Forgery("the column for reading", "column", column(lambda f: f.update(unjudged=["energy"])), "became 0.9"),
    Forgery("the table for reading", "column", column(lambda f: f.update(unjudged=["method", "energy", "hit"])), "0.9"),
    Forgery("wide tolerances, map", "map", document(every_tolerance), "(Grad-CAM|Signed) changed"),
    Forgery("wide tolerances, column", "column", document(every_tolerance), "became 0.9"),
    Forgery("wide tolerances, weight", "weight", document(every_tolerance), "weight of superpixel 0"),
    Forgery("a wide spread", "weight", document(wide_spread), "weight of superpixel 0"),
    Forgery(
        "raised tolerances", "logits", provenance(parameters={"raised tolerances": {"logits": 1e9}}), "logits changed"
    ),
    # Circumstances.
    Forgery("another device", "logits", provenance(device="NVIDIA H100"), "logits changed"),
    Forgery("another seed", "samples", provenance(seed=7), "samples changed"),
    Forgery("another seed than that of the run", "samples, seed 7", provenance(seed=3), "samples changed.*seed 3 -> 7"),
    Forgery(
        "another numpy", "counts", provenance(versions={"torch": "2.15.0", "numpy": "1.26.4"}), "overlap of layer4"
    ),
    Forgery("no versions", "counts", provenance(versions={}), "overlap of layer4"),
    Forgery("the counts of another device", "counts", provenance(device="NVIDIA H100"), "overlap of layer4"),
    Forgery("another version", "stage shift", provenance(everywhere=True, versions={"torch": "1.0"}), "stage logits"),
    Forgery("other weights", "stage shift", provenance(everywhere=True, digests={"weights": "f" * 64}), "stage logits"),
    Forgery("another precision", "stage shift", provenance(everywhere=True, precision={"x": 1}), "stage logits"),
    Forgery("stages in another order", "stage shift", document(reversed_stages, everywhere=True), "stage logits"),
    # Sketches.
    Forgery("a sketch of one number", "logits", sketch(lambda a: a[:1] * 1e9), "a sketch has 64 numbers"),
    Forgery("a huge sketch", "logits", sketch(lambda a: a * np.float32(1e9)), "logits changed"),
    Forgery("a sketch without numbers", "logits", sketch(lambda a: a * np.float32(np.nan)), "logits changed"),
    Forgery("nine significant bits", "logits", document(nine_bits), "significant bits are one of"),
    # Two of one name.
    Forgery("a field twice", "choice", twice("fields", {}), "two fields have one name: 'gradcam'.*Restore"),
    Forgery("a field in capitals", "map", twice("fields", {"name": "GradCAM"}), "two fields have one name"),
    Forgery("a stage twice", "logits", twice("stages", {"digest": "0" * 64}), "two stages have one name: 'logits'"),
    Forgery("a column twice", "column", add_column("energy"), "two columns of a table have one name"),
    Forgery("a column in capitals", "column", add_column("Energy"), "two columns of a table have one name"),
    Forgery("a line twice", "line", field("curve", lambda f: f["lines"].append("deletion")), "two lines of a curve"),
    Forgery("an entry of the golden twice", "map", text('"seed": 0', '"seed": 0, "seed": 0'), NAMED_TWICE),
    Forgery("a document twice", "choice", text('"segments"', '"segments": "quickshift", "segments"'), NAMED_TWICE),
    Forgery(
        "an entry in two spellings",
        "map",
        text('"seed": 0', f'"{COMPOSED}": 1, "{DECOMPOSED}": 2, "seed": 0'),
        NAMED_TWICE,
    ),
    Forgery("an entry of the history twice", "map", text('"who"', '"who": "Mira", "who"', HISTORY_FILE), NAMED_TWICE),
    Forgery("a golden in capitals", "map", twin, "have one name for people"),
    # Nothing left to compare.
    Forgery("no field", "map", document(no_fields), f"holds no field, .*{RESTORE}"),
    Forgery("no stage", "logits", document(no_stages), f"holds no stage, .*{RESTORE}"),
    Forgery(
        "no column", "column", column(lambda f: f.update(columns=f["columns"][:1], tolerance={})), "no column of table"
    ),
    Forgery("no entry", "choice", field("best", lambda f: f.update(content={})), "no entry of best"),
    # Who accepted it.
    Forgery("no history", "map", remove(HISTORY_FILE), "is missing or empty.*accept it: xai-eval accept cams/"),
    Forgery("an empty history", "map", history(lambda entries: []), "is missing or empty"),
    Forgery("a history of another result", "map", history(lambda e: [{**e[0], "result": "0" * 64}]), "result 00000000"),
    Forgery("the history of another case", "map", copy_history, "the file is that of another case"),
    Forgery("nobody accepted it", "map", history(lambda e: [{**e[0], "who": " "}]), "not say who accepted"),
    Forgery("accepted without a reason", "map", history(lambda e: [{**e[0], "reason": ""}]), "not say why"),
    Forgery("nobody sees who accepted it", "map", history(lambda e: [{**e[0], "who": "\u200b"}]), "not say who"),
    Forgery("nobody sees the reason", "map", history(lambda e: [{**e[0], "reason": "\u2800 \u200b"}]), "not say why"),
    Forgery("replaced without accepting", "map", replaced_by_the_drift, "changed without being accepted"),
    Forgery("edited by hand", "map", text('"seed": 0', '"seed": 1'), "does not match its digest"),
    # The plan of the run.
    Forgery("a smaller plan", "map", plan(planned=7), "plans 7 cases, but the run left 8 results.*run again"),
    Forgery("a plan edited by hand", "map", plan(signed=False, planned=7), "does not match its digest\\). Run again"),
    Forgery("a plan without the task", "map", plan(tasks=["lime"]), "does not name the task cams"),
    Forgery("a plan of nothing", "map", plan(tasks=[], planned=0), "plans 0 cases"),
    Forgery("a request that is not planned", "map", plan(requests={"lime": {}}), "does not name the task lime"),
    Forgery("a task without results", "map", plan(tasks=["cams", "lime"]), "there is no result of it"),
    Forgery("a plan that hides a result", "map", lose_results, "did not obtain this case"),
    # Quarantine.
    Forgery("quarantine until 9999", "map", set_aside("9999-12-31"), "at most 90 are allowed"),
    Forgery("quarantine for 91 days", "map", set_aside(days=91), "91 days ahead; at most 90"),
    Forgery("quarantine without end", "map", set_aside(), "expected owner"),
    Forgery("two quarantines", "map", set_aside(days=30, twice=True), "is not TOML"),
]
