"""The page on a model of one's own is what it says it is: its code, its commands, and what it says is refused."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.utils.checkpoint
from PIL import Image
from torch import nn

from xai_eval import Classifier, XaiEvalError, evaluate, load_images, load_model
from xai_eval.cli.main import main

# Together these take longer than the default run may.
pytestmark = pytest.mark.slow

PAGE = Path(__file__).parent.parent / "docs" / "how-to" / "own-model.md"


def blocks(kind):
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def commands():
    return [shlex.split(line)[1:] for block in blocks("console") for line in block.splitlines()]


def table(heading):
    """The rows of the first table of a section, each as a list of cells."""
    section = PAGE.read_text().partition(heading)[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip(" |`") for cell in row] for row in rows[1:]]


@pytest.fixture
def place(tmp_path, monkeypatch, without_figures):
    """A folder with the file of the page, and the working directory in it."""
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.chdir(tmp_path)
    Path("nets.py").write_text("\n".join(blocks("python")))
    return tmp_path


def fields():
    """The fields of every result of the last run, by name."""
    found = sorted(Path("reports", "results").glob("*/*/result.json"))
    return [{each["name"]: each for each in json.loads(path.read_text())["fields"]} for path in found]


def command_of(*wanted):
    (found,) = [each for each in commands() if each[each.index("--model") + 1 :] == list(wanted)]
    return found


def best(result):
    return result["predicted"]["text"], result["top5"]["values"][0]


def test_a_bare_module_is_prepared_as_is_assumed_and_that_is_told_first(place, capsys):
    assert main(command_of("file:nets.py:make")) == 0
    told = capsys.readouterr().err.splitlines()[0]
    assert told == " ".join(line.strip("> ") for line in PAGE.read_text().splitlines() if line.startswith("> "))
    (result,) = fields()
    assert best(result) == ("bird", pytest.approx(0.17, abs=0.005))
    assert result["model"]["content"]["classes"] == "12; the module's class_names"


def test_with_its_own_preprocessing_the_network_is_right_and_nothing_is_assumed_aloud(place, capsys):
    assert main(command_of("file:nets.py:prepared")) == 0
    assert "file:nets.py" not in capsys.readouterr().err
    (result,) = fields()
    assert best(result) == ("balloon", pytest.approx(0.94, abs=0.005))
    assert result["model"]["content"] == dict(table("## 3."))


def test_what_the_output_is_can_be_said_in_an_option_or_in_the_spec(place):
    found = []
    for extra in (["file:nets.py:prepared", "--output", "multilabel"], ["file:nets.py:prepared?output=multilabel"]):
        assert main([*command_of(*extra), "--quiet"]) == 0
        (result,) = fields()
        found.append((result["top5"], result["model"]))
    assert found[0] == found[1]
    assert main(["check"]) == 1 and main(["accept", "--all", "--reason", "first"]) == 0
    assert main([*command_of("file:nets.py:prepared", "--output", "multilabel"), "--quiet"]) == main(["check"]) == 0
    expected = scores_of_the_first_scene().sigmoid().topk(5).values
    np.testing.assert_allclose(found[0][0]["values"], expected, rtol=1e-5)


def scores_of_the_first_scene():
    """The logits (12,) of the network of the page, prepared as the page prepares its images."""
    image = Image.fromarray(load_images("scenes:1").images[0].pixels)
    with torch.no_grad():
        logits = load_model("scenes:objects").module(load_model("file:nets.py:prepared").preprocess(image)[None])
    return logits[0]


@pytest.mark.parametrize(
    ("name", "output", "predicted"),
    [
        ("balloon", "one number for two classes (sigmoid gives the probability of the second); given", "balloon"),
        ("height", "values; given", "height"),
        ("in_a_dict", "entry logits of the output; logits of classes that exclude each other", "balloon"),
    ],
)
def test_other_outputs_are_read_as_the_page_says(place, name, output, predicted):
    assert main([*command_of(f"file:nets.py:{name}"), "--quiet"]) == 0
    (result,) = fields()
    assert result["model"]["content"]["output"].startswith(output)
    logits = scores_of_the_first_scene()
    odds = logits[0] - logits[1:].logsumexp(0)
    shown = odds if name == "height" else odds.sigmoid()
    assert best(result) == (predicted, pytest.approx(shown.item(), rel=1e-4))


def test_the_other_side_of_a_logit_can_be_explained(place):
    (shown,) = re.findall(r"`--target (\"[^`]*\")`", PAGE.read_text())
    assert main([*command_of("file:nets.py:balloon"), "--quiet", "--target", *shlex.split(shown)]) == 0
    (result,) = fields()
    assert (result["explained"]["text"], result["predicted"]["text"]) == ("no balloon", "balloon")


def test_several_layers_are_run_one_after_the_other(place):
    assert main([*command_of("file:nets.py:prepared", "--layer", "layer3", "--layer", "layer4.1"), "--quiet"]) == 0
    examined = {name for result in fields() for name in result["model"]["content"] if name.startswith("layer ")}
    assert examined == {"layer layer3", "layer layer4.1"}


def test_a_layer_that_is_laid_out_by_a_function_has_the_map_of_the_layer_before_it(place):
    assert main([*command_of("file:nets.py:flat", "--layer", "rows"), "--quiet"]) == 0
    (result,) = fields()
    assert "laid out by the given function over_the_image" in result["model"]["content"]["layer rows"]
    asked = {"images": "scenes:1", "methods": ["gradcam"]}
    (flat,) = evaluate("cams", model="file:nets.py:flat", layer="rows", **asked)
    (maps,) = evaluate("cams", model="file:nets.py:prepared", layer="layer4.1", **asked)
    np.testing.assert_allclose(flat["gradcam"].array, maps["gradcam"].array, atol=1e-5)


class Small(nn.Module):
    """Two convolutions and a head, of which a test breaks a part."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 5, 8), nn.ReLU(), nn.Conv2d(8, 8, 3, 1, 1))
        self.act, self.head = nn.ReLU(), nn.Linear(8, 12)

    def forward(self, images):
        return self.head(self.act(self.body(images)).mean((2, 3)))

    def maps(self, images):
        return self.head(self.act(self.body(images)).movedim(1, -1)).movedim(-1, 1)


