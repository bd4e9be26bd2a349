from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
import torch
from PIL import Image
from torch import nn
from torchvision import models

from xai_eval import load_images
from xai_eval.errors import ModelMisbehaves, UsageError
from xai_eval.inputs.images.imagenet_classes import imagenet_classes
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.default_layer import default_layer
from xai_eval.inputs.models.model_weights import weights_digest
from xai_eval.inputs.models.outputs import logits
from xai_eval.inputs.models.preprocessing import fixed_size_preprocessing
from xai_eval.inputs.models.reading import OutputKind
from xai_eval.tasks.image.forward import input_batch

PREPROCESS = fixed_size_preprocessing(32, (0.5,) * 3, (0.5,) * 3)


class Net(nn.Module):
    """A convolution, an in-place activation, and a head."""

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(inplace=True))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.head(self.block(batch))


class Answer(nn.Module):
    """A model that returns what it was created with, and something else for one or two images, if that is given."""

    def __init__(self, output: object, first: torch.Tensor | None = None) -> None:
        super().__init__()
        self.output, self.first = output, first

    def forward(self, batch: torch.Tensor) -> object:
        return self.output if self.first is None or len(batch) > 2 else self.first.repeat(len(batch), 1)


def classifier(module: nn.Module | None = None, names: tuple[str, ...] = ("cat", "dog", "Big_Dog")) -> Classifier:
    return Classifier("mine", module or Net(), PREPROCESS, names)


class TakesSingle(Net):
    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        assert batch.dtype is torch.float32
        return super().forward(batch)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float16, torch.float64])
def test_images_get_the_type_of_the_numbers_of_the_model(dtype: torch.dtype) -> None:
    def prepare(image: Image.Image) -> torch.Tensor:
        return (PREPROCESS(image) * 9).to(dtype)

    mine = Classifier("mine", TakesSingle(), prepare, ("cat", "dog", "bird"))
    (pixels,) = (each.pixels for each in load_images("scenes:1").images)
    expected = mine.module(prepare(Image.fromarray(pixels)).float()[None])
    batch = input_batch(mine, pixels)
    assert torch.equal(logits(mine, batch), expected)
    assert batch.dtype is (torch.float64 if dtype is torch.float64 else torch.float32)  # as gradients at it are


def test_a_kind_of_output_may_be_given_as_text() -> None:
    named = {"class_names": ("yes",), "output": "binary"}
    mine = Classifier("mine", Net(1), PREPROCESS, **named)  # type: ignore[arg-type]
    assert mine.reading.kind is OutputKind.BINARY and mine.class_names == ("not yes", "yes")
    with pytest.raises(UsageError, match=r"unknown kind of output 'binry'\. Did you mean binary"):
        Classifier("mine", Net(1), PREPROCESS, ("yes",), output="binry")  # type: ignore[arg-type]


def test_a_grid_is_two_numbers_or_a_function() -> None:
    assert Classifier("mine", Net(), PREPROCESS, ("a", "b", "c"), reshape=[3, 4]).reshape == (3, 4)  # type: ignore[arg-type]
    for wrong in ("3x4", (3,), (3, 0), 7):
        with pytest.raises(UsageError, match=r"mine: reshape is .*; expected the number of rows and columns"):
            Classifier("mine", Net(), PREPROCESS, ("a", "b", "c"), reshape=wrong)  # type: ignore[arg-type]


def test_what_is_no_module_is_refused() -> None:
    with pytest.raises(UsageError, match=r"mine: the model is a function; expected a torch\.nn\.Module"):
        Classifier("mine", torch.nn.functional.relu, PREPROCESS, ("a",))  # type: ignore[arg-type]


def imagenet() -> Classifier:
    table = imagenet_classes()
    return Classifier(
        "imagenet",
        Net(1000),
        PREPROCESS,
        tuple(entry.name for entry in table),
        tuple(entry.wnid for entry in table),
    )


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("resnet18", "layer4.1"),
        ("resnet50", "layer4.2"),
        ("mobilenet_v2", "features.18"),
        ("vgg11", "features"),
        ("densenet121", "features"),
        ("efficientnet_b0", "features.8"),
    ],
)
def test_the_default_layer_is_the_last_convolutional_block(name: str, layer: str) -> None:
    module = models.get_model(name, weights=None).eval()
    assert default_layer(module, (3, 64, 64)).name == layer


def test_a_convolution_changed_in_place_is_not_named_but_its_block() -> None:
    assert default_layer(Net(), (3, 32, 32)).name == "block"
    kept = Net()
    kept.block[1] = nn.Identity()
    assert default_layer(kept, (3, 32, 32)).name == "block.0"


