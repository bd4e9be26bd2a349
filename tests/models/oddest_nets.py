"""Small networks that end the program, define methods in place of torch's, change with every pass, or leave layers out.

They are loaded by the spec `file:oddest_nets.py:NAME`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from odd_nets import Plain
from torch import Tensor, nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.utils.checkpoint import checkpoint

# They raise what is no Exception, or what cannot be told.


class OwnEnd(BaseException):
    pass


class WithoutText(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


class Raising(Plain):
    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.__dict__["error"] = error

    def forward(self, images: Tensor) -> Tensor:
        raise self.error


class EndsInItsGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> Tensor:
        return scores.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        raise GeneratorExit("in the backward pass")


class EndsBackward(Plain):
    def forward(self, images: Tensor) -> Tensor:
        return EndsInItsGradient.apply(super().forward(images))


def generator_exit() -> nn.Module:
    return Raising(GeneratorExit("closed"))


def own_end() -> nn.Module:
    return Raising(OwnEnd("mine"))


def without_text() -> nn.Module:
    return Raising(WithoutText())


def ends_backward() -> nn.Module:
    return EndsBackward()


def factory_ends() -> nn.Module:
    raise OwnEnd("no weights today")


# Their methods have names of torch's.


class Measures(Plain):
    """Its `eval` measures accuracy."""

    def eval(self) -> float:  # type: ignore[override]
        return 0.93


class Fits(Plain):
    """Its `train` needs data."""

    def train(self, loader: object) -> None:  # type: ignore[override]
        raise RuntimeError("no data to train on")


class HidesParts(Plain):
    def modules(self) -> Iterator[nn.Module]:
        return iter([self, self.head])


class NoChildren(Plain):
    def children(self) -> Iterator[nn.Module]:
        raise RuntimeError("there are none")


class HeadIsTrained(Plain):
    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]:
        return self.head.parameters()


class ListOfParameters(Plain):
    def parameters(self) -> list[nn.Parameter]:  # type: ignore[override]
        return list(super().parameters())


class Stays(Plain):
    def to(self) -> Stays:  # type: ignore[override]
        return self


class NoHooks(Plain):
    def register_forward_hook(self, *args: Any, **options: Any) -> Any:
        raise RuntimeError("no hooks")


class ReadOnly(Plain):
    """Does not let its attributes be set once it is made."""

    def __init__(self) -> None:
        super().__init__()
        self.__dict__["made"] = True

    def __setattr__(self, name: str, value: Any) -> None:
        if self.__dict__.get("made"):
            raise AttributeError("it is read-only")
        super().__setattr__(name, value)


class ArraysInState(Plain):
    def state_dict(self, *args: Any, **options: Any) -> Any:
        return {name: weights.numpy() for name, weights in super().state_dict(*args, **options).items()}


class SecretState(Plain):
    def state_dict(self, *args: Any, **options: Any) -> Any:
        raise RuntimeError("the weights are secret")


class Equal(nn.ReLU):
    def __eq__(self, other: object) -> bool:
        return isinstance(other, nn.ReLU)

    def __hash__(self) -> int:
        return 7


class EqualParts(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.stem[1], self.body[1] = Equal(), Equal()


class AnyAttribute(Plain):
    """Has whatever attribute it is asked for, as mocks do."""

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return None if name == "class_names" else nn.Identity()


def measures() -> nn.Module:
    return Measures()


def fits() -> nn.Module:
    return Fits()


def hides_parts() -> nn.Module:
    return HidesParts()


def no_children() -> nn.Module:
    return NoChildren()


def head_is_trained() -> nn.Module:
    return HeadIsTrained()


def list_of_parameters() -> nn.Module:
    return ListOfParameters()


def stays() -> nn.Module:
    return Stays()


def no_hooks() -> nn.Module:
    return NoHooks()


def read_only() -> nn.Module:
    return ReadOnly()


def arrays_in_state() -> nn.Module:
    return ArraysInState()


def secret_state() -> nn.Module:
    return SecretState()


def equal_parts() -> nn.Module:
    return EqualParts()


def any_attribute() -> nn.Module:
    return AnyAttribute()


# They change with every pass.


class Drifting(Plain):
    """Adapts by so little per pass that single passes agree."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.ones(4)

    def forward(self, images: Tensor) -> Tensor:
        self.scale = self.scale + torch.tensor([0.0, 2e-5, 0.0, 3e-5])
        return super().forward(images) * self.scale


