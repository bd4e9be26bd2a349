"""Images that workers on two nodes explain give the same bytes as one process, even if a node is killed."""

import dataclasses
import json

import pytest

from xai_eval.cli.main import main
from xai_eval.errors import UsageError
from xai_eval.run import forecast, workers
from xai_eval.run.evaluate import evaluate
from xai_eval.run.plan import plan
from xai_eval.run.resume import kept_results
from xai_eval.run.run_plans import run
from xai_eval.run.spread import spread
from xai_eval.store.run_folder import RunFolder
from xai_eval.tasks import load_task_file
from xai_eval.tasks.registry import TASKS

CAMS, LIME = {"methods": ["gradcam", "scorecam"]}, {"num_samples": 40, "seeds": 2}
ALONE, THOROUGH = pytest.mark.alone, pytest.mark.thorough

OWN = """
import torch
from xai_eval import image_task

@image_task("own17")
def own17(subject, *, fails_on: str = ""):
    if subject.image.name == fails_on:
        raise ValueError("no map of this image")
    return subject.batch[0].abs().sum(0)
"""
MODEL = """
import torch
from helper import side

def small():
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    net.class_names = ("a", "b", "c", "d")
    return net

def by_gradient(model, batch, targets):
    batch = batch.clone().requires_grad_()
    scores = model(batch)
    return torch.autograd.grad(scores[range(len(batch)), targets].sum(), batch)[0]
"""


def planned(task, images="scenes:2", model="scenes:objects", **params):
    return plan(task, model=model, images=images, device="cpu", params=params)


def spread_over(two_nodes, task, images="scenes:2", model="scenes:objects", **params):
    return spread(planned(task, images, model, **params), two_nodes.workers, model)


def files_of(results):
    return [(each.case.key, without_times(each.files())) for each in results]


def without_times(files):
    """Leave out the one column that no two runs share: how long a method took. Then the digest differs, too."""
    document = json.loads(files["result.json"])
    for table in document["fields"]:
        columns = table.get("columns", [])
        timed = [column for column in columns if column["name"] == "seconds"]
        for column in timed:
            columns.remove(column)
            document.pop("digest", None)
    return {**files, "result.json": document}


@pytest.fixture(scope="module")
def own_files(tmp_path_factory):
    """A task, a model and an explainer of a user, which need another file beside them."""
    folder = tmp_path_factory.mktemp("own")
    for name, text in (("own17_task.py", OWN), ("nets.py", MODEL), ("helper.py", "side = 1\n")):
        (folder / name).write_text(text)
    (name,) = load_task_file(str(folder / "own17_task.py"))
    yield folder
    del TASKS[name]


