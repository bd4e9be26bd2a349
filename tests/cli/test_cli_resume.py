"""An interrupted run goes on where it was, and never with a result that would come out differently now."""

import errno
import json
import multiprocessing
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from cli_runs import FACTORY, run
from PIL import Image

from xai_eval.cli import measuring
from xai_eval.cli.main import main
from xai_eval.run import contents
from xai_eval.run.kept import NOTHING_KEPT
from xai_eval.run.plan import plan
from xai_eval.run.resume import kept_results
from xai_eval.run.run_plans import run as compute
from xai_eval.store.made_from import MADE_FROM_FILE
from xai_eval.store.run_folder import RunFolder

# Together these take longer than the default run may.
pytestmark = pytest.mark.slow

COUNTED = """
from pathlib import Path

class Counted(Net):
    # Notes every pass, and how hot its logits are in a file that no digest knows.
    def forward(self, x):
        with open("passes", "a") as file:
            file.write("x" * len(x))
        return super().forward(x) * float(Path("heat").read_text())

def counted(): return Counted(0)
"""
OWN_TASK = """
from pathlib import Path
from xai_eval import image_task

@image_task("mine")
def mine(subject, *, more: float = 0.0):
    \"\"\"A map that depends on a file that nobody else knows.\"\"\"
    return subject.batch[0].mean(0) * (float(Path("background").read_text()) + more)
"""


@pytest.fixture
def four(place):
    """A folder with four images, and a model that reads a file beside it."""
    rng = np.random.default_rng(1)
    for name in ("three", "four"):
        pixels = rng.integers(0, 256, size=(12, 16, 3), dtype=np.uint8).repeat(20, 0).repeat(20, 1)
        Image.fromarray(pixels).save(place / "photos" / f"{name}.png")
    Path("nets.py").write_text(FACTORY + COUNTED)
    Path("heat").write_text("1")
    return place


def once(*options):
    return run("--methods", "gradcam", *options, model="counted")


def interrupted(monkeypatch, results, action, start=once):
    """Run, and do something to the process when that many results are written."""

    with monkeypatch.context() as patch:

        def progress(computed, total, name):
            if results == 0:
                action(patch)
            for number, each in enumerate(computed, start=1):
                yield each
                if number == results:
                    action(patch)

        patch.setattr(measuring, "_silent", progress)
        return start()


def killed(monkeypatch, results, start=once):
    """Run in a process of its own, which is killed when that many results are written."""

    def until_killed():
        interrupted(monkeypatch, results, lambda _: os.kill(os.getpid(), signal.SIGKILL), start)

    child = multiprocessing.get_context("fork").Process(target=until_killed)
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL


def ctrl_c(_):
    raise KeyboardInterrupt


def digests():
    places = Path("reports/results").glob("*/*/result.json")
    return {place.parent.name: json.loads(place.read_text())["digest"] for place in places}


def resumed(capsys, start=once):
    """Resume, and return the line that tells what was kept."""
    capsys.readouterr()
    assert start("--resume") == 0
    return next(line for line in capsys.readouterr().err.splitlines() if "resumed" in line)


def test_a_killed_run_goes_on_and_ends_as_if_nobody_had_killed_it(four, capsys, monkeypatch):
    once()
    whole = digests()
    killed(monkeypatch, 2)
    assert len(digests()) == 2
    Path("passes").unlink()
    assert resumed(capsys) == "xai-eval: resumed: 2 of 4 results are kept, 2 computed."
    assert digests() == whole
    assert main(["check"]) == 1  # four new cases, and nothing missing
    assert "4 cases: 4 new" in capsys.readouterr().out


def test_ctrl_c_says_how_to_go_on(four, capsys, monkeypatch):
    assert interrupted(monkeypatch, 3, ctrl_c) == 130
    assert "What was finished is in reports: the same command with --resume" in capsys.readouterr().err
    assert "3 of 4 results are kept, 1 computed" in resumed(capsys)


