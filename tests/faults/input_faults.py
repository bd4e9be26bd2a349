"""Faults between an image's file and the model's input."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import numpy as np
import torch
import torchvision.transforms.functional
from fault import FEW_AND_UNITS, FEW_TASKS, IMAGE_TASKS, LIME_TASKS, Fault, changed, preparation, replaced
from PIL import Image

from xai_eval import Classifier
from xai_eval.explainers.dissection import image_summary
from xai_eval.inputs.images import decode, image_files, opened
from xai_eval.inputs.models import preprocessing
from xai_eval.inputs.models.preprocessing import TorchvisionPreset
from xai_eval.inputs.probes import scene_probe
from xai_eval.result.stage import Stage, StageKind

FUNCTIONAL = torchvision.transforms.functional
EVERY = (*IMAGE_TASKS, "dissection")


def decoded(change: Any) -> Any:
    """Change the pixels that a file is decoded to."""

    def make(original: Any) -> Any:
        def to_rgb(path: Any, opened: Any) -> Any:
            pixels, notes = original(path, opened)
            # Masks are files as well, of two values, and are left alone.
            return (pixels if set(np.unique(pixels)) <= {0, 255} else np.ascontiguousarray(change(pixels))), notes

        return to_rgb

    return replaced(decode, "to_rgb", make)


def probed(change: Any) -> Any:
    """Change the images of the probe set as they are read."""

    def make(original: Any) -> Any:
        def read(self: Any, position: int) -> Any:
            return change(original(self, position), position)

        return read

    return replaced(scene_probe._Scenes, "read", make)


def off_by_one(pixels: np.ndarray) -> np.ndarray:
    wave = np.random.default_rng(0).integers(-1, 2, pixels.shape)
    return np.clip(pixels.astype(int) + wave, 0, 255).astype(np.uint8)


def gamma(pixels: np.ndarray) -> np.ndarray:
    return (255 * (pixels / 255.0) ** 1.05).astype(np.uint8)


def spotted(pixels: np.ndarray) -> np.ndarray:
    changed_pixels = pixels.copy()
    changed_pixels[40:43, 40:43] = 255 - changed_pixels[40:43, 40:43]
    return changed_pixels


def resized(how: Any) -> Any:
    """Replace the resize of torchvision for images; masks (one channel) go the old way."""

    def make(original: Any) -> Any:
        def resize(image: Any, size: Any, *args: Any, **options: Any) -> Any:
            if not isinstance(image, Image.Image) or image.mode != "RGB":
                return original(image, size, *args, **options)
            like = original(image, size, *args, **options)
            return how(image, like)

        return resize

    return replaced(FUNCTIONAL, "resize", make)


def without_antialias(image: Image.Image, like: Image.Image) -> Image.Image:
    tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
    small = torch.nn.functional.interpolate(tensor, like.size[::-1], mode="bilinear", antialias=False)
    return Image.fromarray(small[0].round().clamp(0, 255).byte().permute(1, 2, 0).numpy())


def by(resample: Image.Resampling) -> Any:
    return lambda image, like: image.resize(like.size, resample)


def shifted_crop(down: int, across: int) -> Any:
    def make(original: Any) -> Any:
        def center_crop(image: Any, size: Any) -> Any:
            if getattr(image, "mode", "") != "RGB":
                return original(image, size)
            return original(FUNCTIONAL.affine(image, 0.0, [across, down], 1.0, [0.0]), size)

        return center_crop

    return replaced(FUNCTIONAL, "center_crop", make)


def top_left(original: Any) -> Any:
    def center_crop(image: Any, size: Any) -> Any:
        return FUNCTIONAL.crop(image, 0, 0, size[0], size[0])

    return center_crop


def preset(**changes: Any) -> Any:
    """Change the parameters of torchvision's preset, as other weights would: they are recorded."""

    def change(classifier: Classifier) -> Classifier:
        old = classifier.preprocess.transforms
        given = {"crop_size": old.crop_size[0], "resize_size": old.resize_size[0], "mean": old.mean, "std": old.std}
        return dataclasses.replace(classifier, preprocess=TorchvisionPreset(type(old)(**{**given, **changes})))

    return changed(change)


def small_patch(tensor: torch.Tensor) -> torch.Tensor:
    patched = tensor.clone()
    patched[..., 30:33, 30:33] += 0.5
    return patched


def other_image(original: Any) -> Any:
    def read(path: Any) -> bytes:
        if path.name != "5.png" or path.parent.name != "images":
            return original(path)
        buffer = io.BytesIO()
        Image.open(path).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(buffer, "png")
        return buffer.getvalue()

    return read


