"""Small networks with one oddity each, as users have brought them, loaded by the spec `file:odd_nets.py:NAME`."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import Any

import numpy as np
import torch
import torch.nn.utils.prune
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


class Plain(nn.Module):
    """The network that all oddities are added to: 28 x 28 places at 224 px."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 8, 8), nn.ReLU())
        self.body = nn.Sequential(nn.Conv2d(8, 10, 3, padding=1), nn.ReLU())
        # Without a bias, the preferred class always has places that speak for it.
        self.head = nn.Linear(10, classes, bias=False)

    def forward(self, images: Tensor) -> Any:
        return self.head(self.body(self.stem(images)).mean((2, 3)))


def plain() -> nn.Module:
    return Plain()


def _ready(module: nn.Module) -> nn.Module:
    """Run once, so that what is compiled at the first call is compiled."""
    module(torch.zeros(1, 3, 224, 224))
    return module


# Compiled.


def compiled() -> nn.Module:
    return torch.compile(Plain().eval(), backend="eager")


def compiled_and_run() -> nn.Module:
    return _ready(torch.compile(Plain().eval(), backend="eager"))


def compiled_by_inductor() -> nn.Module:
    return torch.compile(Plain().eval())


def compiled_in_place() -> nn.Module:
    module = Plain().eval()
    module.compile(backend="eager")
    return _ready(module)


def compiled_part() -> nn.Module:
    module = Plain().eval()
    module.body = torch.compile(module.body, backend="eager")
    return _ready(module)


def compiled_twice() -> nn.Module:
    module = Plain().eval()
    module.body = torch.compile(module.body, backend="eager")
    return torch.compile(module, backend="eager")


def compiled_part_in_place() -> nn.Module:
    module = Plain().eval()
    module.body.compile(backend="eager")
    return _ready(module)