def test_a_map_of_one_pixel_does_not_count() -> None:
    module = Net()
    module.head.insert(1, nn.Conv2d(4, 4, 1))
    assert default_layer(module, (3, 32, 32)).name == "block"


def test_the_order_of_calls_counts_not_the_order_of_definition() -> None:
    class Swapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.second = nn.Conv2d(4, 5, 3)
            self.first = nn.Conv2d(3, 4, 3)

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return self.second(self.first(batch)).mean((2, 3))

    assert default_layer(Swapped(), (3, 32, 32)).name == "second"


@pytest.mark.parametrize("training", [True, False])
def test_looking_for_the_layer_leaves_the_model_as_it_was(training: bool) -> None:
    module = models.resnet18(weights=None).train(training)
    module.layer1.train(not training)
    flags = [part.training for part in module.modules()]
    digest = weights_digest(module)
    default_layer(module, (3, 64, 64))
    assert [part.training for part in module.modules()] == flags
    assert weights_digest(module) == digest
    assert not any(part._forward_hooks for part in module.modules())


def test_a_failing_model_is_left_as_it_was_too() -> None:
    module = Net().train()
    module.head.append(nn.Linear(7, 7))
    with pytest.raises(ModelMisbehaves, match="Net fails on a batch of shape"):
        default_layer(module, (3, 32, 32))
    assert all(part.training for part in module.modules())
    assert not any(part._forward_hooks for part in module.modules())


def test_the_layer_is_found_in_inference_mode_too() -> None:
    module = Net()
    with torch.inference_mode():
        assert default_layer(module, (3, 32, 32)).name == "block"


def test_without_a_spatial_map_the_user_must_name_a_layer() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 3))
    with pytest.raises(UsageError, match="--layer"):
        classifier(module).default_layer()


def test_a_classifier_knows_its_layers_and_shape() -> None:
    mine = classifier()
    assert mine.input_shape == (3, 32, 32)
    assert mine.default_layer() == "block"
    assert mine.default_layer((3, 48, 64)) == "block"
    assert mine.layer_names == ("block", "block.0", "block.1", "head", "head.0", "head.1", "head.2")
    assert mine.layer("block.0") is mine.module.block[0]


def test_an_unknown_layer_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown layer 'blok'. Did you mean block"):
        classifier().layer("blok")


def test_a_classifier_is_in_evaluation_mode() -> None:
    assert not classifier(Net().train()).module.training


@pytest.mark.parametrize(("names", "ids"), [((), None), (("a", "b"), ("n00000001",))])
def test_names_and_ids_must_fit(names: tuple[str, ...], ids: tuple[str, ...] | None) -> None:
    with pytest.raises(UsageError, match="class names and"):
        Classifier("mine", Net(), PREPROCESS, names, ids)


@pytest.mark.parametrize(
    ("wanted", "index"),
    [("0", 0), ("cat", 0), ("CAT", 0), ("dog", 1), ("Big_Dog", 2), ("big dog", 2), (" dog", 1)],
)
def test_a_class_by_index_or_name(wanted: str, index: int) -> None:
    assert classifier().class_index(wanted) == index


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        ("130", 130),
        ("flamingo", 130),
        ("n02007558", 130),
        ("crane", 517),
        ("cardigan", 474),
        ("Cardigan", 264),
    ],
)
def test_a_class_of_imagenet(wanted: str, index: int) -> None:
    assert imagenet().class_index(wanted) == index


