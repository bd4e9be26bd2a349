"""Everything that a result is made from, as digests and texts: equal contents give equal results.

What no digest can know (a file that code of the user reads, a variable of the environment) shows in the stages that a
resumed run computes again, or in the result that it computes again, see `run/resume.py`.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import inspect
import json
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xai_eval.disk.door import read_bytes
from xai_eval.inputs.downloads import file_sha256
from xai_eval.inputs.models.precision import computing_in
from xai_eval.result.precisions import DEFAULT
from xai_eval.tasks.image.environment import device_name, precision_flags

if TYPE_CHECKING:
    import torch

    from xai_eval.inputs.images.labelled import ImageSet, LabelledImage
    from xai_eval.inputs.models.classifier import Classifier
    from xai_eval.store.made_from import Contents
    from xai_eval.tasks import Task

_INSTALLED = ("site-packages", "dist-packages")
_PACKAGE = Path(__file__).parent.parent


@dataclass(frozen=True, eq=False)
class Sources:
    """What the results of one task are made from.

    Attributes:
        task: the task.
        classifier: the model.
        images: the images.
        params: parameters as they were given.
        precision: the precision that is asked for.
    """

    task: Task
    classifier: Classifier
    images: ImageSet
    params: Mapping[str, Any]
    precision: str = DEFAULT

    def of_image(self, image: LabelledImage) -> Contents:
        """Return what the result of one image is made from."""
        return {**self.shared, "the image": image.digest, "its name, class and mask": _known_of(image)}

    @property
    def has_code_of_user(self) -> bool:
        """Whether the task, or a function that its parameters name, is of the user: it may depend on anything."""
        own = not inspect.unwrap(self.task.function).__module__.startswith("xai_eval.tasks.")
        return own or any(_code_named(text) for text in _texts(self.params))

    @functools.cached_property
    def by_input(self) -> Mapping[str, LabelledImage]:
        """The images by the inputs of their cases."""
        return {f"{self.images.name}/{image.name}": image for image in self.images.images}

    @functools.cached_property
    def of_set(self) -> Contents:
        """What the results of all images together are made from."""
        every = "\n".join(f"{image.digest} {_known_of(image)}" for image in self.images.images)
        return {**self.shared, "the images": _digest(every)}

    @functools.cached_property
    def shared(self) -> Contents:
        """What all results of the task are made from."""
        with computing_in(self.precision, self.classifier.device):
            process = of_process(self.classifier.device)
        return {
            "task": self.task.name,
            "model": self.classifier.name,
            "image set": self.images.name,
            "the parameters": _digest("\n".join(_described(self.params))),
            **_of_model(self.classifier),
            "the code of the task": _digest_files(_code_near(Path(_file_of(self.task)))),
            "the code of the model": _digest_files(_code_of(self.classifier)),
            **process,
        }


def _known_of(image: LabelledImage) -> str:
    return _digest(f"{image.name}\n{image.intended}\n{image.mask_digest}")


def _described(value: Any) -> Iterator[str]:
    """Yield a parameter as text, and the digests of files that it names."""
    yield json.dumps(value, sort_keys=True, default=repr)
    for text in _texts(value):
        if os.path.isfile(text):  # noqa: PTH113 (unlike `Path.is_file`, it takes any text)
            yield file_sha256(Path(text))
        file = _code_named(text)
        if file is not None:
            yield _digest_files(_code_near(file))


def _code_named(text: str) -> Path | None:
    """Return the file of a function of the user that a parameter names, such as `file:mine.py:my_map`."""
    kind, _, rest = text.partition(":")
    return Path(rest.rpartition(":")[0]) if kind == "file" and rest.count(":") else None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str | os.PathLike):
        yield os.fspath(value)
    elif isinstance(value, Mapping):
        yield from (text for each in value.values() for text in _texts(each))
    elif isinstance(value, list | tuple):
        yield from (text for each in value for text in _texts(each))


def _of_model(classifier: Classifier) -> Contents:
    from xai_eval.inputs.models.model_description import describe_model

    described = describe_model(classifier.module, classifier.block_digests)
    return {
        "the weights": classifier.weights_digest,
        "the layers of the model": _digest(f"{described.module_types}\n{described.hooks}"),
        "the preprocessing": _digest(json.dumps(classifier.preprocess.describe(), sort_keys=True, default=repr)),
        "the class names": _digest(repr((classifier.class_names, classifier.class_ids))),
    }


def of_process(device: torch.device) -> Contents:
    """Return what all results that this process computes on a device are made from."""
    import torch

    machine = {
        "python": platform.python_version(),
        "machine": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
        "device": device_name(device),
        "threads": str(torch.get_num_threads()),
        "the settings of precision": json.dumps(precision_flags(device), sort_keys=True),
    }
    return {**machine, **_installed()}


@functools.cache
def _installed() -> Contents:
    """Return the versions of all installed libraries, because nobody knows which of them a task uses."""
    # Ray puts a folder with libraries of its own on the path of every process that uses it.
    places = [place for place in sys.path if Path(place).name != "thirdparty_files"]
    found = {str(each.metadata["Name"]): str(each.version) for each in importlib.metadata.distributions(path=places)}
    own = {"the code of xai_eval": _digest_files(sorted(_PACKAGE.rglob("*.py")))}
    return {**own, **{f"library {name}": found[name] for name in sorted(found)}}


def _file_of(task: Task) -> str:
    return str(inspect.unwrap(task.function).__code__.co_filename)


def _code_of(classifier: Classifier) -> list[Path]:
    """Return the files with the code of a model: those of its modules, and all that its factory can import."""
    functions = (getattr(type(part).forward, "__code__", None) for part in classifier.module.modules())
    files = {Path(code.co_filename) for code in functions if code is not None}
    own = [file for file in files if not _is_installed(file)]
    return sorted({*files, *(near for file in own for near in _code_near(file))})


def _code_near(file: Path) -> list[Path]:
    """Return a file and the Python files that it can import by their names: beside it, and in folders beside it."""
    if _is_installed(file) or not file.is_file():
        return [file] if file.is_file() else []
    found = []
    for place, folders, names in os.walk(file.parent):
        own = [name for name in names if name.endswith(".py")]
        # A folder without a Python file is no package, such as a folder of images or a virtual environment.
        folders[:] = [] if not own else sorted(each for each in folders if not each.startswith((".", "__pycache__")))
        found += [Path(place) / name for name in own]
    return sorted(found)


def _is_installed(file: Path) -> bool:
    return any(part in _INSTALLED for part in file.parts) or _PACKAGE in file.parents


def _digest_files(files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        if file.is_file():
            digest.update(f"{file.name}\n".encode("utf-8", "surrogateescape") + read_bytes(file, follow=True))
    return digest.hexdigest()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