class CompiledForward(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.forward = torch.compile(self.forward, backend="eager")


def compiled_forward() -> nn.Module:
    return _ready(CompiledForward().eval())


def scripted() -> nn.Module:
    return torch.jit.script(Plain().eval())


def traced() -> nn.Module:
    return torch.jit.trace(Plain().eval(), torch.zeros(1, 3, 224, 224))


def scripted_part() -> nn.Module:
    module = Plain().eval()
    module.body = torch.jit.script(module.body)
    return module


def exported() -> nn.Module:
    return torch.export.export(Plain().eval(), (torch.zeros(1, 3, 224, 224),)).module()


def fx_traced() -> nn.Module:
    return torch.fx.symbolic_trace(Plain().eval())


# Answers that cannot be trusted.


class Random(Plain):
    """Drops channels in evaluation mode, too, as Monte-Carlo dropout does."""

    def forward(self, images: Tensor) -> Tensor:
        kept = nn.functional.dropout2d(self.body(self.stem(images)), 0.4, training=True)
        return self.head(kept.mean((2, 3)))


class Seeded(Random):
    """Draws the same random numbers in every pass."""

    def forward(self, images: Tensor) -> Tensor:
        with torch.random.fork_rng([]):
            torch.manual_seed(5)
            return super().forward(images)


class RandomNumpy(Plain):
    """Adds noise that is drawn by numpy."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) + float(np.random.default_rng().normal())


class BatchDependent(Plain):
    """Subtracts the mean over the batch and over all places, which is the same for an image and its mirror image."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images - images.mean((0, 2, 3), keepdim=True))


class BatchStatistics(Plain):
    """A batch norm without statistics of its own normalises over the batch in evaluation mode, too."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(10, track_running_stats=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.norm(self.body(self.stem(images))).amax((2, 3)))


class Counting(Plain):
    """Answers differently with every pass, because it counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        self.passes += 1
        return super().forward(images) * self.passes


class Remembering(Plain):
    """Changes a buffer in every pass that takes no part in the answer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("passes", torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        self.passes += 1
        return super().forward(images)


class OneImageOnly(Plain):
    def forward(self, images: Tensor) -> Tensor:
        assert len(images) == 1, "one image at a time"
        return super().forward(images)


def random() -> nn.Module:
    return Random()


def random_but_seeded() -> nn.Module:
    return Seeded()


def random_by_numpy() -> nn.Module:
    return RandomNumpy()


def batch_dependent() -> nn.Module:
    return BatchDependent()


def batch_statistics() -> nn.Module:
    return BatchStatistics()


def counting() -> nn.Module:
    return Counting()


def remembering() -> nn.Module:
    return Remembering()


def one_image_only() -> nn.Module:
    return OneImageOnly()


# Without gradients.


class WithoutGrad(Plain):
    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images)


class InInferenceMode(Plain):
    @torch.inference_mode()
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images)


class Detached(Plain):
    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(self.stem(images)).detach().mean((2, 3)))


class ByNumpy(Plain):
    """Computes its last step outside of PyTorch."""

    def forward(self, images: Tensor) -> Tensor:
        return torch.from_numpy(self.body(self.stem(images)).detach().numpy().mean((2, 3))[:, :4])


def without_grad() -> nn.Module:
    return WithoutGrad()


def in_inference_mode() -> nn.Module:
    return InInferenceMode()


def detached() -> nn.Module:
    return Detached()


def by_numpy() -> nn.Module:
    return ByNumpy()


def frozen() -> nn.Module:
    return Plain().requires_grad_(False)


# Numbers of other precision.


class Autocast(Plain):
    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return super().forward(images)


def half() -> nn.Module:
    return Plain().half()


def bfloat16() -> nn.Module:
    return Plain().bfloat16()


def double() -> nn.Module:
    return Plain().double()


def autocast() -> nn.Module:
    return Autocast()


def quantised_head() -> nn.Module:
    return torch.ao.quantization.quantize_dynamic(Plain().eval(), {nn.Linear}, dtype=torch.qint8)


class Stubbed(Plain):
    """Says where quantised numbers begin and end."""

    def __init__(self) -> None:
        super().__init__()
        self.begin, self.end = torch.ao.quantization.QuantStub(), torch.ao.quantization.DeQuantStub()

    def forward(self, images: Tensor) -> Tensor:
        return self.end(super().forward(self.begin(images)))


def quantised_throughout() -> nn.Module:
    module = Stubbed().eval()
    module.qconfig = torch.ao.quantization.get_default_qconfig("x86")
    torch.ao.quantization.prepare(module, inplace=True)
    module(torch.randn(2, 3, 224, 224))
    return torch.ao.quantization.convert(module, inplace=True)


# State that is not where it usually is.


class LazyHead(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.LazyLinear(4, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        with torch.random.fork_rng([]):
            torch.manual_seed(4)  # for the weights, which are drawn in the first pass
            return super().forward(images)


class LazyThroughout(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.norm = nn.LazyConv2d(8, 8, 8), nn.LazyBatchNorm2d()
        self.head = nn.LazyLinear(4, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        with torch.random.fork_rng([]):
            torch.manual_seed(4)
            return self.head(torch.relu(self.norm(self.body(images))).mean((2, 3)))


class ExtraState(Plain):
    def get_extra_state(self) -> dict[str, int]:
        return {"version": 2}

    def set_extra_state(self, state: dict[str, int]) -> None:
        pass


class HiddenState(Plain):
    """Leaves its weights out of its `state_dict`, as adapters do."""

    def state_dict(self, *args: Any, **options: Any) -> dict[str, Tensor]:
        return {}


class PlainAttribute(Plain):
    """Keeps a tensor that is neither a parameter nor a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.tensor([1.0, 2.0, 3.0, 4.0])

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * self.scale


class WithoutParameters(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3))


def lazy_head() -> nn.Module:
    return LazyHead()


def lazy_throughout() -> nn.Module:
    return LazyThroughout()