@pytest.mark.parametrize(
    ("make", "wanted", "message"),
    [
        *(
            (classifier, wanted, r"unknown class .* Expected an index from 0 to 2")
            for wanted in ("3", "-1", "dgo", "", "1.0", "²")
        ),
        (imagenet, "flamigo", "Did you mean flamingo"),
        (imagenet, "CARDIGAN", r"in imagenet: 264 \(Cardigan, n02113186\), 474 \(cardigan, n02963159\)"),
        (lambda: classifier(names=("bow", "arrow", "bow")), "bow", r"ambiguous in mine: 0 \(bow\), 2 \(bow\)"),
        (lambda: classifier(names=("0", "2", "1")), "2", "ambiguous"),
    ],
)
def test_a_class_that_is_none_or_several_is_refused(make: Callable[[], Classifier], wanted: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make().class_index(wanted)


def test_a_number_that_is_also_a_name_is_taken_where_both_agree() -> None:
    assert classifier(names=("0", "2", "1")).class_index("0") == 0


def test_the_digest_is_over_name_type_shape_and_bytes_in_sorted_order() -> None:
    module = nn.Linear(2, 1)
    by_hand = hashlib.sha256()
    for name, shape in (("bias", "(1,)"), ("weight", "(1, 2)")):
        by_hand.update(f"{name} torch.float32 {shape}\n".encode())
        by_hand.update(getattr(module, name).detach().numpy().tobytes())
    assert weights_digest(module) == by_hand.hexdigest()
    assert Classifier("mine", module, PREPROCESS, ("a",)).weights_digest == by_hand.hexdigest()


def test_the_digest_follows_the_weights() -> None:
    torch.manual_seed(0)
    module, other = models.resnet18(weights=None), models.resnet18(weights=None)
    assert weights_digest(module) != weights_digest(other)
    other.load_state_dict(module.state_dict())
    assert weights_digest(module) == weights_digest(other)
    other.bn1.running_mean[0] += 1e-6
    assert weights_digest(module) != weights_digest(other)
    assert weights_digest(module) != weights_digest(module.bfloat16())


class Stateful(nn.Linear):
    extra: object = None

    def get_extra_state(self) -> object:
        return self.extra


def test_what_a_model_adds_to_its_state_is_part_of_the_digest() -> None:
    module, digests = Stateful(2, 1), set()
    for module.extra in ({"calls": 3}, {"calls": 4}, [torch.zeros(2)], [torch.ones(2)], None):
        digests.add(weights_digest(module))
    assert len(digests) == 5


def test_a_state_that_is_no_value_has_no_digest() -> None:
    module = Stateful(2, 1)
    module.extra = {"model": object()}
    with pytest.raises(ModelMisbehaves, match=r"holds a object under \"_extra_state\['model'\]\""):
        weights_digest(module)


def test_weights_that_a_model_leaves_out_of_its_state_are_part_of_the_digest() -> None:
    class Adapter(nn.Linear):
        def state_dict(self, *_args, **_options):
            return {}

    one, other = Adapter(2, 1), Adapter(2, 1)
    assert weights_digest(one) != weights_digest(other)


@pytest.mark.parametrize("device", ["meta", "lazy"])
def test_weights_without_values_have_no_digest(device: str) -> None:
    module = nn.LazyLinear(3) if device == "lazy" else nn.Linear(3, 3, device=device)
    with pytest.raises(ModelMisbehaves, match="weight"):
        weights_digest(module)


def test_logits_are_handed_on_with_their_gradient() -> None:
    mine = classifier()
    batch = torch.rand(2, 3, 32, 32, requires_grad=True)
    obtained = logits(mine, batch)
    assert torch.equal(obtained, mine.module(batch))
    obtained.sum().backward()
    assert batch.grad is not None
    assert torch.equal(logits(mine.module, batch), obtained)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (None, "returned a NoneType"),
        (torch.zeros(3, 4), r"shape \(3, 4\); expected a tensor \(3, 3\)"),
        (torch.zeros(1, 3), r"shape \(1, 3\)"),
        (torch.zeros(3), r"shape \(3,\)"),
        (torch.zeros(3, 3, 2, 1), r"shape \(3, 3, 2, 1\)"),
        (torch.tensor([[0.0, 1, 2], [0, float("nan"), 2], [0, 1, 2]]), r"NaN or infinity for image 1 .*1 of 3"),
        (
            torch.tensor([[0.0, 1, -torch.inf]] * 3),
            r"3 of 3.* If it masks classes by -inf, let it mask them by",
        ),
        (torch.full((3, 3), float("inf")), r"image 0 .*3 of 3"),
        (torch.zeros(3, 3, dtype=torch.int64), r"a tensor of torch.int64; expected"),
        (torch.zeros(3, 3, dtype=torch.complex64), r"a tensor of torch.complex64; expected"),
    ],
)
def test_a_model_that_gives_something_else_misbehaves(output: object, message: str) -> None:
    with pytest.raises(ModelMisbehaves, match=message):
        logits(classifier(Answer(output, first=torch.zeros(1, 3))), torch.zeros(3, 3, 32, 32))


def test_a_bare_module_may_have_any_number_of_classes() -> None:
    assert logits(Answer(torch.zeros(2, 5)), torch.zeros(2, 3, 8, 8)).shape == (2, 5)
    with pytest.raises(ModelMisbehaves, match=r"expected a tensor \(2, C\)"):
        logits(Answer(torch.zeros(2, 0)), torch.zeros(2, 3, 8, 8))
