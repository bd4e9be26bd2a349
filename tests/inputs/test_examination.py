"""Every model is examined before it is explained: refused for the true reason, or right and left as it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from test_model_state import assert_same, snapshot
from torch import Tensor, nn
from torch.nn import functional as F

from xai_eval.errors import ModelMisbehaves, UsageError
from xai_eval.explainers.cam.cam_maps import explain_by_cam
from xai_eval.gate.unsteady import unsteady
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.examination import examine
from xai_eval.inputs.models.file_models import wrap_module
from xai_eval.inputs.models.layers import noise_image
from xai_eval.inputs.models.layout import Layout
from xai_eval.inputs.models.models import load_model
from xai_eval.inputs.models.preprocessing import fixed_size_preprocessing
from xai_eval.inputs.models.reading import OutputKind
from xai_eval.result.fields import Document
from xai_eval.result.result import Case, Result

PREPROCESS = fixed_size_preprocessing(32, (0.5,) * 3, (0.5,) * 3)
LAYER = "layer"


class Net(nn.Module):
    """A stem, the explained layer, and a head for four classes."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.stem = nn.Conv2d(3, 6, 4, 4)
        self.layer = nn.Conv2d(6, 6, 3, padding=1)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Any:
        return self.classify(self.features(x))

    def features(self, x: Tensor) -> Tensor:
        return self.layer(self.stem(x).relu())

    def classify(self, x: Tensor) -> Any:
        return self.head(x.tanh().mean((2, 3)))


def image(seed: int = 0) -> Tensor:
    return torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(50 + seed)) + seed


def classifier(net: nn.Module, classes: int = 4, output: OutputKind | None = None) -> Classifier:
    return Classifier("mine", net, PREPROCESS, tuple(f"class {index}" for index in range(classes)), output=output)


class DropoutOn(Net):
    def classify(self, x: Tensor) -> Tensor:
        return self.head(F.dropout(x.mean((2, 3)), 0.5, training=True))


class Noisy(Net):
    def features(self, x: Tensor) -> Tensor:
        return super().features(x + 0.1 * torch.randn_like(x))


class StaysInTraining(Net):
    """Its dropout cannot be switched off by `eval()`, as in Monte Carlo dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.Dropout(0.5)
        self.drop.train = lambda mode=True: self.drop  # type: ignore[method-assign]

    def classify(self, x: Tensor) -> Tensor:
        return self.head(self.drop(x.tanh().mean((2, 3))))


class Counting(Net):
    """Answers differently the more often it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))

    def classify(self, x: Tensor) -> Tensor:
        self.calls += 1
        return super().classify(x) * self.calls


RANDOM: list[Callable[[], nn.Module]] = [DropoutOn, Noisy, Counting]


@pytest.mark.parametrize("build", RANDOM)
def test_a_model_that_answers_differently_is_refused(build: Callable[[], nn.Module]) -> None:
    mine = classifier(build())
    with pytest.raises(ModelMisbehaves, match=r"mine answers the same image differently from pass to pass, by up to"):
        examine(mine, LAYER, image())