def extra_state() -> nn.Module:
    return ExtraState()


def hidden_state() -> nn.Module:
    return HiddenState()


def plain_attribute() -> nn.Module:
    return PlainAttribute()


def without_parameters() -> nn.Module:
    return WithoutParameters()


# Layers that are called in unusual ways.


class Folded(Plain):
    """Its last layer sees halves of the channels as images of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.part = nn.Conv2d(5, 5, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        places = self.body(self.stem(images))
        halves = self.part(places.reshape(-1, 5, *places.shape[2:])).reshape(places.shape)
        return self.head(torch.relu(halves).mean((2, 3)))


class CalledTwice(Plain):
    """Its last layer is called twice per pass."""

    def __init__(self) -> None:
        super().__init__()
        self.again = nn.Conv2d(10, 10, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        places = self.body(self.stem(images))
        return self.head(torch.relu(self.again(torch.relu(self.again(places)))).mean((2, 3)))


class Crops(Plain):
    """Looks at the four quarters of the image as a batch."""

    def forward(self, images: Tensor) -> Tensor:
        side = images.shape[2] // 2
        quarters = [images[:, :, y : y + side, x : x + side] for y in (0, side) for x in (0, side)]
        return super().forward(torch.cat(quarters)).reshape(4, len(images), -1).mean(0)


class WritesIntoItsInput(Plain):
    def forward(self, images: Tensor) -> Tensor:
        images.sub_(0.5).mul_(2)
        return super().forward(images)


class InPlaceAfterLast(Plain):
    """Changes the output of its last layer in place."""

    def forward(self, images: Tensor) -> Tensor:
        places = self.body[0](self.stem(images))
        return self.head(places.relu_().mean((2, 3)))


class Rectangular(Plain):
    """Its places are not square: the image is pooled along one side."""

    def forward(self, images: Tensor) -> Tensor:
        places = self.body(nn.functional.avg_pool2d(self.stem(images), (1, 2)))
        return self.head(places.mean((2, 3)))


class TupleLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.sum = nn.Conv2d(10, 10, 3, padding=1), nn.Identity()

    def forward(self, places: Tensor) -> tuple[Tensor, None]:
        return self.sum(places + torch.relu(self.conv(places))), None


class LayerReturnsTuple(Plain):
    """Its last block returns a tuple, as blocks of transformers do."""

    def __init__(self) -> None:
        super().__init__()
        self.block = TupleLayer()

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.block(self.body(self.stem(images)))[0].mean((2, 3)))


class TwoScales(nn.Module):
    """Returns what it was given first, as it is, and something new."""

    def __init__(self) -> None:
        super().__init__()
        self.late = nn.Conv2d(10, 10, 3, padding=1)

    def forward(self, early: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        return early, self.late(places)


class HandsOnAnEarlyTensor(Plain):
    """Its last block returns a tuple that begins with the output of an early layer."""

    def __init__(self) -> None:
        super().__init__()
        self.late = TwoScales()

    def forward(self, images: Tensor) -> Tensor:
        early = self.stem(images)
        early, places = self.late(early, self.body(early))
        return self.head(torch.relu(places).mean((2, 3)))


class KeywordOnly(Plain):
    def forward(self, *, pixel_values: Tensor) -> Tensor:
        return super().forward(pixel_values)


class Stops(Plain):
    def forward(self, images: Tensor) -> Tensor:
        sys.exit(0)


def folded() -> nn.Module:
    return Folded()


def called_twice() -> nn.Module:
    return CalledTwice()


def crops() -> nn.Module:
    return Crops()


def writes_into_its_input() -> nn.Module:
    return WritesIntoItsInput()


def in_place_after_last() -> nn.Module:
    return InPlaceAfterLast()


def rectangular() -> nn.Module:
    return Rectangular()


def layer_returns_tuple() -> nn.Module:
    return LayerReturnsTuple()


def hands_on_an_early_tensor() -> nn.Module:
    return HandsOnAnEarlyTensor()


def keyword_only() -> nn.Module:
    return KeywordOnly()


def stops() -> nn.Module:
    return Stops()


# Layouts that cannot be told from their shape alone.


class AsManyChannelsAsPlaces(nn.Module):
    """Maps (N, 28, 28, 28), in either order."""

    def __init__(self, last: bool) -> None:
        super().__init__()
        torch.manual_seed(6)
        self._last = last
        self.stem = nn.Conv2d(3, 28, 8, 8)
        self.norm = nn.LayerNorm(28) if last else nn.BatchNorm2d(28)
        self.head = nn.Linear(28, 4, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        places = torch.relu(self.stem(images))
        if self._last:
            return self.head(self.norm(places.permute(0, 2, 3, 1)).mean((1, 2)))
        return self.head(self.norm(places).mean((2, 3)))


class TokensFirst(nn.Module):
    """Tokens (tokens, N, C), as PyTorch's own transformer returns them by default, with the class token behind them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.patches = nn.Conv2d(3, 24, 32, 32)
        self.token = nn.Parameter(torch.randn(1, 1, 24))
        layer = nn.TransformerEncoderLayer(24, 2, 48, dropout=0.0, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(24, 4, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        places = self.patches(images).flatten(2).permute(2, 0, 1)
        tokens = torch.cat([places, self.token.expand(1, len(images), 24)])
        return self.head(self.encoder(tokens)[-1])


class ChannelsBeforeTokens(nn.Module):
    """Tokens (N, C, tokens) behind a convolution over the sequence."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(8)
        self.patches, self.mix = nn.Conv2d(3, 24, 32, 32), nn.Conv1d(24, 24, 3, padding=1)
        self.head = nn.Linear(24, 4, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(torch.relu(self.mix(self.patches(images).flatten(2))).mean(2))


class ColumnsFirst(nn.Module):
    """Its tokens go down the columns of the image."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(9)
        self.patches, self.norm = nn.Conv2d(3, 24, 32, 32), nn.LayerNorm(24)
        self.head = nn.Linear(24, 4, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).transpose(2, 3).flatten(2).transpose(1, 2)
        return self.head(self.norm(tokens).amax(1))


class Shuffled(ColumnsFirst):
    """Its tokens are in no order at all."""

    def forward(self, images: Tensor) -> Tensor:
        order = torch.randperm(49, generator=torch.Generator().manual_seed(0))
        tokens = self.patches(images).flatten(2).transpose(1, 2)[:, order]
        return self.head(self.norm(tokens).amax(1))


def channels_first_as_many_as_places() -> nn.Module:
    return AsManyChannelsAsPlaces(last=False)


def channels_last_as_many_as_places() -> nn.Module:
    return AsManyChannelsAsPlaces(last=True)


def tokens_first() -> nn.Module:
    return TokensFirst()


def channels_before_tokens() -> nn.Module:
    return ChannelsBeforeTokens()


def tokens_down_the_columns() -> nn.Module:
    return ColumnsFirst()


def tokens_shuffled() -> nn.Module:
    return Shuffled()


# Networks inside others.


class Flips(nn.Module):
    """Averages the scores of an image and its mirror image."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Plain()

    def forward(self, images: Tensor) -> Tensor:
        return (self.net(images) + self.net(images.flip(3))) / 2


class OnRowsOfPixels(nn.Module):
    """Takes all pixels as one row, so that no layer has places."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.thumbnail = nn.AdaptiveAvgPool2d(8)
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 8 * 8, 12), nn.ReLU(), nn.Linear(12, 4))

    def forward(self, images: Tensor) -> Tensor:
        return self.net(self.thumbnail(images))


