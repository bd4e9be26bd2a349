"""Goldens that were damaged, replaced, edited or put there by somebody else: an error of one sentence, nothing lost."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save
from synthetic import blob, every_kind, make_result

from xai_eval.disk.signed import sign
from xai_eval.errors import StorageError
from xai_eval.gate.accept import accept
from xai_eval.gate.judge_run import judge_run
from xai_eval.gate.verdict import State, Verdict
from xai_eval.result.result import ARRAYS_FILE, RESULT_FILE, SCHEMA, Result
from xai_eval.store.goldens import Goldens
from xai_eval.store.history import HISTORY_FILE, read_history
from xai_eval.store.runs import RESULTS_FOLDER, RunRecord

VICTIM, OTHER = make_result("victim.jpg", fields=every_kind()), make_result("other.jpg")


@pytest.fixture
def goldens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Goldens:
    """Goldens of two cases, beside a run that obtained both as they are."""
    monkeypatch.delenv("CI", raising=False)
    goldens = Goldens(tmp_path / "golden")
    for result in (VICTIM, OTHER):
        goldens.store(result, "first")
        result.save(tmp_path / "run" / RESULTS_FOLDER / result.case.key)
    RunRecord(("cams",), (VICTIM.case.model,), ("photos",), 2, finished=True).save(tmp_path / "run")
    return goldens


def judged(goldens: Goldens) -> dict[str, Verdict]:
    """Verdicts by the folder of their case: of a damaged golden no more may be known."""
    return {v.case.key.split("/")[-1]: v for v in judge_run(goldens.folder.parent / "run", goldens).verdicts}


def accept_victim(goldens: Goldens) -> list[str]:
    run = judge_run(goldens.folder.parent / "run", goldens)
    return accept(run, goldens, [VICTIM.case.key], everything=False, reason="repair")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def cut_the_end(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-3])


def lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"}\n")


def replace_by_nulls(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def garble(path: Path) -> None:
    path.write_bytes(random.Random(0).randbytes(path.stat().st_size))


def conflict(path: Path) -> None:
    path.write_bytes(b"<<<<<<< HEAD\n" + path.read_bytes() + b"=======\n>>>>>>> other\n")


def delete(path: Path) -> None:
    path.unlink()


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "inside").write_text("kept")


def dangle(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def take_from_the_other(path: Path) -> None:
    path.write_bytes((path.parents[1] / OTHER.case.id / path.name).read_bytes())


def foreign(path: Path) -> None:
    if path.name == ARRAYS_FILE:
        path.write_bytes(gzip.compress(save({"weights": np.zeros(3)})))
    else:
        path.write_text(json.dumps({"loss": 0.3, "epoch": 12}))


DAMAGES: list[Callable[[Path], None]] = [
    empty,
    halve,
    cut_the_end,
    lengthen,
    replace_by_nulls,
    garble,
    conflict,
    delete,
    make_folder,
    dangle,
    loop,
    take_from_the_other,
    foreign,
]
by_name = pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
# What accepting cannot put right, because a person must first take away what is there.
NOT_REPLACED = (make_folder,)


@by_name
@pytest.mark.parametrize("name", [RESULT_FILE, ARRAYS_FILE])
def test_a_damaged_golden_is_one_error_that_names_the_file_and_accepting_repairs(
    goldens: Goldens, name: str, damage: Callable[[Path], None]
) -> None:
    path = goldens.folder / VICTIM.case.key / name
    damage(path)
    verdicts = judged(goldens)
    assert verdicts[OTHER.case.id].state is State.OK
    assert verdicts[VICTIM.case.id].state is State.ERROR
    sentence = verdicts[VICTIM.case.id].sentence
    assert str(path.parent) in sentence or damage is take_from_the_other
    assert "\n" not in sentence
    with pytest.raises(StorageError):
        goldens.load(VICTIM.case)
    if damage in NOT_REPLACED:
        with pytest.raises(StorageError, match="there is a folder where a file is needed; move it away"):
            accept_victim(goldens)
        assert (path / "inside").read_text() == "kept"
        shutil.rmtree(path)
    assert accept_victim(goldens) == [VICTIM.case.key]
    assert {v.state for v in judged(goldens).values()} == {State.OK}
    assert [entry.reason for entry in read_history(path.parent)] == ["first", "repair"]


@pytest.mark.parametrize(
    "damage",
    [damage for damage in DAMAGES if damage not in (delete, dangle, take_from_the_other)],  # these can be read
    ids=lambda damage: damage.__name__,
)
def test_a_damaged_history_is_never_overwritten(goldens: Goldens, damage: Callable[[Path], None]) -> None:
    place = goldens.folder / VICTIM.case.key
    damage(place / HISTORY_FILE)
    damage(place / RESULT_FILE)
    before = files(goldens.folder)
    with pytest.raises(StorageError, match=HISTORY_FILE):
        accept_victim(goldens)
    assert files(goldens.folder) == before


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("seed", range(60))
def test_a_flipped_bit_is_an_error_or_changes_nothing(goldens: Goldens, seed: int) -> None:
    """Nothing at all: white space between two values is no part of a result."""
    dice = random.Random(seed)
    path = goldens.folder / VICTIM.case.key / dice.choice((RESULT_FILE, ARRAYS_FILE))
    data = bytearray(path.read_bytes())
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    path.write_bytes(bytes(data))
    try:
        read = Result.load(path.parent)
    except StorageError as error:
        assert str(path.parent) in str(error)
        assert judged(goldens)[VICTIM.case.id].state is State.ERROR
    else:
        assert read.digest == VICTIM.condensed().digest


@pytest.mark.parametrize("signed", [False, True], ids=["edited", "edited and signed"])
def test_a_golden_edited_to_fit_a_drift_is_noticed(goldens: Goldens, signed: bool) -> None:
    """Who can sign can put in any value, but not one of a kind that a field does not have."""
    path = goldens.folder / VICTIM.case.key / RESULT_FILE
    document = json.loads(path.read_text())
    next(f for f in document["fields"] if f["name"] == "top5")["values"] = ["a lot", "a little"]
    path.write_text(json.dumps(sign(document) if signed else document))
    verdict = judged(goldens)[VICTIM.case.id]
    assert verdict.state is State.ERROR
    assert ("holds no valid result" if signed else "was edited by hand") in verdict.sentence


def test_a_golden_of_another_schema_says_which(goldens: Goldens) -> None:
    path = goldens.folder / VICTIM.case.key / RESULT_FILE
    path.write_text(json.dumps(sign({**json.loads(path.read_text()), "schema": 99})))
    assert (
        f"has schema 99, but this version of xai_eval reads schema {SCHEMA}" in judged(goldens)[VICTIM.case.id].sentence
    )


def test_a_golden_copied_from_another_case_is_no_golden_of_this_one(goldens: Goldens) -> None:
    place = goldens.folder / VICTIM.case.key
    shutil.rmtree(place)
    shutil.copytree(goldens.folder / OTHER.case.key, place)
    verdicts = judged(goldens)
    assert verdicts[VICTIM.case.id].state is State.ERROR
    assert "the folder was renamed" in verdicts[VICTIM.case.id].sentence


FOREIGN = ["x" * 200, "naïve ✓", "two\nlines", "x..", "con", "a'b\"c", "\udcff.jpg", "{}", "%s"]


@pytest.mark.parametrize("name", FOREIGN, ids=ascii)
def test_folders_of_somebody_else_are_named_and_left_alone(goldens: Goldens, name: str) -> None:
    place = goldens.folder / "cams" / name
    place.mkdir()
    (place / "notes.txt").write_text("mine")
    run = judge_run(goldens.folder.parent / "run", goldens)
    assert sorted(v.state for v in run.verdicts) == [State.ERROR, State.OK, State.OK]
    accept(run, goldens, [], everything=True, reason="all")
    assert (place / "notes.txt").read_text() == "mine"


NAMES = ["日本.jpg", "a b", "a\nb", "../../up.jpg", "/etc/passwd", "nul\0l", "\udcff.png", "é" * 300, "", ".", "-", "'"]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_images_with_odd_names_have_goldens_inside_the_folder(goldens: Goldens, name: str) -> None:
    result = make_result(name)
    place = goldens.store(result, "odd")
    assert place.parent == goldens.folder / "cams"
    assert place.name.isascii() and len(place.name) < 100
    read = goldens.load(result.case)
    assert read is not None and read.case == result.case


def test_names_that_look_alike_stay_apart(goldens: Goldens) -> None:
    results = [make_result(name, predicted=name) for name in (*NAMES, "a-b", "a.b", "A b", "a\tb")]
    for result in results:
        goldens.store(result, "odd")
    for result in results:
        read = goldens.load(result.case)
        assert read is not None and read["predicted"].text == result["predicted"].text


@pytest.mark.parametrize("linked", [Path(VICTIM.case.key), Path("cams")], ids=["a case", "a task"])
def test_goldens_behind_links_are_refused_and_left_as_they_are(goldens: Goldens, tmp_path: Path, linked: Path) -> None:
    """A golden may come from a stranger: a link in it could lead to any folder of the machine."""
    place, elsewhere = goldens.folder / linked, tmp_path / "elsewhere"
    place.rename(elsewhere)
    place.symlink_to(elsewhere, target_is_directory=True)
    before = files(elsewhere)
    if linked == Path("cams"):
        with pytest.raises(StorageError, match="it is a link"):
            judged(goldens)
    else:
        assert "it is a link" in judged(goldens)[VICTIM.case.id].sentence
    for action in (
        lambda: goldens.load(VICTIM.case),
        lambda: goldens.store(make_result("victim.jpg", saliency=blob(10, 10)), "x"),
        lambda: goldens.remove(VICTIM.case.key),
    ):
        with pytest.raises(StorageError, match="link"):
            action()
    assert place.is_symlink() and files(elsewhere) == before


def test_a_linked_folder_of_all_goldens_is_used_where_it_is(goldens: Goldens, tmp_path: Path) -> None:
    """Whoever names the folder has chosen it."""
    goldens.folder.rename(tmp_path / "elsewhere")
    goldens.folder.symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    changed = make_result("victim.jpg", saliency=blob(10, 10))
    changed.save(tmp_path / "run" / RESULTS_FOLDER / changed.case.key)
    assert accept_victim(goldens) == [VICTIM.case.key]
    assert Result.load(tmp_path / "elsewhere" / VICTIM.case.key).digest == changed.condensed().digest
    goldens.remove(VICTIM.case.key)
    assert sorted(files(tmp_path / "elsewhere")) == sorted(files(goldens.folder))


def test_a_linked_file_is_replaced_and_what_it_pointed_to_is_left(goldens: Goldens, tmp_path: Path) -> None:
    path, precious = goldens.folder / VICTIM.case.key / RESULT_FILE, tmp_path / "precious.json"
    precious.write_text("[1, 2, 3]")
    path.unlink()
    path.symlink_to(precious)
    assert judged(goldens)[VICTIM.case.id].state is State.ERROR
    assert accept_victim(goldens) == [VICTIM.case.key]
    assert precious.read_text() == "[1, 2, 3]"
    assert not path.is_symlink()


def test_a_file_in_the_place_of_a_golden_is_refused_and_kept(goldens: Goldens) -> None:
    place = goldens.folder / VICTIM.case.key
    shutil.rmtree(place)
    place.write_text("mine")
    assert judged(goldens)[VICTIM.case.id].state is not State.OK
    with pytest.raises(StorageError, match=f"{VICTIM.case.id}.*there is a file where a folder is needed"):
        accept_victim(goldens)
    assert place.read_text() == "mine"


def test_what_a_killed_process_left_is_cleared_away_by_the_next_accept(goldens: Goldens) -> None:
    place = goldens.folder / VICTIM.case.key
    halve(place / RESULT_FILE)
    for name in (RESULT_FILE, ARRAYS_FILE, HISTORY_FILE):
        (place / f".{name}.a1b2_c3d").write_bytes(b"half")
    (place / ".mine.txt").write_text("kept")
    accept_victim(goldens)
    assert sorted(p.name for p in place.iterdir()) == [".mine.txt", HISTORY_FILE, ARRAYS_FILE, RESULT_FILE]


@pytest.mark.parametrize("when", [0, 4_000_000_000], ids=["1970", "2096"])
def test_times_of_files_mean_nothing(goldens: Goldens, when: int) -> None:
    for path in goldens.folder.parent.rglob("*"):
        os.utime(path, (when, when))
    assert {v.state for v in judged(goldens).values()} == {State.OK}


def test_a_clock_that_goes_backwards_leaves_the_history_in_order(
    goldens: Goldens, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(["2031-01-01T00:00:00+00:00", "1999-12-31T23:59:59+00:00"])
    monkeypatch.setattr("xai_eval.store.history.now", lambda: next(clock))
    results = [make_result("victim.jpg", saliency=blob(50, column)) for column in (60, 160)]
    for result, reason in zip(results, ("second", "third"), strict=True):
        place = goldens.store(result, reason)
    history = read_history(place)
    assert [entry.reason for entry in history] == ["first", "second", "third"]
    assert history[-1].when < history[-2].when
    assert history[-1].result == Result.load(place).digest
