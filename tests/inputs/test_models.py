from __future__ import annotations

import hashlib
import json
import sys
import textwrap
import uuid
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import safetensors.torch
import torch
from local_site import Site
from PIL import Image
from torch import nn
from torchvision.models import ResNet18_Weights, get_model_weights, list_models, resnet18
from torchvision.models._api import Weights, WeightsEnum, register_model

from xai_eval.errors import InputUnavailable, ModelMisbehaves, UsageError
from xai_eval.inputs import data, places365, timm_models
from xai_eval.inputs.classifier import Classifier
from xai_eval.inputs.images import load_images
from xai_eval.inputs.models import load_model
from xai_eval.inputs.narrow_resnet import narrow_resnet18
from xai_eval.inputs.outputs import logits
from xai_eval.inputs.preprocessing import imagenet_preprocessing
from xai_eval.inputs.weights import weights_digest

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


class Bomb:
    """Unpickling this touches a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def write(path: Path, *parts: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(textwrap.dedent(part) for part in parts))
    return path


def factories(tmp_path: Path, body: str) -> Path:
    return write(tmp_path / "my_models.py", NET, body)


# --- specs in general ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["resnet50", "torchvison:resnet50", "", ":", "/models/net.py:net"])
def test_an_unknown_kind_of_model(spec: str) -> None:
    with pytest.raises(UsageError, match="unknown model spec .*Expected one of scenes:objects"):
        load_model(spec)


@pytest.mark.parametrize("kind", ["scenes", "torchvision", "places365", "timm", "file"])
def test_a_kind_without_a_name(kind: str) -> None:
    with pytest.raises(UsageError, match="names no model"):
        load_model(f"{kind}:")


def test_a_classifier_passes_through_in_evaluation_mode() -> None:
    mine = Classifier("mine", nn.Conv2d(3, 2, 1), imagenet_preprocessing(), ("a", "b"))
    mine.module.train()
    assert load_model(mine) is mine
    assert not mine.module.training


@pytest.mark.parametrize("device", ["tpu9", "cuda:77", ""])
def test_a_device_that_is_not_there(device: str) -> None:
    mine = Classifier("mine", nn.Conv2d(3, 2, 1), imagenet_preprocessing(), ("a", "b"))
    with pytest.raises(UsageError, match="cannot be used here"):
        load_model(mine, device=device)


def test_the_device_may_be_left_to_the_machine() -> None:
    mine = Classifier("mine", nn.Conv2d(3, 2, 1), imagenet_preprocessing(), ("a", "b"))
    kind = next(load_model(mine, device="auto").module.parameters()).device.type
    assert kind == ("cuda" if torch.cuda.is_available() else "cpu")


# --- file:PATH.py:FACTORY -----------------------------------------------------------------------------------


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
    picture = Image.effect_noise((300, 260), 50).convert("RGB")
    assert torch.equal(loaded.preprocess(picture), ResNet18_Weights.DEFAULT.transforms()(picture))


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


@pytest.mark.parametrize(("names", "message"), [("['a']", "a list with 1 names"), ("'ab'", "a str with 0 names")])
def test_class_names_that_do_not_fit(tmp_path: Path, names: str, message: str) -> None:
    path = factories(tmp_path, f"def named():\n    net = Net(2)\n    net.class_names = {names}\n    return net")
    with pytest.raises(UsageError, match=message):
        load_model(f"file:{path}:named")


def test_a_classifier_from_a_file_gets_the_files_name_and_an_honest_digest(tmp_path: Path) -> None:
    path = factories(
        tmp_path,
        """
        from xai_eval import Classifier
        from xai_eval.inputs.preprocessing import fixed_size_preprocessing

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
    path = factories(
        tmp_path,
        """
        from __future__ import annotations
        """.strip()
        and """
        from dataclasses import dataclass

        @dataclass
        class Config:
            classes: "int" = 4

        def net(): return Net(Config().classes)
        """,
    )
    assert len(load_model(f"file:{path}:net").class_names) == 4