@ALONE
def test_the_command_line_says_how_many_workers_compute_and_what_it_costs(two_nodes, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(forecast, "LONG", 0.0)
    monkeypatch.setattr(workers, "cluster_of", lambda *_asked: two_nodes.workers)  # others would take longer to start
    (tmp_path / "xai_eval.toml").write_text('engine = "ray"\nworkers = 2\nimages = "scenes:4"\ndevice = "cpu"\n')
    words = ["run", "cams", "--methods", "gradcam"]
    assert main([*words, "--dry-run"]) == 0
    assert (
        "4 results would be computed by 2 workers (1 thread each) of the Ray cluster: cams" in capsys.readouterr().out
    )
    assert main(words) == 0
    told = capsys.readouterr().err
    assert "2 workers (1 thread each) of the Ray cluster compute." in told
    assert "all 4 will take about" in told and "on 2 workers" in told
    assert len(list((tmp_path / "reports" / "results" / "cams").iterdir())) == 4


@pytest.mark.parametrize(
    ("task", "params"),
    [
        pytest.param("comparison", {"num_samples": 60}, marks=THOROUGH),
        pytest.param("attributions", {"methods": ["saliency"]}, marks=THOROUGH),
        pytest.param("hybrid", {"num_samples": 60}, marks=THOROUGH),
        pytest.param("lime_search", {"grid": {"num_samples": [60], "num_features": [3, 5]}}, marks=THOROUGH),
    ],
)
def test_workers_give_the_bytes_of_one_process(two_nodes, task, params):
    assert files_of(spread_over(two_nodes, task, **params).results) == files_of(planned(task, **params).results)


@ALONE
def test_models_explainers_and_tasks_of_the_user_run_in_workers(two_nodes, own_files):
    model, own = f"file:{own_files}/nets.py:small", f"file:{own_files}/nets.py:by_gradient"
    for task, params in (("own17", {}), ("attributions", {"methods": [own]})):
        asked = {"images": "scenes:2", "model": model, **params}
        assert files_of(spread_over(two_nodes, task, **asked).results) == files_of(planned(task, **asked).results)


@ALONE
def test_an_error_is_that_of_one_process_and_comes_in_its_turn(two_nodes, own_files):
    def until_it_fails(results):
        came = []
        with pytest.raises(ValueError, match="no map of this image") as raised:
            came.extend(each.case.key for each in iter(lambda: next(results), None))
        return came, str(raised.value)

    asked = {"images": "scenes:6", "fails_on": "scene-03"}
    here = until_it_fails(planned("own17", **asked).results)
    assert until_it_fails(spread_over(two_nodes, "own17", **asked).results) == here
    assert len(here[0]) == 3


@ALONE
def test_what_is_finished_is_kept_and_the_rest_is_computed_by_workers(two_nodes, tmp_path):
    folder = RunFolder(tmp_path / "run")
    asked = {"images": "scenes:4", "methods": ["gradcam"]}
    run([planned("cams", **asked)], folder, lambda results, _total, _name: results)
    places = sorted((folder.results / "cams").iterdir())
    before = {place: (place / "result.json").read_bytes() for place in places}
    for place in (places[0], places[2]):
        (place / "result.json").unlink()
    again, counts = [spread_over(two_nodes, "cams", **asked)], []
    kept = kept_results(again, folder)

    def counted(results, total, _name):
        counts.append(total)
        return results

    run(again, folder, counted, kept)
    assert counts == [2]
    assert {place: (place / "result.json").read_bytes() for place in places} == before


@ALONE
@pytest.mark.parametrize(("task", "params"), [("cams", CAMS), ("lime", LIME)])
def test_a_node_that_dies_changes_no_byte(two_nodes, task, params):
    expected = files_of(planned(task, images="scenes:8", **params).results)
    found = []
    for each in spread_over(two_nodes, task, images="scenes:8", **params).results:
        found.append(each)
        if len(found) == 1:
            two_nodes.kill_one()
    assert files_of(found) == expected
    assert len(two_nodes.workers._crew.ready) == 1


def test_a_task_that_computes_its_results_together_is_refused():
    together = dataclasses.replace(planned("cams", images="scenes:1", methods=["gradcam"]), parts=None)
    with pytest.raises(UsageError, match=r"task cams returns its results together.*@image_task"):
        spread(together, None, "scenes:objects")


def test_a_task_of_the_program_itself_is_refused():
    chosen = planned("cams", images="scenes:1", methods=["gradcam"])

    def of_program(classifier, images):
        return ()

    of_program.__module__ = "__main__"
    own = dataclasses.replace(chosen.sources.task, function=of_program)
    with pytest.raises(UsageError, match=r"written in the program itself.*--tasks FILE.py"):
        spread(dataclasses.replace(chosen, sources=dataclasses.replace(chosen.sources, task=own)), None, "x")


def test_an_unknown_engine_is_refused():
    with pytest.raises(UsageError, match=r"unknown engine 'spark'.*local, ray"):
        evaluate("cams", engine="spark")


def test_workers_are_refused_where_nothing_would_use_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "cams", "--workers", "2"]) == 2
    assert "--workers is for the workers of a cluster. Add --engine ray." in capsys.readouterr().err