def test_a_full_disk_costs_only_what_was_not_written(four, capsys, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    assert interrupted(monkeypatch, 2, lambda patch: patch.setattr(os, "fsync", full)) == 3
    assert "the disk is full" in capsys.readouterr().err
    assert "2 of 4 results are kept, 2 computed" in resumed(capsys)


def test_a_finished_run_is_kept_whole(four, capsys):
    once()
    Path("passes").unlink()
    assert resumed(capsys).endswith("4 of 4 results are kept, 0 computed.")
    passes = len(Path("passes").read_text())
    once()
    assert passes < len(Path("passes").read_text()) - passes


def test_without_the_option_everything_is_computed_again(four, capsys):
    once()
    capsys.readouterr()
    once()
    assert "resumed" not in capsys.readouterr().err


def other_image():
    Image.new("RGB", (320, 240), (9, 99, 200)).save("photos/one.png")


def other_torch(patch):
    installed = dict(contents._installed())
    patch.setattr(contents, "_installed", lambda: {**installed, "library torch": "9.9.9"})


def damage():
    place = next(iter(sorted(Path("reports/results/cams").glob("*"))))
    (place / "arrays.safetensors.gz").write_bytes(b"")


# What changes after two of four results, how many are kept then, and the reason that is said.
CHANGES = {
    "weights": (lambda _: Path("nets.py").write_text(FACTORY + COUNTED.replace("(0)", "(1)")), 0, "the weights"),
    "code of the model": (lambda _: Path("nets.py").write_text(FACTORY + COUNTED + "\n"), 0, "the code of the model"),
    "a module beside it": (lambda _: Path("other.py").write_text("x = 1"), 0, "the code of the model"),
    "what only a pass shows": (lambda _: Path("heat").write_text("2"), 0, "logits"),
    "an image": (lambda _: other_image(), 3, "the image"),
    "another torch": (other_torch, 0, "library torch"),
    "a damaged result": (lambda _: damage(), 3, "it cannot be read"),
    "an unknown origin": (
        lambda _: [path.unlink() for path in Path("reports").rglob(MADE_FROM_FILE)],
        0,
        "nobody can tell what it was made from",
    ),
}


def computed(*, resume):
    """Run without judging or drawing anything, and return what was kept."""
    plans = [plan("cams", model="file:nets.py:counted", images="photos", params={"methods": ["gradcam"]})]
    folder = RunFolder(Path("reports"))
    kept = kept_results(plans, folder) if resume else NOTHING_KEPT
    compute(plans, folder, lambda results, total, name: results, kept)
    return kept.sentence


@pytest.mark.parametrize("name", CHANGES)
def test_what_would_come_out_differently_is_computed_again_and_said(four, monkeypatch, name):
    change, kept, reason = CHANGES[name]
    computed(resume=False)
    with monkeypatch.context() as patch:
        change(patch)
        told = computed(resume=True)
    assert f"{kept} of 4 results are kept, {4 - kept} computed, {4 - kept} of them again" in told
    assert reason in told
    after = digests()
    computed(resume=False)
    assert after == digests()


@pytest.mark.parametrize("option", [("--seed", "3"), ("--target", "0")])
def test_another_parameter_is_another_result(four, capsys, option):
    once()
    before = digests()
    told = resumed(capsys, lambda *more: once(*option, *more))
    assert "0 of 4 results are kept, 4 computed" in told
    assert before.keys() != digests().keys() or "the parameters" in told


def test_what_nobody_asks_for_is_not_thrown_away(four, capsys):
    once()
    before = digests()
    assert main(["run", "cams", "--resume", "--quiet"]) == 2
    assert "holds results of cams with file:nets.py:counted on photos, but this" in capsys.readouterr().err
    assert digests() == before


def test_the_results_of_an_own_task_are_tried_once(four, capsys, own_tasks):
    def own(*options):
        inputs = ["--model", "file:nets.py:net", "--images", "photos"]
        return main(["run", "mine", "--tasks", "mine.py", "--quiet", *inputs, *options])

    Path("mine.py").write_text(OWN_TASK)
    Path("background").write_text("1")
    assert own() == 0
    assert "4 of 4 results are kept" in resumed(capsys, own)
    Path("background").write_text("2")
    told = resumed(capsys, own)
    assert "0 of 4 results are kept" in told
    assert "4 because one result was tried, and came out differently" in told


LIME = ["--num-samples", "20", "--segmentation", "slic"]
# Tasks that sum up all images at the end, and one that does not; with their options and the number of their results.
SUMMED_UP = {
    "comparison": (LIME, 3),
    "hybrid": (LIME, 3),
    "lime_search": (["--grid", "num_samples=20", "segmentation=slic", "num_features=3,100"], 3),
    "attributions": (["--methods", "integrated_gradients", "file:mine.py:my_map", "--steps", "2"], 2),
}
OWN_MAP = "def my_map(module, batch, targets):\n    return batch.sum(dim=1) * 1\n"


@pytest.fixture
def explain(place, monkeypatch):
    """Runs a task on two scenes, with a clock that stands still: results may hold how long something took."""
    monkeypatch.setattr(time, "perf_counter", lambda: 0.0)
    Path("mine.py").write_text(OWN_MAP)

    def start(task):
        given = ["run", task, "--model", "file:nets.py:net", "--images", "scenes:2", "--quiet", *SUMMED_UP[task][0]]
        return lambda *options: main([*given, *options])

    return start


def written():
    """When each result was written: what is kept is not written again."""
    return {place: place.stat().st_mtime_ns for place in Path("reports/results").glob("*/*/result.json")}


@pytest.mark.parametrize("task", SUMMED_UP)
def test_a_task_that_sums_up_goes_on_after_each_image_and_ends_as_if_never_killed(explain, capsys, monkeypatch, task):
    """Killed before the first result and after every other one; each run goes on where the one before was killed."""
    run_task, count = explain(task), SUMMED_UP[task][1]
    assert run_task() == 0
    whole = digests()
    assert len(whole) == count
    killed(monkeypatch, 0, run_task)
    assert digests() == {}
    for left in range(1, count):
        before = written()
        killed(monkeypatch, 1, lambda: run_task("--resume"))
        assert len(digests()) == left and before.items() <= written().items()
    assert f"{count - 1} of {count} results are kept, 1 computed." in resumed(capsys, run_task)
    assert digests() == whole
    assert f"{count} of {count} results are kept, 0 computed" in resumed(capsys, run_task)
    assert digests() == whole


def test_the_sum_is_computed_again_if_an_image_is(explain, capsys):
    run_task = explain("hybrid")
    assert run_task() == 0
    whole = digests()
    place = next(iter(sorted(Path("reports/results/hybrid").glob("scenes-scene-01*"))))
    (place / "arrays.safetensors.gz").write_bytes(b"")
    told = resumed(capsys, run_task)
    assert "1 of 3 results are kept, 2 computed, 2 of them again" in told
    assert "1 because it sums up all images, and some of them are computed" in told
    assert digests() == whole


def test_a_changed_explainer_of_the_user_is_noticed(explain, capsys):
    run_task = explain("attributions")
    assert run_task() == 0
    Path("mine.py").write_text(OWN_MAP.replace("* 1", "* 2"))
    assert "0 of 2 results are kept, 2 computed, 2 of them again" in resumed(capsys, run_task)


TOLERANT = """
models = "file:nets.py:net"
images = "scenes:2"
device = "cpu"

[[suite]]
task = "hybrid"
num_samples = 20
segmentation = "slic"

[tolerances.hybrid]
gradcam = { largest = 0.1 }
means = { deletion = 0.01 }
"""


def test_what_is_resumed_has_the_tolerances_of_the_file(place, capsys, monkeypatch):
    def suite(*options):
        return main(["run", "--quiet", *options])

    Path("xai_eval.toml").write_text(TOLERANT)
    assert suite() == 0
    whole = digests()
    assert interrupted(monkeypatch, 1, ctrl_c, suite) == 130
    assert "1 of 3 results are kept, 2 computed." in resumed(capsys, suite)
    assert digests() == whole
    assert "3 of 3 results are kept, 0 computed." in resumed(capsys, suite)


@pytest.mark.slow
def test_a_run_of_several_tasks_keeps_what_each_has(four, capsys, monkeypatch):
    def both(*options):
        models = ["--model", "file:nets.py:net", "--images", "photos", "--num-samples", "20", "--segmentation", "slic"]
        return main(["run", "cams", "lime", "--methods", "gradcam", "--quiet", *models, *options])

    assert both() == 0
    whole = digests()
    for place in sorted(Path("reports/results/lime").glob("*"))[:3]:
        (place / "result.json").unlink()
    assert "5 of 8 results are kept, 3 computed" in resumed(capsys, both)
    assert digests() == whole
