"""What a fault and a benign change are, and the ways in which they are put into the code under test."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
import pytest
import torch
from PIL import Image

from xai_eval import Classifier
from xai_eval.result.fields import Table, Tally
from xai_eval.result.stage import Stage, StageKind

Inject = Callable[[Classifier], AbstractContextManager[Classifier]]

IMAGE_TASKS = ("cams", "lime", "comparison", "hybrid", "lime_search")
LIME_TASKS = ("lime", "comparison", "hybrid", "lime_search")
ALL_TASKS = (*IMAGE_TASKS, "dissection")
# What comes before the explainers is made by one code for all tasks on images, so that two of them show its faults, and
# one fault of each stage is tried in all.
FEW_TASKS = ("cams", "comparison")
FEW_AND_UNITS = (*FEW_TASKS, "dissection")
# The bundled models that faults are tried on: a small ResNet, and small transformers with a class token, with the mean
# of all tokens, and with windows.
RESNET, VIT, POOLED, SWIN = "scenes:objects", "scenes:vit", "scenes:vit_pooled", "scenes:swin"
# The error of this package that a run ends with counts as noticed; it names no stage.
ERROR: Final = "error"
Expected = Stage | StageKind | str


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        name: what goes wrong.
        kind: one of `KINDS` of `test_faults`.
        tasks: that it can touch.
        stage: at which it must be placed, or of which kind that must be; `ERROR` where the run must refuse, and
            `metric` with a name where it must refuse that metric, `trial` with a step where a library breaks.
        inject: puts it into place for a classifier, and yields the classifier to evaluate.
        source: number of the incident it repeats, if it is one.
        models: that it is tried on.
        parameters: of the task, in place of those of the bench; the golden is made with them as well.
    """

    name: str
    kind: str
    tasks: tuple[str, ...]
    stage: Expected
    inject: Inject
    source: str = ""
    models: tuple[str, ...] = (RESNET,)
    parameters: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def upgrade(self) -> bool:
        """Whether other weights are on record, as after an upgrade on purpose.

        What follows from them is then expected to move. So such a fault must be noticed and placed under the policy
        that every stage must hold, and under the usual policy it must be told.
        """
        return getattr(self.inject, "on_record", False)


@dataclass(frozen=True)
class Benign:
    """A change that must raise no alarm. `options` replace parameters of the tasks."""

    name: str
    tasks: tuple[str, ...]
    inject: Inject
    options: dict[str, Any] = dataclasses.field(default_factory=dict)


def replaced(place: Any, attribute: str, make: Callable[[Any], Any]) -> Inject:
    """Replace an attribute of a module or class by what `make` makes of it."""

    @contextmanager
    def inject(classifier: Classifier) -> Iterator[Classifier]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(place, attribute, make(getattr(place, attribute)))
            yield classifier

    return inject


def everywhere(original: Any, make: Callable[[Any], Any]) -> Inject:
    """Replace a function wherever a module of ours has imported it by its name, as if its own code had changed."""

    @contextmanager
    def inject(classifier: Classifier) -> Iterator[Classifier]:
        changed = make(original)
        modules = [module for name, module in list(sys.modules.items()) if name.startswith("xai_eval")]
        with pytest.MonkeyPatch.context() as patch:
            for module in modules:
                for attribute, value in list(vars(module).items()):
                    if value is original:
                        patch.setattr(module, attribute, changed)
            yield classifier

    return inject


def changed(change: Callable[[Classifier], Classifier | None]) -> Inject:
    """Change the classifier itself, or return another one."""

    def inject(classifier: Classifier) -> AbstractContextManager[Classifier]:
        return nullcontext(change(classifier) or classifier)

    return inject


def both(*injections: Inject) -> Inject:
    """Put several injections into place at once."""

    @contextmanager
    def inject(classifier: Classifier) -> Iterator[Classifier]:
        if not injections:
            yield classifier
            return
        with injections[0](classifier) as first, both(*injections[1:])(first) as last:
            yield last

    return inject


@dataclass(frozen=True)
class Altered:
    """A preparation whose tensors, views or tensors made from views are not what they were; it says nothing of it."""

    base: Any
    tensor: Callable[[torch.Tensor], torch.Tensor] = lambda tensor: tensor
    drawn: Callable[[Image.Image], Image.Image] = lambda image: image
    seen: Callable[[Any], Any] = lambda view: view
    of_views: Callable[[torch.Tensor], torch.Tensor] = lambda tensor: tensor

    def __call__(self, image: Image.Image) -> torch.Tensor:
        return self.tensor(self.base(self.drawn(image)))

    def view(self, image: Image.Image) -> Any:
        return self.seen(self.base.view(self.drawn(image)))

    def from_view(self, views: torch.Tensor) -> torch.Tensor:
        return self.of_views(self.base.from_view(views))

    def mask(self, mask: Any) -> Any:
        return self.base.mask(mask)

    def describe(self) -> dict[str, Any]:
        return dict(self.base.describe())


def preparation(**changes: Any) -> Inject:
    """Replace parts of the classifier's preparation."""
    return changed(lambda c: dataclasses.replace(c, preprocess=Altered(c.preprocess, **changes)))


def module_changed(change: Callable[[torch.nn.Module], None]) -> Inject:
    """Change the module in memory, after its weights were read."""

    def apply(classifier: Classifier) -> None:
        with torch.no_grad():
            change(classifier.module)

    return changed(apply)


def weights_changed(change: Callable[[torch.nn.Module], None]) -> Inject:
    """Change the module's weights as another file would: their digest is taken again."""

    def apply(classifier: Classifier) -> Classifier:
        with torch.no_grad():
            change(classifier.module)
        return dataclasses.replace(classifier, weights_digest="")

    inject = changed(apply)
    inject.on_record = True
    return inject


def scaled(factor: Any) -> Any:
    """What is called gives what `factor` makes of it."""
    return lambda original: lambda *args, **options: factor(original(*args, **options))


def reframed(table: Table, frame: pd.DataFrame) -> Table:
    """Return a table with another frame, judged alike."""
    if isinstance(table, Tally):
        return Tally(frame, table.tolerance, cut=table.cut)
    return type(table)(frame, table.tolerance, table.unjudged, table.possible)


def column(name: str, change: Callable[[pd.DataFrame], Any]) -> Any:
    """Change one column of the table that a function returns; `change` gets the whole frame."""
    return scaled(lambda table: reframed(table, table.frame.assign(**{name: change(table.frame)})))