class PipelineOfScikitLearn(nn.Module):
    """A classifier of scikit-learn that was fitted to thumbnails of noise, in a module."""

    def __init__(self) -> None:
        super().__init__()
        random = np.random.default_rng(3)
        rows, classes = random.normal(size=(40, 3 * 4 * 4)), np.arange(40) % 4
        self.pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, classes)

    def forward(self, images: Tensor) -> Tensor:
        rows = nn.functional.adaptive_avg_pool2d(images, 4).flatten(1)
        return torch.from_numpy(self.pipeline.decision_function(rows.numpy()).astype(np.float32))


class Checkpointed(Plain):
    """Computes its body again in the backward pass, to save memory."""

    def forward(self, images: Tensor) -> Tensor:
        places = checkpoint(self.body, self.stem(images), use_reentrant=False)
        return self.head(places.mean((2, 3)))


def flips() -> nn.Module:
    return Flips()


def on_rows_of_pixels() -> nn.Module:
    return OnRowsOfPixels()


def pipeline_of_scikit_learn() -> nn.Module:
    return PipelineOfScikitLearn()


def checkpointed() -> nn.Module:
    return Checkpointed()


def data_parallel() -> nn.Module:
    return nn.DataParallel(Plain())


def weight_norm() -> nn.Module:
    module = Plain()
    nn.utils.parametrizations.weight_norm(module.body[0])
    return module