def broken(forward):
    return type("Broken", (Small,), {"forward": forward})()


def headless():
    net = Small()
    net.num_classes = 0
    return net


def in_windows(net, images):
    windows = nn.functional.unfold(images, 48, stride=48).transpose(1, 2).reshape(-1, 3, 48, 48)
    return net.head(net.body(windows).mean((2, 3)).reshape(len(images), -1, 8).mean(1))


def checkpointed_the_old_way(net, images):
    places = torch.utils.checkpoint.checkpoint(net.body[1:], net.body[0](images), use_reentrant=True)
    return net.head(places.mean((2, 3)))


def sets_default_dtype(net, images):
    torch.set_default_dtype(torch.float64)
    return Small.forward(net, images)


def without_gradient(net, images):
    with torch.no_grad():
        places = net.body(images)
    return net.head(places.mean((2, 3)))


# One model for each row of the table, and the layer that is asked for.
REFUSED = {
    "answers the same image differently": (
        lambda: broken(lambda net, images: Small.forward(net, images + torch.randn_like(images))),
        "body",
    ),
    "gives two different images of a batch": (
        lambda: broken(lambda net, images: Small.forward(net, images[:1]).expand(len(images), -1)),
        "body",
    ),
    "for the whole process": (lambda: broken(sets_default_dtype), "body"),
    "answers an image differently if another": (
        lambda: broken(lambda net, images: Small.forward(net, images - images.mean(0) + 0.1 * images)),
        "body",
    ),
    "answers differently while gradients": (
        lambda: broken(lambda net, images: Small.forward(net, images) + torch.is_grad_enabled() * torch.arange(12)),
        "body",
    ),
    "is TorchScript": (lambda: torch.jit.script(Small()), "body"),
    "no gradient reaches": (lambda: broken(without_gradient), "body"),
    "use_reentrant=False": (lambda: broken(checkpointed_the_old_way), "body.0"),
    "is called 2 times": (lambda: broken(lambda net, images: net.act(Small.forward(net, images))), "act"),
    "its first axis counts windows": (lambda: broken(in_windows), "body"),
    "maps of the mirrored": (lambda: broken(lambda net, images: Small.forward(net, images.flip(3))), "body"),
    "does not lie over the image": (Small, "head"),
    "cannot be told which": (
        lambda: broken(lambda net, images: (net.maps(images), Small.forward(net, images))),
        "body",
    ),
    "look like (1, h, w, C)": (
        lambda: broken(lambda net, images: net.maps(images)[..., :9, :9].movedim(1, -1)),
        "body",
    ),
    "end in a sigmoid": (lambda: broken(lambda net, images: net.maps(images).sigmoid()), "body"),
    "in the order of their size": (
        lambda: broken(lambda net, images: Small.forward(net, images).sort(1).values),
        "body",
    ),
    "ends in a log-sigmoid": (
        lambda: broken(lambda net, images: nn.functional.logsigmoid(Small.forward(net, images))),
        "body",
    ),
    "has no head": (headless, "body"),
    "Return what the last layer computes": (
        lambda: broken(lambda net, images: Small.forward(net, images).argmax(1)),
        "body",
    ),
    "returned NaN": (lambda: broken(lambda net, images: Small.forward(net, images) * torch.nan), "body"),
    "one column per class name": (lambda: broken(lambda net, images: Small.forward(net, images)[:, :5]), "body"),
}


def test_every_row_of_the_table_of_refusals_is_tried():
    assert [next(each for each in REFUSED if told.startswith(each)) for _, told, _ in table("## 6.")] == list(REFUSED)


@pytest.mark.parametrize("begins", REFUSED)
def test_what_the_page_says_is_refused_is_refused_in_these_words(begins):
    (told,) = [row[1] for row in table("## 6.") if row[1].startswith(begins)]
    make, layer = REFUSED[begins]
    known = load_model("scenes:objects")
    with pytest.raises(XaiEvalError, match=re.escape(told)) as error:
        model = Classifier("mine", make(), known.preprocess, known.class_names)
        evaluate("cams", model=model, images="scenes:1", methods=["gradcam"], layer=layer)
    assert error.value.exit_code in (2, 3)


def test_methods_without_gradients_explain_a_layer_that_none_reaches():
    known = load_model("scenes:objects")
    model = Classifier("mine", broken(without_gradient), known.preprocess, known.class_names)
    (result,) = evaluate("cams", model=model, images="scenes:1", methods=["scorecam"], layer="body")
    assert result["scorecam"].array.max() > 0
