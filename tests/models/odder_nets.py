"""More small networks with one oddity each, loaded by the spec `file:odder_nets.py:NAME`."""

from __future__ import annotations

import torch
from odd_nets import Plain
from torch import Tensor, nn

# A part of them runs without gradients.


class StemWithoutGrad(Plain):
    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            places = self.stem(images)
        return self.head(self.body(places).mean((2, 3)))


class StemInInferenceMode(Plain):
    def forward(self, images: Tensor) -> Tensor:
        with torch.inference_mode():
            places = self.stem(images)
        return self.head(self.body(places.clone()).mean((2, 3)))


class StemDetached(Plain):
    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(self.stem(images).detach()).mean((2, 3)))


class HeadAloneWithGrad(Plain):
    """Only its head is trained."""

    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            features = self.body(self.stem(images)).mean((2, 3))
        return self.head(features)


def stem_without_grad() -> nn.Module:
    return StemWithoutGrad()


def stem_in_inference_mode() -> nn.Module:
    return StemInInferenceMode()


def stem_detached() -> nn.Module:
    return StemDetached()


def head_alone_with_grad() -> nn.Module:
    return HeadAloneWithGrad()


# They take something else than one batch of images.


class Siamese(Plain):
    """Compares two images, which it takes in another form in each subclass."""

    def compare(self, one: Tensor, other: Tensor) -> Tensor:
        features = [self.body(self.stem(each)).mean((2, 3)) for each in (one, other)]
        return self.head((features[0] - features[1]).abs())

    def forward(self, anchor: Tensor, other: Tensor) -> Tensor:
        return self.compare(anchor, other)


class SiameseStacked(Siamese):
    def forward(self, pairs: Tensor) -> Tensor:
        return self.compare(pairs[:, 0], pairs[:, 1])


class SiameseInChannels(Siamese):
    def forward(self, pairs: Tensor) -> Tensor:
        return self.compare(pairs[:, :3], pairs[:, 3:])


class SiameseInBatch(Siamese):
    def forward(self, pairs: Tensor) -> Tensor:
        one, other = pairs.chunk(2)
        return self.compare(one, other)


class SiameseInterleaved(Siamese):
    def forward(self, pairs: Tensor) -> Tensor:
        return self.compare(pairs[0::2], pairs[1::2])


class SiameseOfAList(Siamese):
    def forward(self, pair: list[Tensor]) -> Tensor:
        one, other = pair
        return self.compare(one, other)


class SiameseOfAny(Siamese):
    def forward(self, *images: Tensor) -> Tensor:
        one, other = images
        return self.compare(one, other)


class SiameseByName(Siamese):
    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return self.compare(batch["left"], batch["right"])


class WithMask(Plain):
    def forward(self, *, image: Tensor, mask: Tensor) -> Tensor:
        return super().forward(image * mask)


class WithText(Plain):
    def forward(self, input_ids: Tensor, pixel_values: Tensor) -> Tensor:
        return super().forward(pixel_values) + input_ids.sum()


class TextFirst(Plain):
    """As models of transformers that take text and images: neither has to be given, and neither alone is enough."""

    def forward(self, input_ids: Tensor | None = None, pixel_values: Tensor | None = None) -> Tensor:
        assert input_ids is not None and pixel_values is not None, "give both"
        return super().forward(pixel_values) + input_ids.sum()


class Captions(Plain):
    """As models of transformers that take an image first, and cannot do without a text all the same."""

    def forward(self, pixel_values: Tensor, input_ids: Tensor | None = None) -> Tensor:
        assert input_ids is not None, "give the text"
        return super().forward(pixel_values) + nn.functional.one_hot(input_ids, 4).sum(1)


class ByAnyName(Plain):
    def forward(self, **inputs: Tensor) -> Tensor:
        return super().forward(inputs["pixel_values"])


class OfAList(Plain):
    def forward(self, images: list[Tensor]) -> Tensor:
        assert isinstance(images, list), "a list of images"
        return super().forward(torch.stack(images))


class OfAMapping(Plain):
    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        return super().forward(batch["image"])