def mask_moved(original: Any) -> Any:
    return lambda *asked: np.roll(original(*asked), 12, axis=1)


def in_five_bits(pixels: np.ndarray) -> np.ndarray:
    return pixels & 0xF8


def in_linear_light(image: Image.Image, like: Image.Image) -> Image.Image:
    light = (np.asarray(image) / 255.0) ** 2.2
    planes = [Image.fromarray(light[..., each].astype(np.float32)) for each in range(3)]
    small = np.stack([np.asarray(plane.resize(like.size, Image.Resampling.BILINEAR)) for plane in planes], axis=-1)
    return Image.fromarray(np.rint(np.clip(small, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8))


def rounded_down(image: Image.Image, like: Image.Image) -> Image.Image:
    tensor = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
    small = torch.nn.functional.interpolate(tensor, like.size[::-1], mode="bilinear", antialias=True)
    return Image.fromarray(small[0].floor().clamp(0, 255).byte().permute(1, 2, 0).numpy())


def blue_deviation(tensor: torch.Tensor) -> torch.Tensor:
    return torch.cat([tensor[:2], tensor[2:] * 1.01])


FAULTS = (
    Fault("libjpeg-turbo decodes 1 off", "decode", IMAGE_TASKS, StageKind.DECODED_PIXELS, decoded(off_by_one), "2"),
    Fault("red and blue change places", "decode", FEW_TASKS, StageKind.DECODED_PIXELS, decoded(lambda p: p[..., ::-1])),
    Fault("EXIF rotation applied", "decode", FEW_TASKS, StageKind.DECODED_PIXELS, decoded(lambda p: p[::-1, ::-1])),
    Fault("colour profile applied", "decode", FEW_TASKS, StageKind.DECODED_PIXELS, decoded(gamma)),
    Fault("nine pixels damaged", "decode", FEW_TASKS, StageKind.DECODED_PIXELS, decoded(spotted)),
    Fault(
        "grayscale conversion",
        "decode",
        FEW_TASKS,
        StageKind.DECODED_PIXELS,
        decoded(lambda p: np.repeat(p.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)),
    ),
    Fault(
        "a file holds another image",
        "decode",
        ("cams", "lime"),
        StageKind.IMAGE_BYTES,
        replaced(opened, "image_bytes", other_image),
    ),
    Fault(
        "masks are read shifted",
        "decode",
        ("cams", "hybrid"),
        StageKind.OBJECT_MASK,
        replaced(image_files, "_mask", mask_moved),
    ),
    Fault(
        "probe images off by one",
        "decode",
        ("dissection",),
        StageKind.PROBE_IMAGES,
        probed(lambda i, _: dataclasses.replace(i, pixels=off_by_one(i.pixels))),
        "2",
    ),
    Fault(
        "label maps among the images of the probe set",
        "dissection",
        ("dissection",),
        StageKind.PROBE_IMAGES,
        probed(
            lambda i, n: (
                i
                if n % 3
                else dataclasses.replace(i, pixels=np.repeat(i.labels[0][:, :, None] * 10, 3, axis=2).astype(np.uint8))
            )
        ),
        "22",
    ),
    Fault(
        "labels of the probe set off by one",
        "dissection",
        ("dissection",),
        StageKind.LABEL_MAPS,
        probed(lambda i, _: dataclasses.replace(i, labels=np.where(i.labels > 1, i.labels - 1, i.labels))),
        "25",
    ),
    Fault(
        "label maps upside down",
        "dissection",
        ("dissection",),
        StageKind.LABEL_MAPS,
        replaced(image_summary, "labels_in_view", lambda original: lambda *args: original(*args)[:, ::-1].copy()),
    ),
    Fault("resize without antialias", "resize", IMAGE_TASKS, StageKind.INPUT_TENSOR, resized(without_antialias), "1"),
    Fault("bicubic resize", "resize", FEW_TASKS, StageKind.INPUT_TENSOR, resized(by(Image.Resampling.BICUBIC)), "3"),
    Fault(
        "nearest neighbour resize", "resize", FEW_TASKS, StageKind.INPUT_TENSOR, resized(by(Image.Resampling.NEAREST))
    ),
    Fault("box filter resize", "resize", ("cams", "lime"), StageKind.INPUT_TENSOR, resized(by(Image.Resampling.BOX))),
    Fault(
        "V2 weights resize to another size", "resize", FEW_TASKS, StageKind.INPUT_TENSOR, preset(resize_size=70), "4"
    ),
    Fault("crop one pixel lower", "crop", FEW_TASKS, StageKind.INPUT_TENSOR, shifted_crop(1, 0)),
    Fault("crop one pixel to the side", "crop", ("cams", "hybrid"), StageKind.INPUT_TENSOR, shifted_crop(0, 1)),
    Fault(
        "crop in the corner", "crop", IMAGE_TASKS, StageKind.INPUT_TENSOR, replaced(FUNCTIONAL, "center_crop", top_left)
    ),
    Fault("BGR input", "colour order", EVERY, StageKind.INPUT_TENSOR, preparation(tensor=lambda t: t.flip(-3))),
    Fault(
        "green and blue change places",
        "colour order",
        ("cams", "dissection"),
        StageKind.INPUT_TENSOR,
        preparation(tensor=lambda t: t[[0, 2, 1]]),
    ),
    Fault("mean of another model", "normalisation", EVERY, StageKind.INPUT_TENSOR, preset(mean=(0.5, 0.5, 0.5))),
    Fault(
        "deviation of another model",
        "normalisation",
        ("cams", "lime"),
        StageKind.INPUT_TENSOR,
        preset(std=(0.5, 0.5, 0.5)),
    ),
    Fault(
        "normalised twice",
        "normalisation",
        FEW_AND_UNITS,
        StageKind.INPUT_TENSOR,
        preparation(tensor=lambda t: (t - 0.45) / 0.23),
    ),
    Fault(
        "scaled to 255",
        "normalisation",
        ("cams", "dissection"),
        StageKind.INPUT_TENSOR,
        preparation(tensor=lambda t: t * 255),
    ),
    Fault(
        "half a percent brighter",
        "normalisation",
        FEW_AND_UNITS,
        StageKind.INPUT_TENSOR,
        preparation(tensor=lambda t: t * 1.005),
    ),
    Fault(
        "nine values of the tensor",
        "normalisation",
        ("cams", "lime"),
        StageKind.INPUT_TENSOR,
        preparation(tensor=small_patch),
    ),
    Fault(
        "mirrored input",
        "crop",
        FEW_AND_UNITS,
        StageKind.INPUT_TENSOR,
        preparation(tensor=lambda t: t.flip(-1)),
    ),
    Fault(
        "input in half precision",
        "dtype",
        FEW_AND_UNITS,
        StageKind.INPUT_TENSOR,
        preparation(tensor=lambda t: t.half().float()),
    ),
    Fault(
        "input in bfloat16",
        "dtype",
        ("cams", "dissection"),
        StageKind.INPUT_TENSOR,
        preparation(tensor=lambda t: t.bfloat16().float()),
    ),
    Fault(
        "input of 7 bits",
        "dtype",
        ("cams", "lime"),
        StageKind.INPUT_TENSOR,
        preparation(tensor=lambda t: (t * 32).round() / 32),
    ),
    Fault(
        "lime sees another crop than Grad-CAM",
        "crop",
        LIME_TASKS,
        StageKind.VIEW,
        preparation(seen=lambda view: np.roll(view, 2, axis=1)),
    ),
    Fault(
        "lime's images are normalised in another way",
        "normalisation",
        LIME_TASKS,
        Stage(StageKind.INPUT_TENSOR, "views"),
        preparation(of_views=lambda tensor: tensor * 0.9),
    ),
    Fault(
        "lime's images are BGR",
        "colour order",
        LIME_TASKS,
        Stage(StageKind.INPUT_TENSOR, "views"),
        preparation(of_views=lambda t: t.flip(1)),
    ),
    Fault(
        "the decoder gives five bits a channel",
        "decode",
        ("cams", "lime"),
        StageKind.DECODED_PIXELS,
        decoded(in_five_bits),
    ),
    Fault("resize in linear light", "resize", ("cams", "lime"), StageKind.INPUT_TENSOR, resized(in_linear_light)),
    Fault("resize rounds down", "resize", ("cams", "lime_search"), StageKind.INPUT_TENSOR, resized(rounded_down)),
    Fault(
        "deviation of one channel",
        "normalisation",
        ("cams", "comparison", "dissection"),
        StageKind.INPUT_TENSOR,
        preparation(tensor=blue_deviation),
    ),
    Fault(
        "a deviation of lime's images is off by 2 %",
        "normalisation",
        ("lime", "comparison", "lime_search"),
        Stage(StageKind.INPUT_TENSOR, "views"),
        replaced(preprocessing, "normalised", lambda o: lambda v, mean, std: o(v, mean, [1.02 * std[0], *std[1:]])),
    ),
)