@pytest.mark.parametrize("rest", ["net", "net.py", "net.txt:f", "net.py:", "net.py:1f", ":f"])
def test_a_malformed_file_spec(rest: str) -> None:
    with pytest.raises(UsageError, match="malformed; expected file:PATH.py:FACTORY"):
        load_model(f"file:{rest}")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputUnavailable, match=r"gone\.py does not exist"):
        load_model(f"file:{tmp_path / 'gone.py'}:net")


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
        ("def f(): raise RuntimeError('no weights')", InputUnavailable, r"f\(\) raised RuntimeError: no weights"),
        ("def f(): raise SystemExit(0)", InputUnavailable, "raised SystemExit"),
        ("def f(): return nn.Conv2d(3, 2, 1)", ModelMisbehaves, r"shape \(1, 2, 224, 224\)"),
        ("def f(): return nn.Linear(7, 2)", ModelMisbehaves, "Linear fails on a batch of shape"),
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


# --- torchvision ----------------------------------------------------------------------------------------------


class Tiny(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.head = nn.Linear(width, 2)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.head(self.conv(batch).mean((2, 3)))


def publish(site: Site, tmp_path: Path, content: object, *, prefix: str | None = None) -> str:
    """Register a model with torchvision whose weights are on the local site; returns its name."""
    file = tmp_path / "published.pth"
    torch.save(content, file)
    body = file.read_bytes()
    path = f"/models/tiny-{prefix or hashlib.sha256(body).hexdigest()[:8]}.pth"
    site.files[path] = body
    transforms = partial(type(ResNet18_Weights.DEFAULT.transforms()), crop_size=32, resize_size=40)
    members = {"V1": Weights(site.url + path, transforms, {"categories": ["cat", "dog"]})}
    published = WeightsEnum("TinyWeights", {**members, "DEFAULT": members["V1"]})

    def build(*, weights: Any = None, progress: bool = True) -> Tiny:
        module = Tiny()
        if weights is not None:
            module.load_state_dict(weights.get_state_dict(progress=progress, check_hash=True))
        return module

    build.__annotations__["weights"] = published | None
    name = f"tiny_{uuid.uuid4().hex}"
    register_model(name=name)(build)
    return name


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PyTorch's own cache, empty."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


@pytest.mark.usefixtures("hub")
def test_a_torchvision_model_with_its_default_weights(site: Site, empty_root: Path, tmp_path: Path) -> None:
    original = Tiny()
    name = publish(site, tmp_path, original.state_dict())
    loaded = load_model(f"torchvision:{name}")
    assert loaded.name == f"torchvision:{name}@V1"
    assert load_model(f"torchvision:{name}@V1").name == loaded.name
    assert loaded.weights_digest == weights_digest(original)
    assert loaded.class_names == ("cat", "dog")
    assert loaded.class_ids is None
    assert loaded.input_shape == (3, 32, 32)
    assert not loaded.module.training
    # The second time the file is in the data root.
    assert len(site.asked) == 1
    assert [path.parent for path in empty_root.rglob("*.pth")] == [empty_root / "checkpoints"]


def test_pytorchs_own_cache_is_used(site: Site, empty_root: Path, hub: Path, tmp_path: Path) -> None:
    name = publish(site, tmp_path, Tiny().state_dict())
    hub.mkdir(parents=True)
    ((path, body),) = site.files.items()
    (hub / Path(path).name).write_bytes(body)
    load_model(f"torchvision:{name}")
    assert site.asked == []
    assert not empty_root.exists()


@pytest.mark.usefixtures("hub", "empty_root")
def test_weights_with_another_digest_than_their_name_says(site: Site, tmp_path: Path) -> None:
    name = publish(site, tmp_path, Tiny().state_dict(), prefix="00000000")
    with pytest.raises(InputUnavailable, match="expected 00000000"):
        load_model(f"torchvision:{name}")


@pytest.mark.usefixtures("hub", "empty_root")
def test_weights_of_another_architecture(site: Site, tmp_path: Path) -> None:
    name = publish(site, tmp_path, Tiny(width=5).state_dict())
    with pytest.raises(InputUnavailable, match=r"another architecture than tiny_\w+: size mismatch for conv"):
        load_model(f"torchvision:{name}")


@pytest.mark.usefixtures("hub", "empty_root")
def test_pickled_code_in_weights_is_refused_and_not_run(site: Site, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    name = publish(site, tmp_path, {"conv.weight": Bomb(mark)})
    with pytest.raises(InputUnavailable, match="holds pickled objects, which are never run"):
        load_model(f"torchvision:{name}")
    assert not mark.exists()
    # The library's own reader is back in place.
    assert "get_state_dict" not in vars(get_model_weights(name))


@pytest.mark.usefixtures("hub", "empty_root")
@pytest.mark.parametrize("content", [[1, 2], torch.zeros(3), None])
def test_a_checkpoint_that_holds_no_dictionary(site: Site, tmp_path: Path, content: object) -> None:
    name = publish(site, tmp_path, content)
    with pytest.raises(InputUnavailable, match="expected a dictionary of weights"):
        load_model(f"torchvision:{name}")


@pytest.mark.usefixtures("hub", "empty_root")
@pytest.mark.parametrize("kept", [0, 1, 100, 1000])
def test_a_truncated_checkpoint(site: Site, tmp_path: Path, kept: int) -> None:
    body = tmp_path / "whole.pth"
    torch.save(Tiny().state_dict(), body)
    cut = body.read_bytes()[:kept]
    name = publish(site, tmp_path, {}, prefix=hashlib.sha256(cut).hexdigest()[:8])
    site.files = {path: cut for path in site.files}
    with pytest.raises(InputUnavailable, match="cannot be read as plain weights"):
        load_model(f"torchvision:{name}")


def test_an_unknown_torchvision_model_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown torchvision model 'resnet55'. Did you mean resnet50"):
        load_model("torchvision:resnet55")


def test_unknown_weights_suggest_the_nearest() -> None:
    with pytest.raises(UsageError, match="unknown weights 'IMAGENET1K_V3'. Did you mean IMAGENET1K_V2"):
        load_model("torchvision:resnet50@IMAGENET1K_V3")


@pytest.mark.parametrize("name", ["fasterrcnn_resnet50_fpn", "fcn_resnet50", "r3d_18"])
def test_a_model_that_is_no_image_classifier_is_refused_before_any_download(name: str, site: Site) -> None:
    with pytest.raises(UsageError, match="expected an image classifier"):
        load_model(f"torchvision:{name}")


@pytest.mark.parametrize("name", ["mnasnet0_75", "shufflenet_v2_x2_0", "resnet50", "vgg16", "inception_v3"])
@pytest.mark.usefixtures("hub", "empty_root")
def test_offline_the_weights_and_their_place_are_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    weights = get_model_weights(name).DEFAULT
    with pytest.raises(InputUnavailable) as caught:
        load_model(f"torchvision:{name}")
    for part in (f"torchvision:{name}@{weights.name} is not here", weights.url, f"checkpoints/{Path(weights.url).name}"):
        assert part in str(caught.value)


def test_all_imagenet_weights_of_torchvision_list_the_same_classes() -> None:
    """WordNet ids are given to the classes of weights called IMAGENET1K; that holds only as long as this does."""
    names = ResNet18_Weights.DEFAULT.meta["categories"]
    checked = 0
    for model in list_models():
        for weights in get_model_weights(model):
            if weights.name.startswith("IMAGENET1K") and "categories" in weights.meta:
                assert weights.meta["categories"] == names, f"{model} {weights.name}"
                checked += 1
    assert checked > 80


# --- places365 --------------------------------------------------------------------------------------------------


def provide_places(root: Path, checkpoint: object, monkeypatch: pytest.MonkeyPatch, lines: int = 365) -> None:
    (root / "places365").mkdir(parents=True)
    torch.save(checkpoint, root / "places365" / "resnet18_places365.pth.tar")
    listed = "\n".join(f"/p/place/number_{index} {index}" for index in range(lines))
    (root / "places365" / "categories_places365.txt").write_text(listed)
    entries = data.manifest()["downloads"]
    entries["places365:resnet18/categories"]["sha256"] = hashlib.sha256(listed.encode()).hexdigest()
    monkeypatch.setattr(data, "manifest", lambda: {"downloads": entries, "bundled": {}})


def test_places365(empty_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = resnet18(weights=None, num_classes=365)
    state = {f"module.{name}": value for name, value in original.state_dict().items()}
    provide_places(empty_root, {"epoch": 90, "arch": "resnet18", "state_dict": state}, monkeypatch)
    loaded = load_model("places365:resnet18")
    assert loaded.name == "places365:resnet18"
    assert loaded.weights_digest == weights_digest(original)
    assert loaded.class_names[364] == "place/number_364"
    assert loaded.class_index("place/number_7") == 7
    assert loaded.preprocess.describe()["resize"] == 256


def test_places365_with_pickled_code(empty_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mark = tmp_path / "ran"
    provide_places(empty_root, {"state_dict": {}, "extra": Bomb(mark)}, monkeypatch)
    with pytest.raises(InputUnavailable, match="holds pickled objects, which are never run"):
        load_model("places365:resnet18")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("checkpoint", "message"),
    [
        ({"weights": {}}, "has no dictionary under 'state_dict'"),
        ({"state_dict": [1]}, "has no dictionary under 'state_dict'"),
        ({"state_dict": {"module.conv1.weight": torch.zeros(1)}}, "another architecture than ResNet"),
    ],
)
def test_places365_with_something_else(
    empty_root: Path, monkeypatch: pytest.MonkeyPatch, checkpoint: object, message: str
) -> None:
    provide_places(empty_root, checkpoint, monkeypatch)
    with pytest.raises(InputUnavailable, match=message):
        load_model("places365:resnet18")


def test_places365_with_another_list_of_categories(empty_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = resnet18(weights=None, num_classes=365).state_dict()
    provide_places(empty_root, {"state_dict": state}, monkeypatch, lines=364)
    with pytest.raises(InputUnavailable, match="does not list 365 categories"):
        load_model("places365:resnet18")


def test_other_networks_of_places365_are_unknown() -> None:
    with pytest.raises(UsageError, match="unknown places365 model 'resnet50'. Did you mean resnet18"):
        load_model("places365:resnet50")


# --- bundled ----------------------------------------------------------------------------------------------------


@pytest.fixture
def bundle(edit_manifest: Callable[..., Path]) -> Callable[..., nn.Module]:
    """Bundle a small untrained model as scenes:tiny; `damage` changes the file's bytes before it is digested."""

    def make(*, width: int = 4, damage: Callable[[bytes], bytes] = bytes) -> nn.Module:
        module = narrow_resnet18(3, width=4)
        body = damage(safetensors.torch.save(module.state_dict()))
        entry = {
            "file": "tiny.safetensors",
            "sha256": hashlib.sha256(body).hexdigest(),
            "classes": ["ball", "boat", "car"],
            "width": width,
            "mean": [0.5, 0.4, 0.3],
            "std": [0.25, 0.25, 0.25],
        }
        copy = edit_manifest(bundled={**data.manifest()["bundled"], "scenes_tiny": entry})
        (copy / "tiny.safetensors").write_bytes(body)
        return module

    return make


def test_a_bundled_model(bundle: Callable[..., nn.Module]) -> None:
    original = bundle()
    loaded = load_model("scenes:tiny")
    assert loaded.name == "scenes:tiny"
    assert loaded.class_names == ("ball", "boat", "car")
    assert loaded.weights_digest == weights_digest(original)
    assert loaded.input_shape == (3, 96, 96)
    assert loaded.preprocess.describe()["mean"] == [0.5, 0.4, 0.3]
    assert loaded.default_layer() == "layer4.1"


def test_an_unknown_bundled_model() -> None:
    with pytest.raises(UsageError, match="unknown bundled model 'scenes:object'"):
        load_model("scenes:object")


@pytest.mark.usefixtures("empty_root")
@pytest.mark.parametrize("kept", [0, 7, 100, -1])
def test_truncated_safetensors(bundle: Callable[..., nn.Module], kept: int) -> None:
    bundle(damage=lambda body: body[:kept])
    with pytest.raises(InputUnavailable, match="no whole safetensors file"):
        load_model("scenes:tiny")


def test_bundled_weights_of_another_width(bundle: Callable[..., nn.Module]) -> None:
    bundle(width=8)
    with pytest.raises(InputUnavailable, match="another architecture than ResNet: size mismatch"):
        load_model("scenes:tiny")


def test_a_changed_bundled_model_is_refused(bundle: Callable[..., nn.Module]) -> None:
    bundle()
    path = data.fixtures_folder() / "tiny.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(InputUnavailable, match="has SHA-256"):
        load_model("scenes:tiny")


def test_the_bundled_model_recognises_the_bundled_scenes() -> None:
    loaded = load_model("scenes:objects")
    images = load_images("scenes").images
    batch = torch.stack([loaded.preprocess(Image.fromarray(image.pixels)) for image in images])
    with torch.no_grad():
        seen = logits(loaded, batch).argmax(dim=1).tolist()
    right = [loaded.class_names[index] == image.intended.name for index, image in zip(seen, images, strict=True)]
    assert sum(right) >= 10


# --- timm -------------------------------------------------------------------------------------------------------


def test_without_timm_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UsageError, match=r"pip install 'xai-eval\[timm\]'"):
        load_model("timm:resnet18")


def fake_timm(monkeypatch: pytest.MonkeyPatch, create: Callable[..., nn.Module]) -> None:
    """A stand-in with the few names that are used, where the optional library is not installed."""
    from torchvision import transforms

    def create_transform(*, interpolation: str, is_training: bool, **_: Any) -> transforms.Compose:
        assert not is_training
        mode = transforms.InterpolationMode(interpolation)
        steps = [transforms.Resize(40, mode), transforms.CenterCrop(32), transforms.ToTensor()]
        return transforms.Compose([*steps, transforms.Normalize((0.5,) * 3, (0.25,) * 3)])

    library, library_data = ModuleType("timm"), ModuleType("timm.data")
    library_data.create_transform = create_transform
    library_data.resolve_model_data_config = lambda module: {"interpolation": "bicubic", "mean": (0.5, 0.5, 0.5)}
    library.data = library_data
    library.is_model = lambda name: name == "tiny"
    library.list_models = lambda: ["tiny"]
    library.create_model = create
    monkeypatch.setitem(sys.modules, "timm", library)
    monkeypatch.setitem(sys.modules, "timm.data", library_data)


def test_a_timm_model(monkeypatch: pytest.MonkeyPatch) -> None:
    made = {}

    def create(name: str, *, pretrained: bool) -> Tiny:
        made[name] = pretrained
        return Tiny()

    fake_timm(monkeypatch, create)
    loaded = load_model("timm:tiny")
    assert made == {"tiny": True}
    assert loaded.name == "timm:tiny"
    assert loaded.class_names == ("class 0", "class 1")
    picture = Image.effect_noise((90, 60), 50).convert("RGB")
    view = torch.from_numpy(loaded.preprocess.view(picture).copy()).permute(2, 0, 1) / 255
    assert torch.allclose(loaded.preprocess(picture), (view - 0.5) / 0.25)
    assert json.dumps(loaded.preprocess.describe())


def test_a_mask_follows_timms_geometry(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_timm(monkeypatch, lambda *_, **__: Tiny())
    prepare = timm_models.TimmPreprocessing({"interpolation": "bicubic"})
    pixels = torch.zeros(60, 90, dtype=torch.bool)
    pixels[20:40, 30:70] = True
    drawn = Image.fromarray(pixels.numpy()).convert("RGB")
    seen, moved = prepare.view(drawn)[:, :, 0] > 127, prepare.mask(pixels.numpy())
    assert (seen & moved).sum() / (seen | moved).sum() > 0.95


def test_timm_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(*_: Any, **__: Any) -> nn.Module:
        raise ConnectionError("no route")

    fake_timm(monkeypatch, create)
    with pytest.raises(InputUnavailable, match=r"timm:tiny cannot be loaded .*\(ConnectionError: no route\)"):
        load_model("timm:tiny")


def test_an_unknown_timm_model(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_timm(monkeypatch, lambda *_, **__: Tiny())
    with pytest.raises(UsageError, match="unknown timm model 'tinny'. Did you mean tiny"):
        load_model("timm:tinny")


# --- real models ------------------------------------------------------------------------------------------------


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