class OfVideos(Plain):
    def forward(self, frames: Tensor) -> Tensor:
        assert frames.dim() == 5
        return super().forward(frames.flatten(0, 1)).reshape(len(frames), -1, 4).mean(1)


class ChannelsLastInput(Plain):
    def forward(self, images: Tensor) -> Tensor:
        assert images.shape[3] == 3
        return super().forward(images.permute(0, 3, 1, 2))


class DoubleInput(Plain):
    def forward(self, images: Tensor) -> Tensor:
        assert images.dtype is torch.float64
        return super().forward(images.float())


class BytesInput(Plain):
    def forward(self, images: Tensor) -> Tensor:
        assert images.dtype is torch.uint8
        return super().forward(images.float() / 255)


class MayTakeMore(Plain):
    """Its other inputs have defaults, so that it takes images alone."""

    def forward(self, images: Tensor, metadata: Tensor | None = None, *, scale: float = 1.0) -> Tensor:
        return super().forward(images) * scale


def siamese() -> nn.Module:
    return Siamese()


def siamese_stacked() -> nn.Module:
    return SiameseStacked()


def siamese_in_channels() -> nn.Module:
    return SiameseInChannels()


def siamese_in_batch() -> nn.Module:
    return SiameseInBatch()


def siamese_interleaved() -> nn.Module:
    return SiameseInterleaved()


def siamese_of_a_list() -> nn.Module:
    return SiameseOfAList()


def siamese_of_any() -> nn.Module:
    return SiameseOfAny()


def siamese_by_name() -> nn.Module:
    return SiameseByName()


def siamese_in_parallel() -> nn.Module:
    return nn.DataParallel(Siamese())


def with_mask() -> nn.Module:
    return WithMask()


def with_text() -> nn.Module:
    return WithText()


def text_first() -> nn.Module:
    return TextFirst()


def captions() -> nn.Module:
    return Captions()


def by_any_name() -> nn.Module:
    return ByAnyName()


def of_a_list() -> nn.Module:
    return OfAList()


def of_a_mapping() -> nn.Module:
    return OfAMapping()


def of_videos() -> nn.Module:
    return OfVideos()


def channels_last_input() -> nn.Module:
    return ChannelsLastInput()


def double_input() -> nn.Module:
    return DoubleInput()


def bytes_input() -> nn.Module:
    return BytesInput()


def may_take_more() -> nn.Module:
    return MayTakeMore()


# Their tokens are fewer behind some block, or not those of square patches.


class Tokens(nn.Module):
    """A small transformer; subclasses say what becomes of the tokens behind each block but the last."""

    patch: tuple[int, int] = (32, 32)

    def __init__(self, class_token: bool = True) -> None:
        super().__init__()
        torch.manual_seed(2)
        self.patches = nn.Conv2d(3, 24, self.patch, self.patch)
        self.token = nn.Parameter(torch.randn(1, int(class_token), 24))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(24, 2, 48, dropout=0.0, norm_first=True, batch_first=True) for _ in range(3)
        )
        self.norm, self.head = nn.LayerNorm(24), nn.Linear(24, 4)

    def joined(self, places: Tensor) -> Tensor:
        return torch.cat([self.token.expand(len(places), -1, -1), places], 1)

    def reduced(self, tokens: Tensor) -> Tensor:
        return tokens

    def answer(self, tokens: Tensor) -> Tensor:
        return tokens[:, 0] if self.token.shape[1] else tokens.mean(1)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.joined(self.patches(images).flatten(2).transpose(1, 2))
        for place, block in enumerate(self.blocks):
            tokens = block(tokens if place == 0 else self.reduced(tokens))
        return self.head(self.answer(self.norm(tokens)))


class PrunedTokens(Tokens):
    """Keeps the tokens that are most like the class token, as EViT does."""

    def reduced(self, tokens: Tensor) -> Tensor:
        first, places = tokens[:, :1], tokens[:, 1:]
        kept = (places * first).sum(2).topk(int(places.shape[1] * 0.7), 1).indices.sort(1).values
        return torch.cat([first, places.gather(1, kept[..., None].expand(-1, -1, 24))], 1)


