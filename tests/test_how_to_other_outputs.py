"""The page on outputs that are no classes is what it says it is: its code, its commands, and what it says of them."""

import json
import re
import shlex
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch.nn.functional import cosine_similarity
from torchvision.ops import box_iou

from xai_eval import load_images, load_model
from xai_eval.cli.main import main
from xai_eval.errors import ModelMisbehaves
from xai_eval.inputs.models.file_models import wrap_module

# Together these take longer than the default run may.
pytestmark = pytest.mark.slow

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "other-outputs.md"
SCENES = load_images("scenes:4")


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def commands(of):
    lines = [line for block in blocks("console") for line in block.splitlines()]
    return [shlex.split(line)[1:] for line in lines if of in line]


@pytest.fixture
def place(tmp_path, monkeypatch, without_figures):
    """A folder with the file of the page, and the working directory in it."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text("\n".join(blocks("python")))
    return tmp_path


def run(command):
    """Run a command; return the fields of its results, by name of the image and of the field."""
    assert main([*command, "--quiet"]) == 0
    found = [json.loads(each.read_text()) for each in Path("reports/results").glob("*/*/result.json")]
    return {each["case"]["input"]: {field["name"]: field for field in each["fields"]} for each in found}


def answer(model, index=0):
    with torch.no_grad():
        return model.module(model.preprocess(Image.fromarray(SCENES.images[index].pixels))[None])


def best(fields):
    return fields["explained"]["text"], fields["top5"]["values"][0]


def test_labels_are_shown_by_their_sigmoid_and_one_can_be_chosen(place):
    usual, chosen = commands("file:nets.py:tagger")
    probabilities = answer(load_model("scenes:objects"))[0].sigmoid()
    assert best(run(usual)["scenes/scene-00"]) == ("balloon", pytest.approx(float(probabilities.max()), abs=1e-6))
    assert run(chosen)["scenes/scene-00"]["explained"]["text"] == "tree"


def test_a_map_per_class_is_recognised_and_explained_in_its_region(place):
    (command,) = commands("file:nets.py:segmenter")
    fields = run(command)["scenes/scene-00"]
    share = answer(load_model("file:nets.py:segmenter")).softmax(1).mean((0, 2, 3)).max()
    assert best(fields) == ("balloon", pytest.approx(float(share), abs=1e-6))
    assert "region" in fields


def test_features_are_compared_with_the_references(place):
    usual, by_lime = commands("file:nets.py:encoder")
    encoder = load_model("file:nets.py:encoder")
    first, second, image = (answer(encoder, index) for index in (0, 1, 2))
    cosines = [float(cosine_similarity(image, each)) for each in (first, second)]
    fields = run(usual)
    assert best(fields["scenes/scene-02"]) == ("scene-00", pytest.approx(cosines[0], abs=1e-6))
    assert "its gradients are 0" in fields["scenes/scene-00"]["audit"]["text"]
    assert fields["scenes/scene-02"]["audit"]["text"] is None
    assert run(by_lime)["scenes/scene-02"]["explained"]["text"] == "scene-01"


def test_clip_is_compared_with_a_text_or_with_an_image(place):
    text, image = commands("open_clip:")
    assert {fields["explained"]["text"] for fields in run(text).values()} == {"boat"}
    assert run(image)["scenes/scene-02"]["explained"]["text"] == "scene-00"


def test_an_encoder_gets_its_references_in_python(place, capsys):
    exec(blocks("py")[0], {})
    assert capsys.readouterr().out.splitlines() == ["scene-00 (0) 1.0", "scene-00 (0) 0.6"]


def corners(fields):
    columns = {column["name"]: column["values"][0] for column in fields["box"]["columns"]}
    return columns["class"], [columns[name] for name in ("x0", "y0", "x1", "y1")]


def test_one_box_of_a_detector_is_explained(place):
    usual, of_tree, of_box, by_lime = commands("file:nets.py:detector")
    detector = load_model("file:nets.py:detector")
    found, names = answer(detector)[0], detector.class_names
    assert names[0] == "__background__" and len(names) == 13

    def expected(index):
        label = int(found["labels"][index])
        return f"{names[label]} ({label})", pytest.approx(found["boxes"][index].tolist(), abs=1e-3)

    assert corners(run(usual)["scenes/scene-00"]) == expected(int(found["scores"].argmax()))
    trees = torch.where(found["labels"] == names.index("tree"), found["scores"], -1)
    assert corners(run(of_tree)["scenes/scene-00"]) == expected(int(trees.argmax()))
    given = [float(each) for each in of_box[-1].split(",")]
    nearest = int(box_iou(torch.tensor([given]), found["boxes"])[0].argmax())
    assert corners(run(of_box)["scenes/scene-00"]) == (expected(nearest)[0], given)
    assert corners(run(by_lime)["scenes/scene-00"]) == expected(int(found["scores"].argmax()))


def test_a_detector_of_transformers_that_is_not_wrapped_is_refused_with_the_way_out(place):
    net = load_model("file:nets.py:yolos").module.net
    with pytest.raises(ModelMisbehaves, match=r"with pred_boxes.*docs/how-to/other-outputs\.md"):
        wrap_module(net, "yolos", load_model("file:nets.py:yolos").preprocess)


def test_a_detector_of_transformers_is_wrapped(place):
    (command,) = commands("file:nets.py:yolos")
    name, box = corners(run(command)["scenes/scene-00"])
    net = load_model("file:nets.py:yolos").module
    image = load_model("file:nets.py:yolos").preprocess(Image.fromarray(SCENES.images[0].pixels))[None]
    with torch.no_grad():
        found = net.net(image)
    scores = found.logits.softmax(-1)[0, :, :-1]
    query, label = divmod(int(scores.argmax()), scores.shape[1])
    x, y, width, height = (96 * found.pred_boxes[0, query]).tolist()
    assert name == f"{net.class_names[label]} ({label})"
    assert box == pytest.approx([x - width / 2, y - height / 2, x + width / 2, y + height / 2], abs=1e-3)