class StatisticsOfTheBatch(Net):
    """A batch norm that takes the statistics of the batch in evaluation mode, too."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(6, track_running_stats=False)

    def features(self, x: Tensor) -> Tensor:
        return self.norm(super().features(x))


class KeptInTraining(StatisticsOfTheBatch):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(6)
        self.norm.train = lambda mode=True: self.norm  # type: ignore[method-assign]


class MeanOfTheBatch(Net):
    def classify(self, x: Tensor) -> Tensor:
        return super().classify(x + 3 * (x - x.mean(0, keepdim=True)))


class SharesOfTheBatch(Net):
    def classify(self, x: Tensor) -> Tensor:
        return super().classify(x).softmax(0)


@pytest.mark.parametrize("build", [StatisticsOfTheBatch, MeanOfTheBatch, SharesOfTheBatch])
def test_a_model_that_answers_the_batch_is_refused(build: Callable[[], nn.Module]) -> None:
    mine = classifier(build())
    with pytest.raises(ModelMisbehaves, match="mine answers an image differently if another one is in the batch"):
        examine(mine, LAYER, image())


@pytest.mark.parametrize("build", [StaysInTraining, KeptInTraining])
def test_modules_that_stay_in_training_mode_are_said_to(build: Callable[[], nn.Module]) -> None:
    """The stage of training flags watches them, and names them as the cause of a drift."""
    found = examine(classifier(build()), LAYER, image())
    assert "no, because modules are in training mode" in found.findings.values()
    told = unsteady(Result(Case("cams", "mine", "photos/a.png"), {"model": Document(dict(found.findings))}))
    assert ("because modules are in training mode" in told) == found.findings["same answer twice"].startswith("no")
    assert any("1 of its modules stay in training mode" in each for each in found.assumptions)


def test_an_image_of_one_colour_is_examined_like_any_other() -> None:
    """Its mirror image is itself, and would say nothing about the batch."""
    with pytest.raises(ModelMisbehaves, match="if another one is in the batch"):
        examine(classifier(MeanOfTheBatch()), LAYER, torch.zeros(1, 3, 32, 32))
    assert examine(classifier(Net()), LAYER, torch.zeros(1, 3, 32, 32)) == examine(classifier(Net()), LAYER, image())


class WritesIntoItsInput(Net):
    def features(self, x: Tensor) -> Tensor:
        return super().features(x.sub_(0.5).mul_(2))


class CountsItsPasses(Net):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros((), dtype=torch.int64))

    def features(self, x: Tensor) -> Tensor:
        self.calls += 1
        return super().features(x)


class SingleImages(Net):
    def features(self, x: Tensor) -> Tensor:
        if len(x) != 1:
            raise ValueError("one image at a time")
        return super().features(x)


class NoGrad(Net):
    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


class Inference(Net):
    @torch.inference_mode()
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)


class Detached(Net):
    def classify(self, x: Tensor) -> Tensor:
        return super().classify(x.detach())


class Autocast(Net):
    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return super().forward(x)


class Lazy(Net):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.LazyLinear(4)


class Mapping(Net):
    def classify(self, x: Tensor) -> dict[str, Tensor]:
        return {"logits": super().classify(x)}


def lazy() -> nn.Module:
    return wrap_module(Lazy(), "mine", PREPROCESS).module


def quantised() -> nn.Module:
    return torch.ao.quantization.quantize_dynamic(Net().eval(), {nn.Linear}, dtype=torch.qint8)


def compiled() -> nn.Module:
    return torch.compile(Net().eval(), backend="eager")


def compiled_in_part() -> nn.Module:
    net = Net().eval()
    net.layer = torch.compile(net.layer, backend="eager")
    return net


def compiled_in_place() -> nn.Module:
    net = Net().eval()
    net.compile(backend="eager")
    return net


def compiled_and_used() -> nn.Module:
    net = compiled()
    net(torch.zeros(1, 3, 32, 32))
    return net


TAKEN: dict[str, Callable[[], nn.Module]] = {
    "plain": Net,
    "in training mode": lambda: Net().train(),
    "writes into its input": WritesIntoItsInput,
    "counts its passes": CountsItsPasses,
    "single images": SingleImages,
    "no_grad": NoGrad,
    "inference_mode": Inference,
    "detached": Detached,
    "quantised": quantised,
    "half": lambda: Net().half(),
    "bfloat16": lambda: Net().bfloat16(),
    "double": lambda: Net().double(),
    "autocast": Autocast,
    "lazy": lazy,
    "mapping": Mapping,
    "compiled": compiled,
    "compiled in part": compiled_in_part,
    "compiled in place": compiled_in_place,
    "compiled and used": compiled_and_used,
}
WITHOUT_GRADIENT = {"no_grad", "inference_mode", "detached", "quantised"}


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_found_is_the_same_for_every_image(name: str) -> None:
    mine = classifier(TAKEN[name]())
    one, other = examine(mine, LAYER, image()), examine(mine, LAYER, image(7))
    assert one == other
    expected = {
        "input": "3 x 32 x 32",
        "preprocessing": "given with the model",
        "classes": "4; given with the model",
        "same answer twice": "yes",
        "same answer alone and in a batch": "takes single images only" if name == "single images" else "yes",
        "writes into its input": "yes, so it is given a copy" if name == "writes into its input" else "no",
        "changed by a pass": "calls" if name == "counts its passes" else "nothing",
        "layer layer": "maps (channels, h, w) of 8 x 8 places; "
        + ("no gradient reaches its places" if name in WITHOUT_GRADIENT else "gradients reach its places"),
    }
    assert {key: value for key, value in one.findings.items() if key != "output"} == expected
    assert one.assumptions == ()


@pytest.mark.parametrize("name", TAKEN)
def test_a_model_is_as_before(name: str) -> None:
    mine = classifier(TAKEN[name]())
    batch = image()
    before, kept = whole(mine.module), batch.clone()
    examine(mine, mine.default_layer(), batch)
    assert_same(before, whole(mine.module))
    assert torch.equal(batch, kept)


@pytest.mark.parametrize("build", [DropoutOn, MeanOfTheBatch, Counting])
def test_a_refused_model_is_as_before(build: Callable[[], nn.Module]) -> None:
    mine = classifier(build())
    before = whole(mine.module)
    with pytest.raises(ModelMisbehaves, match="mine answers"):
        examine(mine, LAYER, image())
    assert_same(before, whole(mine.module))


def whole(net: nn.Module) -> dict[str, Any]:
    """The snapshot of a model, where packed weights of quantised layers are left out."""
    packed = any("quantized" in type(part).__module__ for part in net.modules())
    return snapshot(nn.ModuleList([net.stem, net.layer])) if packed else snapshot(net)


@pytest.mark.parametrize("name", sorted(set(TAKEN) - {"quantised"}))
def test_the_scores_and_the_map_are_those_of_the_plain_network(name: str) -> None:
    """Whatever wraps it, the network is the same: in double precision as a reference."""
    mine = classifier(TAKEN[name]())
    reference = Net().double().eval()
    reference.load_state_dict({key: value for key, value in mine.module.state_dict().items() if key != "calls"})
    batch = image()
    given = (batch.double() - 0.5) * 2 if name == "writes into its input" else batch.double()
    coarse = {"half": 2e-3, "bfloat16": 2e-2, "autocast": 2e-2}.get(name, 1e-5)
    with torch.no_grad():
        np.testing.assert_allclose(mine.scoring(batch), reference(given), rtol=0, atol=coarse)
    layout = examine(mine, LAYER, batch).layout
    method = "eigencam" if name in WITHOUT_GRADIENT else "hirescam"
    maps = explain_by_cam(mine.scoring, mine.layer(LAYER), batch, [1], method, layout=layout)
    exact = explain_by_cam(reference, reference.layer, given, [1], method).raw
    np.testing.assert_allclose(maps.raw, exact, rtol=0, atol=3 * coarse * np.abs(exact).max())


@pytest.mark.parametrize("name", sorted(WITHOUT_GRADIENT))
def test_a_map_of_gradients_is_refused_where_there_are_none(name: str) -> None:
    mine = classifier(TAKEN[name]())
    layout = examine(mine, LAYER, image()).layout
    with pytest.raises(ModelMisbehaves, match="no gradient reaches the explained layer"):
        explain_by_cam(mine.scoring, mine.layer(LAYER), image(), [1], "gradcam", layout=layout)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: torch.jit.script(Net().eval()), "mine: the model is TorchScript"),
        (lambda: torch.jit.trace(Net().eval(), torch.zeros(1, 3, 32, 32)), "mine: the model is TorchScript"),
        (lambda: _with_scripted_part(), "mine: its part 'layer' is TorchScript"),
    ],
)
def test_torchscript_is_refused_for_what_it_is(build: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(UsageError, match=rf"{message} .*whose layers cannot be watched"):
        classifier(build())


def _with_scripted_part() -> nn.Module:
    net = Net().eval()
    net.layer = torch.jit.script(net.layer)
    return net


class CallsTheLayerTwice(Net):
    def features(self, x: Tensor) -> Tensor:
        return self.layer(super().features(x))


class SkipsTheLayer(Net):
    def features(self, x: Tensor) -> Tensor:
        return self.stem(x)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (CallsTheLayerTwice, "layer 'layer' of mine is called 2 times in one pass"),
        (SkipsTheLayer, "layer 'layer' of mine is not reached by a forward pass"),
    ],
)
def test_a_layer_without_a_single_output_is_refused(build: Callable[[], nn.Module], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        examine(classifier(build()), LAYER, image())


def test_a_layer_after_the_places_is_refused() -> None:
    with pytest.raises(UsageError, match=r"'head' of mine returns \(1, 4\), which does not lie over the image"):
        examine(classifier(Net()), "head", image())


def test_without_a_layer_nothing_is_said_of_one() -> None:
    found = examine(classifier(Net()), None, image())
    assert found.layout is None
    assert not any(key.startswith("layer") for key in found.findings)


def test_the_layout_is_the_layers() -> None:
    assert examine(classifier(Net()), LAYER, image()).layout == Layout((8, 8))
    assert examine(classifier(Net().half()), LAYER, image()).layout == Layout((8, 8), halved=True)


class OneNumber(Net):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 1)


def test_what_is_assumed_is_told_with_its_option() -> None:
    (assumption,) = examine(classifier(OneNumber(), classes=2), LAYER, image()).assumptions
    assert assumption.startswith("mine: its output is taken for one number for two classes")
    assert "assumed, because two classes are named" in assumption
    given = classifier(OneNumber(), classes=2, output=OutputKind.BINARY)
    assert examine(given, LAYER, image()).assumptions == ()


def test_a_failing_model_is_named() -> None:
    class Failing(Net):
        def classify(self, x: Tensor) -> Tensor:
            raise RuntimeError("no weights")

    with pytest.raises(ModelMisbehaves, match=r"mine fails on a batch of shape \(1, 3, 32, 32\): RuntimeError: no wei"):
        examine(classifier(Failing()), LAYER, image())


def test_lazy_layers_that_never_saw_an_image_have_no_weights_yet() -> None:
    with pytest.raises(ModelMisbehaves, match=r"the weights 'head.bias' of Lazy have no bytes"):
        classifier(Lazy())


def test_a_model_without_a_head_is_refused() -> None:
    net = Net()
    net.num_classes = 0
    with pytest.raises(ModelMisbehaves, match=r"mine has no head \(num_classes is 0\)"):
        examine(classifier(net), LAYER, image())


SAME_EVERYWHERE, READ = "the gradient is the same at every place of layer", "is read by an attention"
LAST_NORMS = {"scenes:vit_pooled": "encoder.ln", "scenes:swin": "norm"}
FIRST_NORMS = {
    "scenes:vit": "encoder.layers.encoder_layer_2.ln_1",
    "scenes:vit_pooled": "encoder.layers.encoder_layer_2.ln_1",
    "scenes:swin": "features.3.1.norm1",
}


@pytest.mark.parametrize(
    ("name", "layer", "sentence"),
    [
        ("scenes:objects", "layer4.1", ""),
        *((name, layer, READ) for name, layer in FIRST_NORMS.items()),
        *((name, layer, SAME_EVERYWHERE) for name, layer in LAST_NORMS.items()),
    ],
)
def test_it_is_said_which_methods_point_at_the_object_in_transformers(name: str, layer: str, sentence: str) -> None:
    model = load_model(name)
    found = examine(model, layer, noise_image(model.module, model.input_shape), ("gradcam",))
    assert [each for each in (SAME_EVERYWHERE, READ) if each in " ".join(found.assumptions)] == [sentence][
        : bool(sentence)
    ]


def test_the_default_layers_of_the_bundled_transformers_are_those_that_were_measured_best() -> None:
    assert {name: load_model(name).default_layer() for name in FIRST_NORMS} == FIRST_NORMS


class Rounded(Net):
    """Its scores differ by less than half precision tells, so that they are the same for every image."""

    def forward(self, x: Tensor) -> Any:
        return (1e-4 * super().forward(x) + torch.arange(1.0, 5.0)).bfloat16().float()


def test_scores_that_are_the_same_by_rounding_alone_are_not_said_to_be_constant() -> None:
    assert examine(classifier(Rounded()), None, image()).remarks == ()


class OtherWithGradients(Net):
    def classify(self, x: Tensor) -> Tensor:
        return super().classify(x) * (1 if torch.is_grad_enabled() else -1)


class OtherForAnInputWithGradients(Net):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * (1 if x.requires_grad else -1)


@pytest.mark.parametrize("layer", [None, LAYER])
@pytest.mark.parametrize("build", [OtherWithGradients, OtherForAnInputWithGradients])
def test_an_answer_that_depends_on_gradients_is_refused(build: Callable[[], nn.Module], layer: str | None) -> None:
    with pytest.raises(ModelMisbehaves, match="answers differently while gradients are computed"):
        examine(classifier(build()), layer, image())
