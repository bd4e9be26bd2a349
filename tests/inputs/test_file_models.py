from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pytest
import torch
from forbidden import forbid
from PIL import Image
from torchvision.models import ResNet18_Weights

from xai_eval.errors import InputUnavailable, ModelMisbehaves, UsageError
from xai_eval.inputs.images.images import load_images
from xai_eval.inputs.models.model_weights import weights_digest
from xai_eval.inputs.models.models import load_model
from xai_eval.inputs.models.outputs import logits

NET = """
    from torch import nn

    class Net(nn.Module):
        def __init__(self, classes):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            self.head = nn.Linear(4, classes)

        def forward(self, batch):
            return self.head(self.conv(batch).mean((2, 3)))
"""


def write(path: Path, *parts: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(textwrap.dedent(part) for part in parts))
    return path


def factories(tmp_path: Path, body: str) -> Path:
    return write(tmp_path / "my_models.py", NET, body)


def test_a_module_from_a_file(tmp_path: Path) -> None:
    path = factories(tmp_path, "def small(): return Net(7).train()")
    loaded = load_model(f"file:{path}:small")
    assert loaded.name == "file:my_models.py:small"
    assert not loaded.module.training
    assert loaded.class_names == tuple(f"class {index}" for index in range(7))
    assert loaded.class_ids is None
    assert loaded.classes_from == "numbered, because the model names no classes"
    assert loaded.weights_digest == weights_digest(loaded.module)
    assert loaded.default_layer() == "conv"
    image = Image.effect_noise((300, 260), 50).convert("RGB")
    assert torch.equal(loaded.preprocess(image), ResNet18_Weights.DEFAULT.transforms()(image))


def test_a_relative_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    factories(tmp_path, "def small(): return Net(7)")
    monkeypatch.chdir(tmp_path)
    assert load_model("file:my_models.py:small").name == "file:my_models.py:small"


def test_a_thousand_outputs_are_taken_for_imagenet_and_it_is_said_so(tmp_path: Path) -> None:
    path = factories(tmp_path, "def big(): return Net(1000)")
    loaded = load_model(f"file:{path}:big")
    assert loaded.classes_from == "ImageNet-1k order, because the model has 1000 outputs"
    assert loaded.class_names[130] == "flamingo"
    assert loaded.class_ids is not None
    assert loaded.class_ids[130] == "n02007558"


@pytest.mark.parametrize("classes", [2, 1000])
def test_a_module_may_name_its_own_classes(tmp_path: Path, classes: int) -> None:
    path = factories(
        tmp_path,
        f"""
        def named():
            net = Net({classes})
            net.class_names = [f"kind {{i}}" for i in range({classes})]
            return net
        """,
    )
    loaded = load_model(f"file:{path}:named")
    assert loaded.class_names[:2] == ("kind 0", "kind 1")
    assert loaded.class_ids is None
    assert loaded.classes_from == "the module's class_names"


@pytest.mark.parametrize(("names", "message"), [("['a']", "a list with 1 names"), ("'ab'", "the text 'ab'")])
def test_class_names_that_do_not_fit(tmp_path: Path, names: str, message: str) -> None:
    path = factories(tmp_path, f"def named():\n    net = Net(2)\n    net.class_names = {names}\n    return net")
    with pytest.raises(UsageError, match=message):
        load_model(f"file:{path}:named")


def test_a_classifier_from_a_file_gets_the_files_name_and_an_honest_digest(tmp_path: Path) -> None:
    path = factories(
        tmp_path,
        """
        from xai_eval import Classifier
        from xai_eval.inputs.models.preprocessing import fixed_size_preprocessing

        def mine():
            prepare = fixed_size_preprocessing(32, (0.5,) * 3, (0.2,) * 3)
            return Classifier("home/of/mine", Net(2), prepare, ("cat", "dog"), weights_digest="forged")
        """,
    )
    loaded = load_model(f"file:{path}:mine")
    assert loaded.name == "file:my_models.py:mine"
    assert loaded.class_names == ("cat", "dog")
    assert loaded.input_shape == (3, 32, 32)
    assert loaded.weights_digest == weights_digest(loaded.module)


def test_neighbours_are_importable_and_not_mixed_up(tmp_path: Path) -> None:
    before = list(sys.path), set(sys.modules)
    for folder, classes in (("one", 3), ("two", 5)):
        write(tmp_path / folder / "neighbour.py", NET, f"CLASSES = {classes}")
        write(tmp_path / folder / "f.py", "from neighbour import CLASSES, Net\n\ndef net(): return Net(CLASSES)")
    sizes = [len(load_model(f"file:{tmp_path / folder / 'f.py'}:net").class_names) for folder in ("one", "two")]
    assert sizes == [3, 5]
    assert sys.path == before[0]
    assert "neighbour" not in set(sys.modules) - before[1]


