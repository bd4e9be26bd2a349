"""What is known of an attribution method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from xai_eval.explainers.attribution.question import Question, Settings
from xai_eval.metrics.localisation import half_cell


@dataclass(frozen=True)
class Method:
    """One method.

    Attributes:
        name: name of the method and of its map.
        attribute: computes an attribution (1, C, H, W) or a map (1, h, w) of a question.
        settings: names of the settings that it reads. They identify its results.
        complete: whether the attribution adds up to the score of the image less that of the baseline, but for rounding
            and sampling.
        may_refuse: whether only a call shows if it can explain a model.
        libraries: names of the distributions that compute it, besides torch.
        spec: how a method of the user is recorded in the case, without paths of this machine; empty for bundled ones.
        digest: sha256 of the file of a method of the user.
    """

    name: str
    attribute: Callable[[Question], Tensor]
    settings: tuple[str, ...] = ()
    complete: bool = False
    may_refuse: bool = False
    libraries: tuple[str, ...] = ()
    spec: str = ""
    digest: str = ""

    @property
    def needs_baseline(self) -> bool:
        """Whether it compares the image with a baseline."""
        return "baseline" in self.settings

    def margin(self, cells: tuple[int, int], shape: tuple[int, int], settings: Settings) -> tuple[int, int]:
        """Return the rows and columns by which the hottest pixel may miss a place: half of what one value stands for.

        Args:
            cells: shape of what the method gives, (h, w).
            shape: shape of the input, (H, W).
            settings: the settings of the run.
        """
        if "window" not in self.settings:
            return (0, 0) if cells == shape else half_cell(cells, shape)
        from xai_eval.explainers.attribution.captum_methods import window_side

        half = window_side(*shape, settings.window) // 2
        return half, half