class MergedTokens(Tokens):
    """Merges the pairs of neighbours that are most alike, as ToMe does."""

    def reduced(self, tokens: Tensor) -> Tensor:
        pairs = tokens[:, : tokens.shape[1] // 2 * 2].unflatten(1, (-1, 2))
        order = (pairs[:, :, 0] * pairs[:, :, 1]).sum(2).argsort(1, descending=True)[..., None, None]
        pairs = pairs.gather(1, order.expand_as(pairs))
        count = pairs.shape[1] // 3
        return torch.cat([pairs[:, :count].mean(2), pairs[:, count:].flatten(1, 2)], 1)


class FlatPatches(Tokens):
    patch = (16, 32)


class TokensBehind(Tokens):
    """With its class token and four registers behind the places."""

    def __init__(self) -> None:
        super().__init__()
        self.registers = nn.Parameter(torch.randn(1, 4, 24))

    def joined(self, places: Tensor) -> Tensor:
        others = torch.cat([self.token, self.registers], 1)
        return torch.cat([places, others.expand(len(places), -1, -1)], 1)

    def answer(self, tokens: Tensor) -> Tensor:
        return tokens[:, -5]


class TokenInTheMiddle(Tokens):
    """With its class token between the halves of the places, as Vision Mamba has it."""

    def joined(self, places: Tensor) -> Tensor:
        token, half = self.token.expand(len(places), -1, -1), places.shape[1] // 2
        return torch.cat([places[:, :half], token, places[:, half:]], 1)

    def answer(self, tokens: Tensor) -> Tensor:
        return tokens[:, tokens.shape[1] // 2]


class Prompted(Tokens):
    """With forty learned prompts between its class token and the places, as visual prompt tuning adds them."""

    def __init__(self) -> None:
        super().__init__()
        self.prompts = nn.Parameter(torch.randn(1, 40, 24))

    def joined(self, places: Tensor) -> Tensor:
        others = torch.cat([self.token, self.prompts], 1)
        return torch.cat([others.expand(len(places), -1, -1), places], 1)


def token_in_the_middle() -> nn.Module:
    return TokenInTheMiddle()


def prompted() -> nn.Module:
    return Prompted()


def pruned_tokens() -> nn.Module:
    return PrunedTokens()


def merged_tokens() -> nn.Module:
    return MergedTokens(class_token=False)


def flat_patches() -> nn.Module:
    return FlatPatches()


def tokens_behind() -> nn.Module:
    return TokensBehind()


# What they compute is odd.


class Averaging(Plain):
    """Mixes its answer with the one before, as a filter over the frames of a camera does."""

    last: Tensor | None = None

    def forward(self, images: Tensor) -> Tensor:
        answer = super().forward(images)
        if self.last is not None and self.last.shape == answer.shape:
            answer = 0.8 * answer + 0.2 * self.last
        self.last = answer.detach()
        return answer


class Keeping(Plain):
    """Returns the answer to the first image to all that follow."""

    kept: Tensor | None = None

    def forward(self, images: Tensor) -> Tensor:
        if self.kept is None:
            self.kept = super().forward(images)[:1].detach()
        return self.kept.repeat(len(images), 1)


class ComplexLayer(nn.Module):
    """Its only layer that lies over the image returns complex numbers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body, self.head = nn.Conv2d(3, 8, 8, 8, dtype=torch.complex64), nn.Linear(8, 4)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.body(images.to(torch.complex64)).abs().mean((2, 3)))


class EarlyExit(Plain):
    """Leaves out its last layer where the whole batch is smooth."""

    def forward(self, images: Tensor) -> Tensor:
        places = self.stem(images)
        noisy = images.detach().diff(dim=3).std() > 0.9
        return self.head((self.body(places) if noisy else places.repeat(1, 2, 1, 1)[:, :10]).mean((2, 3)))


class Experts(Plain):
    """Every image is seen by one of three bodies."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(nn.Conv2d(8, 10, 3, padding=1) for _ in range(3))
        self.gate = nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        places = self.stem(images)
        chosen = self.gate(places.mean((2, 3))).argmax(1).tolist()
        seen = torch.cat([self.experts[each](places[n : n + 1]) for n, each in enumerate(chosen)])
        return self.head(torch.relu(seen).mean((2, 3)))


class OfAnotherLibrary(nn.Module):
    """Holds a network that PyTorch does not see, and returns what is computed outside, as a session of ONNX does."""

    def __init__(self) -> None:
        super().__init__()
        self.__dict__["session"] = Plain().eval()

    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return torch.from_numpy(self.session(images).numpy())


class Autoencoder(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.decoder = nn.ConvTranspose2d(10, 3, 8, 8)

    def forward(self, images: Tensor) -> Tensor:
        return self.decoder(self.body(self.stem(images)))


class AttributesRaise(Plain):
    """Raises another error than PyTorch does for an attribute that it does not have."""

    def __getattr__(self, name: str) -> object:
        try:
            return super().__getattr__(name)
        except AttributeError:
            raise KeyError(name) from None


class Binarised(Plain):
    """Rounds the output of its last layer, so that no gradient passes."""

    def forward(self, images: Tensor) -> Tensor:
        return self.head((self.body(self.stem(images)) - 0.1).sign().mean((2, 3)))


class CutTokens(nn.Module):
    """Its tokens are cut out of the image without a convolution, by patches that are not square."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches, self.head = nn.Linear(3 * 16 * 32, 24), nn.Linear(24, 4, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        cut = nn.functional.unfold(images, (16, 32), stride=(16, 32)).transpose(1, 2)
        return self.head(torch.relu(self.patches(cut)).mean(1))


class AsASnake(Tokens):
    """Every second row of its tokens goes the other way round, as the scans of some state space models do."""

    def forward(self, images: Tensor) -> Tensor:
        rows = self.patches(images).clone()
        rows[:, :, 1::2] = rows[:, :, 1::2].flip(3)
        tokens = self.joined(rows.flatten(2).transpose(1, 2))
        for block in self.blocks:
            tokens = block(tokens)
        return self.head(self.answer(self.norm(tokens)))


def attributes_raise() -> nn.Module:
    return AttributesRaise()


def binarised() -> nn.Module:
    return Binarised()


def cut_tokens() -> nn.Module:
    return CutTokens()


def as_a_snake() -> nn.Module:
    return AsASnake()


def averaging() -> nn.Module:
    return Averaging()


def keeping() -> nn.Module:
    return Keeping()


def complex_layer() -> nn.Module:
    return ComplexLayer()


def early_exit() -> nn.Module:
    return EarlyExit()


def experts() -> nn.Module:
    return Experts()


def of_another_library() -> nn.Module:
    return OfAnotherLibrary()


def autoencoder() -> nn.Module:
    return Autoencoder()


# Hooks of the user.


def hook_that_raises() -> nn.Module:
    def fail(*_: object) -> None:
        raise ValueError("my hook")

    module = Plain()
    module.body.register_forward_hook(fail)
    return module


def backward_hook_that_raises() -> nn.Module:
    def fail(*_: object) -> None:
        raise ValueError("my backward hook")

    module = Plain()
    module.body.register_full_backward_hook(fail)
    return module


def hook_that_doubles() -> nn.Module:
    module = Plain()
    module.body.register_forward_hook(lambda _module, _inputs, output: output * 2)
    return module


def hook_that_mirrors() -> nn.Module:
    module = Plain()
    module.register_forward_pre_hook(lambda _module, inputs: (inputs[0].flip(3),))
    return module


# In several wrappers.


def parallel_twice() -> nn.Module:
    return nn.DataParallel(nn.DataParallel(Plain()))


def parallel_inside() -> nn.Module:
    module = Plain()
    module.body = nn.DataParallel(module.body)
    return module


def in_containers() -> nn.Module:
    return nn.Sequential(nn.DataParallel(nn.Sequential(Plain())))