def test_the_import_path_is_put_back_after_an_error(tmp_path: Path) -> None:
    before = list(sys.path)
    path = write(tmp_path / "f.py", "import sys\nsys.path.insert(0, 'mine')\nraise ValueError('no weights')")
    with pytest.raises(InputUnavailable, match=r"f\.py raised ValueError: no weights"):
        load_model(f"file:{path}:net")
    assert sys.path == before


def test_a_dataclass_in_a_factory_file(tmp_path: Path) -> None:
    path = write(
        tmp_path / "f.py",
        "from __future__ import annotations",
        NET,
        """
        from dataclasses import dataclass

        @dataclass
        class Config:
            classes: int = 4

        def net(): return Net(Config().classes)
        """,
    )
    assert len(load_model(f"file:{path}:net").class_names) == 4


@pytest.mark.parametrize("rest", ["net", "net.py", "net.txt:f", "net.py:", "net.py:1f", ":f"])
def test_a_malformed_file_spec(rest: str) -> None:
    with pytest.raises(UsageError, match=r"malformed; expected file:PATH.py:FACTORY"):
        load_model(f"file:{rest}")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputUnavailable, match=r"gone\.py does not exist"):
        load_model(f"file:{tmp_path / 'gone.py'}:net")


def test_a_file_that_cannot_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (forbid(monkeypatch, tmp_path / "private"), tmp_path / ("n" * 300)):
        with pytest.raises(InputUnavailable, match=r"m\.py cannot be read"):
            load_model(f"file:{folder / 'm.py'}:net")
    with pytest.raises(UsageError, match="no_such_user"):
        load_model("file:~no_such_user_of_this_machine/m.py:net")


def test_a_missing_factory_suggests_the_nearest(tmp_path: Path) -> None:
    path = factories(tmp_path, "def small(): return Net(7)\nsmal = 3")
    for wanted in ("smalll", "smal"):
        with pytest.raises(UsageError, match=f"unknown factory '{wanted}'. Did you mean small"):
            load_model(f"file:{path}:{wanted}")


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ("def f(): return {'a': 1}", UsageError, r"f\(\) returned a dict; expected a torch.nn.Module"),
        ("def f(): pass", UsageError, "returned a NoneType"),
        ("def f(): return Net", UsageError, "returned a type"),
        ("def f(size): return Net(size)", InputUnavailable, "TypeError: f.. missing 1 required"),
        (
            "def f(): raise RuntimeError('no weights')",
            InputUnavailable,
            r"f\(\) raised RuntimeError: no weights",
        ),
        ("def f(): raise SystemExit(0)", InputUnavailable, "raised SystemExit"),
        # The first line of torch names only the class of the model; which weights do not fit stands below it.
        ("def f():\n    Net(2).load_state_dict({})", InputUnavailable, r"loading state_dict for Net: Missing key\(s\)"),
        ("def f(): raise RuntimeError('\\x1b[1mbold\\x1b[0m text')", InputUnavailable, "RuntimeError: bold text"),
        ("def f(): return nn.Flatten(2)", ModelMisbehaves, r"shape \(1, 3, 50176\)"),
        ("def f(): return nn.Linear(7, 2)", ModelMisbehaves, ":f fails on a batch of shape"),
        ("def f(:", InputUnavailable, "raised SyntaxError"),
        ("import no_such_library", InputUnavailable, "raised ModuleNotFoundError"),
    ],
)
def test_errors_in_a_factory(tmp_path: Path, body: str, error: type[Exception], message: str) -> None:
    path = factories(tmp_path, body)
    with pytest.raises(error, match=message) as caught:
        load_model(f"file:{path}:f")
    assert "my_models.py" in str(caught.value) or error is ModelMisbehaves


def test_an_error_of_this_package_in_a_factory_is_passed_on(tmp_path: Path) -> None:
    path = factories(tmp_path, "from xai_eval import load_model\ndef f(): return load_model('torchvision:nothing')")
    with pytest.raises(UsageError, match="unknown torchvision model"):
        load_model(f"file:{path}:f")


@pytest.mark.real
def test_what_a_real_model_sees_in_the_photographs(real_data: Path) -> None:
    loaded = load_model(f"file:{real_data / 'models' / 'factories.py'}:imagenet")
    assert loaded.name == "file:factories.py:imagenet"
    assert loaded.default_layer() == "features.18"
    images = load_images("imagenet-samples").images
    batch = torch.stack([loaded.preprocess(Image.fromarray(image.pixels)) for image in images])
    with torch.no_grad():
        top = logits(loaded, batch).argmax(dim=1).tolist()
    seen = {image.intended.name: loaded.class_names[index] for image, index in zip(images, top, strict=True)}
    assert seen["flamingo"] == "flamingo"
    assert seen["kite"] == "hip"
    assert seen["racer"] == "sports car"
    assert seen["goldfish"] == "goldfish"
    assert seen["West Highland white terrier"] == "West Highland white terrier"


@pytest.mark.real
def test_a_real_model_with_other_classes(real_data: Path) -> None:
    loaded = load_model(f"file:{real_data / 'models' / 'factories.py'}:inat_bird")
    assert len(loaded.class_names) == 965
    assert loaded.class_ids is None
