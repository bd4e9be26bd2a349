"""Reads the next images, and does other work that needs no model, while the model works on an image."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from xai_eval.inputs.images.lazy_image import read_ahead
from xai_eval.inputs.steps import Steps, Turn, held

if TYPE_CHECKING:
    from xai_eval.inputs.images.labelled import LabelledImage
    from xai_eval.result.result import Result


@dataclass(frozen=True, eq=False)
class _Ahead:
    """An image that was read ahead, with what returns its prepared form."""

    image: LabelledImage
    prepared: Callable[[], Any]


@dataclass(frozen=True, eq=False)
class _Asked:
    """An image with what the model answered."""

    image: LabelledImage
    answers: Any


def beside_the_model(
    explained: Callable[[LabelledImage], Result],
    asked: Callable[[LabelledImage, Turn[Any]], Any],
    apart: Steps[LabelledImage, Any, Any, Result] | None,
) -> Steps[LabelledImage, Any, Any, Result]:
    """Return the steps that explain an image as `explained` does, and raise the same errors in the same order.

    Args:
        explained: explains an image, in one step.
        asked: does the one step of `apart` that uses the model.
        apart: explains an image in steps; None if only reading can be done beside the model.
    """
    return _reading(explained) if apart is None else _working(asked, apart)


def _reading(explained: Callable[[LabelledImage], Result]) -> Steps[LabelledImage, LabelledImage, Result, Result]:
    """Only reading is done beside the model."""
    return Steps(
        lambda image: read_ahead(image) or image,
        lambda _, turn: explained(turn.prepared()),
        lambda _, result: result,
    )


def _working(
    asked: Callable[[LabelledImage, Turn[Any]], Any], apart: Steps[LabelledImage, Any, Any, Result]
) -> Steps[LabelledImage, Any, Any, Result]:
    def prepare(image: LabelledImage) -> _Ahead:
        read = read_ahead(image)
        if read is None:  # it is prepared when its turn comes
            return _Ahead(image, partial(apart.prepare, image))
        return _Ahead(read, held(partial(apart.prepare, read)))

    def ask(_: LabelledImage, turn: Turn[_Ahead]) -> _Asked:
        own = turn.prepared()
        return _Asked(own.image, asked(own.image, Turn(own.prepared, turn.ahead)))

    return Steps(prepare, ask, lambda _, done: apart.finish(done.image, done.answers))