def spectral_norm() -> nn.Module:
    module = Plain()
    nn.utils.parametrizations.spectral_norm(module.body[0])
    return module


def pruned() -> nn.Module:
    module = Plain()
    nn.utils.prune.l1_unstructured(module.body[0], "weight", amount=0.5)
    return module


def averaged() -> nn.Module:
    return torch.optim.swa_utils.AveragedModel(Plain())


def training() -> nn.Module:
    """Is handed over in training mode."""
    module = Plain()
    module.stem.append(nn.Dropout(0.5))
    return module.train()


def channels_last_memory() -> nn.Module:
    return Plain().to(memory_format=torch.channels_last)


# Factories that leave traces.


def changes_the_folder() -> nn.Module:
    os.chdir(tempfile.gettempdir())
    return Plain()


def prints() -> nn.Module:
    print("weights: none, made up on the spot")
    return Plain()


def default_double() -> nn.Module:
    module = Plain()
    torch.set_default_dtype(torch.float64)
    return module


def gradients_off() -> nn.Module:
    torch.set_grad_enabled(False)
    return Plain()


def deterministic() -> nn.Module:
    torch.use_deterministic_algorithms(True)
    return Plain()


def default_meta() -> nn.Module:
    torch.set_default_device("meta")
    return Plain()


def raises() -> nn.Module:
    raise KeyError("weights")


# Names of classes.


def _named(names: Any) -> nn.Module:
    module = Plain()
    module.class_names = names
    return module


def names_that_are_code() -> nn.Module:
    return _named(["</script><svg onload=alert(1)>", "a|b\nc", "\x1b[1mbold\x00", "ابجد \u202ddcba"])


def names_with_surrogates() -> nn.Module:
    return _named(["na\udcefve", "\udc80", "ok", "also ok"])


def names_alike() -> nn.Module:
    return _named(["cat"] * 4)


def names_that_are_numbers() -> nn.Module:
    return _named(["3", "2", "1", "0"])


def names_that_mean_something() -> nn.Module:
    return _named(["intended", "predicted", "", "nan"])


def names_in_an_array() -> nn.Module:
    return _named(np.array(["a", "b", "c", "d"]))


def names_in_a_mapping() -> nn.Module:
    return _named({0: "a", 1: "b", 2: "c", 3: "d"})


def names_in_a_mapping_in_another_order() -> nn.Module:
    return _named({2: "c", 0: "a", 3: "d", 1: "b"})


def names_too_few() -> nn.Module:
    return _named(["a", "b", "c"])


def names_in_a_text() -> nn.Module:
    return _named("abcd")


def names_by_label() -> nn.Module:
    return _named({"a": 0, "b": 1, "c": 2, "d": 3})