class Adapting(Plain):
    """Its gradient changes it, as an optimiser in a hook does."""

    def __init__(self) -> None:
        super().__init__()
        self.__dict__["steps"] = [0]
        self.body.register_full_backward_hook(lambda *_: self.steps.append(0))

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) + torch.tensor([0.0, 0.01, 0.0, 0.0]) * len(self.steps)


def drifting() -> nn.Module:
    return Drifting()


def adapting() -> nn.Module:
    return Adapting()


# Some of their layers are left out for some images.


class LeavesEarly(Plain):
    """Answers each image by its first head if that is certain."""

    def __init__(self) -> None:
        super().__init__()
        self.early = nn.Linear(8, 4)

    def one(self, image: Tensor) -> Tensor:
        places = self.stem(image)
        first = self.early(places.mean((2, 3)))
        certain = float(first.detach().softmax(1).max()) > 0.4
        return first if certain else self.head(self.body(places).mean((2, 3)))

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([self.one(image) for image in images.split(1)])


class LeavesEarlyAlone(LeavesEarly):
    """The same for one image at a time."""

    def forward(self, images: Tensor) -> Tensor:
        assert len(images) == 1
        return self.one(images)


class BodyForTheRest(LeavesEarly):
    """Its body sees only the images whose first answer is not certain, here those that are not dark."""

    def forward(self, images: Tensor) -> Tensor:
        places = self.stem(images)
        answers = self.early(places.mean((2, 3)))
        rest = images.detach().amax((1, 2, 3)) > 2.6
        if bool(rest.any()):
            answers = answers.clone()
            answers[rest] = self.head(self.body(places[rest]).mean((2, 3)))
        return answers


class InAList(nn.Module):
    """Keeps its layers in a plain list, so that PyTorch does not see them."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layers = [nn.Conv2d(3, 8, 8, 8), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        self.head = nn.Linear(8, 4)

    def forward(self, images: Tensor) -> Tensor:
        for layer in self.layers:
            images = layer(images)
        return self.head(images)


def leaves_early() -> nn.Module:
    return LeavesEarly()


def leaves_early_alone() -> nn.Module:
    return LeavesEarlyAlone()


def body_for_the_rest() -> nn.Module:
    return BodyForTheRest()


def in_a_list() -> nn.Module:
    return InAList()


# What they do with gradients.


class AsksForGradient(Plain):
    """Marks its input, as networks do that differentiate an energy."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.requires_grad_() if images.is_leaf else images)


class GradientsIfAsked(Plain):
    """Computes gradients only if its input asks for them."""

    def forward(self, images: Tensor) -> Tensor:
        with torch.set_grad_enabled(images.requires_grad):
            return super().forward(images)


class Recomputed(torch.autograd.Function):
    """Keeps no activations, as reversible networks do: the layer runs again in the backward pass."""

    @staticmethod
    def forward(ctx: Any, places: Tensor, layer: nn.Module) -> Tensor:
        ctx.layer = layer
        ctx.save_for_backward(places)
        with torch.no_grad():
            return layer(places)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (places,) = ctx.saved_tensors
        with torch.enable_grad():
            again = places.detach().requires_grad_()
            (found,) = torch.autograd.grad(ctx.layer(again), again, gradient)
        return found, None


class Reversible(Plain):
    def forward(self, images: Tensor) -> Tensor:
        return self.head(Recomputed.apply(self.stem(images), self.body).mean((2, 3)))


