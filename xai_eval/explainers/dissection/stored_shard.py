"""The observations of a shard as arrays and JSON values, and back. What does not fit together is refused, not used."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xai_eval.disk.typed import WrongValue, read_as
from xai_eval.explainers.dissection.batches import Skipped
from xai_eval.explainers.dissection.image_summary import LABEL_WIDTHS, ImageSummary, PackedLabels, Trace
from xai_eval.explainers.dissection.observations import LayerObservations, Observations, UnitMaps
from xai_eval.explainers.dissection.peaks import Peaks
from xai_eval.explainers.dissection.quantile import TopValues
from xai_eval.explainers.dissection.strongest_maps import SHOWN, StrongestMaps
from xai_eval.result.fields.stored_arrays import require_shape, stored_array

Arrays = Mapping[str, NDArray[Any]]
_LEAST_PACKED = 1_100
_TRACE_BYTES = len(Trace(bytes(32), np.zeros(51, np.float32)).pack())


@dataclass(frozen=True)
class _Top:
    """What is stored of the largest values of a layer besides their array."""

    m: int
    count: int


@dataclass(frozen=True)
class _Shard:
    """The JSON values of a shard.

    Attributes:
        skipped: name and reason of each image that could not be read.
        layers: one per layer; None for one without maps.
        seen: per preparation and image the lengths in bytes of trace, thumbnail and compressed label maps, the shape of
            the label maps, and their bytes per label; only the first two without label maps.
    """

    skipped: tuple[tuple[str, str], ...]
    layers: tuple[_Top | None, ...]
    seen: tuple[tuple[tuple[Any, ...], ...], ...]


def to_document(observations: Observations) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
    """Convert observations without their maps to arrays and JSON values; `from_document` is the inverse."""
    arrays: dict[str, NDArray[Any]] = {"positions": observations.positions}
    if observations.embeddings is not None:
        arrays["embeddings"] = observations.embeddings
    for index, layer in enumerate(observations.layers):
        arrays.update({f"{index}.{name}": array for name, array in _layer_arrays(layer).items()})
    for index, summaries in enumerate(observations.summaries):
        arrays[f"seen.{index}"] = np.frombuffer(b"".join(map(_bytes_of, summaries)), dtype=np.uint8)
    return arrays, {
        "skipped": [[each.name, each.reason] for each in observations.skipped],
        "layers": [_layer_meta(layer) for layer in observations.layers],
        "seen": [[_sizes(each) for each in summaries] for summaries in observations.summaries],
    }


def from_document(arrays: Arrays, meta: Any) -> Observations:
    """Build observations from the arrays and JSON values of `to_document`.

    Raises:
        ValueError: a value or an array is missing, of another type or shape, or does not fit the others.
    """
    shard: _Shard = read_as(_Shard, meta)
    positions = stored_array(arrays, "positions", "iu", axes=1)
    images = len(positions)
    if np.any(np.diff(positions) <= 0):
        raise WrongValue("are not in rising order; expected each image once", ".positions")
    return Observations(
        positions=positions,
        skipped=tuple(Skipped(name, reason) for name, reason in shard.skipped),
        embeddings=_rows(arrays, "embeddings", images) if "embeddings" in arrays else None,
        layers=tuple(_layer(_of_layer(arrays, index), top, positions) for index, top in enumerate(shard.layers)),
        summaries=tuple(
            tuple(_summaries(stored_array(arrays, f"seen.{index}", "iu", axes=1), sizes, images))
            for index, sizes in enumerate(shard.seen)
        ),
    )


def maps_to_arrays(maps: UnitMaps) -> dict[str, NDArray[Any]]:
    """Convert maps to arrays; `maps_from_arrays` is the inverse."""
    return {"units": maps.units, "images": maps.positions, "maps": maps.maps}


def maps_from_arrays(arrays: Arrays, positions: NDArray[Any], units: int) -> UnitMaps:
    """Build maps from the arrays of `maps_to_arrays`.

    Args:
        arrays: the arrays.
        positions: positions of the images that the maps may be of.
        units: number of units of the layer.

    Raises:
        ValueError: an array is missing, has another type or shape, or is of other images or units.
    """
    maps = stored_array(arrays, "maps", "f", axes=3)
    found = UnitMaps(stored_array(arrays, "units", "iu", axes=1), stored_array(arrays, "images", "iu", axes=1), maps)
    for name, each in (("units", found.units), ("images", found.positions)):
        require_shape(each, (len(maps),), name)
    if np.any((found.units < 0) | (found.units >= units)) or not np.isin(found.positions, positions).all():
        raise WrongValue("are of units or images that are not there; expected those of the shard", ".maps")
    return found


def _layer_arrays(layer: LayerObservations) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"activations": layer.activations}
    if layer.places is not None:
        arrays["places"] = layer.places
    if layer.peaks is not None:
        strongest = layer.peaks.strongest
        arrays["top"] = layer.peaks.top.values.cpu().numpy()
        arrays["strongest"], arrays["on"], arrays["strength"] = strongest.maps, strongest.positions, strongest.values
    return arrays


def _layer_meta(layer: LayerObservations) -> dict[str, int] | None:
    return None if layer.top is None else {"m": layer.top.m, "count": layer.top.count}


def _of_layer(arrays: Arrays, index: int) -> dict[str, NDArray[Any]]:
    prefix = f"{index}."
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _layer(arrays: Arrays, top: _Top | None, positions: NDArray[Any]) -> LayerObservations:
    activations = _rows(arrays, "activations", len(positions))
    places = _rows(arrays, "places", len(positions)) if "places" in arrays else None
    if top is None:
        return LayerObservations(activations, None, None, places)
    values = stored_array(arrays, "top", "f", axes=2)
    if len(values) != activations.shape[1] or not 0 <= values.shape[1] <= top.m:
        raise WrongValue(f"has the shape {values.shape}; expected at most {top.m} of each unit", ".top")
    found = TopValues(torch.from_numpy(values), top.m, top.count)
    return LayerObservations(activations, Peaks(found, _strongest(arrays, positions, len(values))), None, places)


def _strongest(arrays: Arrays, positions: NDArray[Any], units: int) -> StrongestMaps:
    maps = stored_array(arrays, "strongest", "f", axes=4)
    found = StrongestMaps(stored_array(arrays, "on", "iu", axes=2), stored_array(arrays, "strength", "f", axes=2), maps)
    kept = units, min(SHOWN, len(positions))
    require_shape(maps, (*kept, *maps.shape[2:]), "strongest")
    require_shape(found.positions, kept, "on")
    require_shape(found.values, kept, "strength")
    if not np.isin(found.positions, positions).all():
        raise WrongValue("are of images that are not there; expected those of the shard", ".on")
    return found


def _rows(arrays: Arrays, name: str, images: int) -> NDArray[Any]:
    """Return an array with a row per image."""
    found = stored_array(arrays, name, "f", axes=2)
    require_shape(found, (images, found.shape[1]), name)
    return found


def _bytes_of(summary: ImageSummary) -> bytes:
    return summary.trace.pack() + summary.thumbnail + (b"" if summary.labels is None else summary.labels.data)


def _sizes(summary: ImageSummary) -> list[Any]:
    sizes = [len(summary.trace.pack()), len(summary.thumbnail)]
    packed = summary.labels
    return sizes if packed is None else [*sizes, len(packed.data), list(packed.shape), packed.width]


def _are_sizes(labels: Sequence[Any]) -> bool:
    """Whether length, shape and width of packed label maps are possible; zlib packs to a thousandth at best."""
    packed, shape, width = labels
    unpacked = width * math.prod(shape)
    return bool(
        packed >= 0 and min(shape) >= 0 and width in LABEL_WIDTHS and unpacked <= _LEAST_PACKED * max(packed, 1)
    )


def _summaries(joined: NDArray[np.uint8], sizes: Sequence[Sequence[Any]], images: int) -> Iterator[ImageSummary]:
    if len(sizes) != images:
        raise WrongValue(f"has {len(sizes)} entries; expected one per image, {images}", ".seen")
    data = io.BytesIO(joined.tobytes())
    for each in sizes:
        kind = tuple[int, int] if len(each) == 2 else tuple[int, int, int, tuple[int, int, int], int]
        length, thumbnail, *labels = read_as(kind, list(each))
        if length != _TRACE_BYTES or thumbnail < 0 or (labels and not _are_sizes(labels)):
            raise WrongValue("says an impossible length; expected those of trace, thumbnail and label maps", ".seen")
        trace, drawn = Trace.unpack(data.read(length)), data.read(thumbnail)
        yield ImageSummary(trace, drawn, PackedLabels(labels[1], data.read(labels[0]), labels[2]) if labels else None)
    if data.tell() != joined.size or data.read(1):
        raise WrongValue(f"does not divide {joined.size} bytes; expected the lengths of all parts", ".seen")
