"""Which request of a run a case belongs to."""

from xai_eval.gate.requests import request_of
from xai_eval.result.result import Case


def case(model="a", images="photos", layer="layer4", target="predicted"):
    return Case("cams", model, f"{images}/cat.jpg", {"methods": ["gradcam"], "layer": layer, "target": target})


def request(model="a", images="photos", **params):
    return {"task": "cams", "model_name": model, "inputs": images, "params": params}


def test_a_task_that_was_asked_for_once_has_one_request():
    one = {"model": "spec", "params": {}}
    assert request_of({"cams": one, "lime": {}}, case()) is one


def test_the_request_has_the_model_and_the_images_of_the_case():
    requests = {f"cams {n}": request(m, i) for n, (m, i) in enumerate([(m, i) for m in "ab" for i in ("photos", "x")])}
    for each in requests.values():
        assert request_of(requests, case(each["model_name"], each["inputs"])) is each
    whole = Case("cams", "b", "x (4 images)", {})
    assert request_of(requests, whole) is requests["cams 3"]


def test_the_request_has_the_parameters_of_the_case():
    requests = {f"cams {layer}": request(layer=layer) for layer in ("layer2", "layer3", "layer4")}
    for layer in ("layer2", "layer3", "layer4"):
        assert request_of(requests, case(layer=layer)) is requests[f"cams {layer}"]
    both = {"one": request(layer="layer4", target="intended"), "two": request(layer="layer4")}
    assert request_of(both, case()) is both["two"]
    assert request_of(both, case(target="intended")) is both["one"]


def test_a_test_that_evaluated_itself_left_no_request():
    assert request_of({}, case()) is None
    assert request_of({"lime": {"model": "a"}}, case()) is None