class CheckpointedTheOldWay(Plain):
    def forward(self, images: Tensor) -> Tensor:
        return self.head(checkpoint(self.body, self.stem(images), use_reentrant=True).mean((2, 3)))


class WritesIntoRelu(Plain):
    def forward(self, images: Tensor) -> Tensor:
        places = self.body(self.stem(images))
        places[:, :3] = 0
        return self.head(places.mean((2, 3)))


class KeepsByAddress(Plain):
    """Returns the answer that it gave to whatever was in the same place of memory before."""

    kept: tuple[object, Tensor] | None = None

    def forward(self, images: Tensor) -> Tensor:
        place = (images.data_ptr(), images.shape)
        if self.kept is None or self.kept[0] != place:
            self.kept = place, super().forward(images)
        return self.kept[1]


class ViewsItsInput(Plain):
    """Cuts its input without a copy, as code for batches of a loader may do."""

    def forward(self, batch: Tensor) -> Tensor:
        return super().forward(batch.view(len(batch), -1).view(batch.shape))


class ChecksRange(Plain):
    """Takes values from 0 to 1 alone."""

    def forward(self, batch: Tensor) -> Tensor:
        assert batch.min() >= 0 and batch.max() <= 1, "values from 0 to 1"
        return super().forward(batch)


class SameMemory(Plain):
    """Writes each answer over the one before, as CUDA graphs do."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[int, Tensor] = {}

    def forward(self, batch: Tensor) -> Tensor:
        answer = super().forward(batch)
        return self.kept.setdefault(len(batch), torch.empty_like(answer)).detach().copy_(answer)


class SparseWeights(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mixed", torch.eye(4).to_sparse())

    def forward(self, batch: Tensor) -> Tensor:
        return torch.sparse.mm(self.mixed, super().forward(batch).T).T


class KeepsInferenceTensor(Plain):
    """Keeps a tensor of its first pass that no gradient can pass through."""

    def __init__(self) -> None:
        super().__init__()
        self.scale: Tensor | None = None

    def forward(self, batch: Tensor) -> Tensor:
        if self.scale is None:
            with torch.inference_mode():
                self.scale = torch.ones(1)
        return super().forward(batch) * self.scale


class PairsAlone(Plain):
    """Takes two images at once, and no more."""

    def forward(self, batch: Tensor) -> Tensor:
        assert len(batch) <= 2, "too many"
        return super().forward(batch)


def in_a_checkpoint_wrapper() -> nn.Module:
    """As networks that are trained in shards: the wrapper leaves its own name out of those of the parameters."""
    net = Plain()
    net.body = checkpoint_wrapper(net.body)
    return net


def pairs_alone() -> nn.Module:
    return PairsAlone()


a_model = Plain()


def views_its_input() -> nn.Module:
    return ViewsItsInput()


def checks_range() -> nn.Module:
    return ChecksRange()


def same_memory() -> nn.Module:
    return SameMemory()


def sparse_weights() -> nn.Module:
    return SparseWeights()


def keeps_inference_tensor() -> nn.Module:
    return KeepsInferenceTensor()


def asks_for_gradient() -> nn.Module:
    return AsksForGradient()


def gradients_if_asked() -> nn.Module:
    return GradientsIfAsked()


def reversible() -> nn.Module:
    return Reversible()


def checkpointed_the_old_way() -> nn.Module:
    return CheckpointedTheOldWay()


def writes_into_relu() -> nn.Module:
    return WritesIntoRelu()


def keeps_by_address() -> nn.Module:
    return KeepsByAddress()


def quantised_in_training() -> nn.Module:
    """Its observers go on adapting in evaluation mode."""
    module = Plain().train()
    module.qconfig = torch.ao.quantization.get_default_qat_qconfig("x86")
    torch.ao.quantization.prepare_qat(module, inplace=True)
    module(torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)))
    return module.eval()


class SeveralScales(Plain):
    """Sees the image at two scales by the same layers."""

    def forward(self, images: Tensor) -> Tensor:
        smaller = nn.functional.avg_pool2d(images, 2)
        features = [self.body(self.stem(each)).mean((2, 3)) for each in (images, smaller)]
        return self.head(features[0] + features[1])


def several_scales() -> nn.Module:
    return SeveralScales()


# Branches that only say how much each place counts.


class AttentionPooled(Plain):
    """Averages its places with weights that a branch makes of them, as in multiple-instance learning."""

    def __init__(self) -> None:
        super().__init__()
        self.weigh = nn.Sequential(nn.Conv2d(10, 6, 1), nn.Tanh(), nn.Conv2d(6, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        places = self.body(self.stem(images))
        return self.head(self.pooled(places.flatten(2), self.weigh(places).flatten(2).softmax(2)))

    def pooled(self, places: Tensor, weights: Tensor) -> Tensor:
        return (places * weights).sum(2)


class PooledByAProduct(AttentionPooled):
    def pooled(self, places: Tensor, weights: Tensor) -> Tensor:
        return (weights @ places.mT)[:, 0]


class PooledByShares(AttentionPooled):
    """Its weights are divided by their sum."""

    def forward(self, images: Tensor) -> Tensor:
        places = self.body(self.stem(images))
        weights = nn.functional.softplus(self.weigh(places))
        return self.head((places * (weights / weights.sum((2, 3), keepdim=True))).sum((2, 3)))


class Vlad(AttentionPooled):
    """Sums up how far its places are from centres, each of which takes some of them."""

    def __init__(self) -> None:
        super().__init__()
        self.weigh, self.centres = nn.Conv2d(10, 3, 1), nn.Parameter(torch.randn(3, 10))
        self.head = nn.Linear(30, 4, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        places = self.body(self.stem(images))
        weights = self.weigh(places).softmax(1).flatten(2)
        far = torch.einsum("nkp,ncp->nkc", weights, places.flatten(2)) - weights.sum(2)[..., None] * self.centres
        return self.head(nn.functional.normalize(far, dim=2).flatten(1))


class GatedPlaces(AttentionPooled):
    def forward(self, images: Tensor) -> Tensor:
        places = self.body(self.stem(images))
        return self.head((places * self.weigh(places).sigmoid()).mean((2, 3)))


class MovedPlaces(Plain):
    """Samples its places where a branch says."""

    def __init__(self) -> None:
        super().__init__()
        self.offsets = nn.Conv2d(10, 2, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        places = self.body(self.stem(images))
        here = nn.functional.affine_grid(torch.eye(2, 3).expand(len(images), -1, -1), places.shape, align_corners=False)
        there = here + 0.1 * self.offsets(places).tanh().movedim(1, 3)
        return self.head(nn.functional.grid_sample(places, there, align_corners=False).mean((2, 3)))


def attention_pooled() -> nn.Module:
    return AttentionPooled()


def pooled_by_a_product() -> nn.Module:
    return PooledByAProduct()


def pooled_by_shares() -> nn.Module:
    return PooledByShares()


def vlad() -> nn.Module:
    return Vlad()


def gated_places() -> nn.Module:
    return GatedPlaces()


def moved_places() -> nn.Module:
    return MovedPlaces()


# They answer for another image, or leave torch otherwise.


class FirstForAll(Plain):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images[:1]).expand(len(images), -1)


class SetsDefaultDtype(Plain):
    def forward(self, images: Tensor) -> Tensor:
        torch.set_default_dtype(torch.float64)
        return super().forward(images)


class SwitchesGradientsOff(Plain):
    def forward(self, images: Tensor) -> Tensor:
        answer = super().forward(images)
        torch.set_grad_enabled(False)
        return answer


def first_for_all() -> nn.Module:
    return FirstForAll()


def sets_default_dtype() -> nn.Module:
    return SetsDefaultDtype()


def switches_gradients_off() -> nn.Module:
    return SwitchesGradientsOff()
