"""What is kept of the maps of a layer: the largest values of each unit, and its maps on a few images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from xai_eval.explainers.dissection.quantile import TopValues
from xai_eval.explainers.dissection.strongest_maps import StrongestMaps


@dataclass(frozen=True, eq=False)
class Peaks:
    """The peaks of the J units of a layer over some images.

    Attributes:
        top: the largest values of each unit over all places, which tell its threshold.
        strongest: its maps on the images on which it is most active.
    """

    top: TopValues
    strongest: StrongestMaps

    @property
    def on_cpu(self) -> Peaks:
        """The same in the memory of the processor."""
        return replace(self, top=replace(self.top, values=self.top.values.cpu()))

    @staticmethod
    def merged(parts: Sequence[Peaks]) -> Peaks:
        """Return the peaks over the images of all parts, whose positions follow each other.

        Raises:
            ValueError: the parts are of different layers.
        """
        top = TopValues.merged([part.top for part in parts])
        return Peaks(top, StrongestMaps.merged([part.strongest for part in parts]))


LayerPeaks = tuple[Peaks | None, ...]  # one per layer; None for one without maps; empty for no images


def merged_peaks(peaks: LayerPeaks, others: LayerPeaks) -> LayerPeaks:
    """Merge the peaks of each layer over two sets of images, of which the others follow."""
    if not peaks or not others:
        return peaks or others
    return tuple(
        None if one is None or other is None else Peaks.merged([one, other])
        for one, other in zip(peaks, others, strict=True)
    )
