"""What code of a user leaves behind in the process, and what the machine has no room for: nothing is passed unseen."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from hostile import documents
from hostile.attack import Attack
from hostile.hostile_run import at, said
from hostile.work import prepare
from PIL import Image, ImageFile
from torch import nn

from xai_eval.errors import InputUnavailable, ModelMisbehaves, unknown_name
from xai_eval.gate import processes
from xai_eval.inputs.images.decode import decode
from xai_eval.inputs.models.first_answers import first_answers
from xai_eval.inputs.models.model_description import describe_model
from xai_eval.inputs.models.model_errors import as_model_error
from xai_eval.inputs.models.model_state import lent

_HALF, _TYPES, _IMAGES = "half-done work", "types", "images"
_OUTSIDE_OF_CI = {"CI": None, "GITHUB_ACTIONS": None, "GITLAB_CI": None}
_FORMATS = {"JPEG": ".jpg", "GIF": ".gif", "BMP": ".bmp", "PPM": ".ppm", "TGA": ".tga", "TIFF": ".tif"} | {
    "JPEG2000": ".jp2",
    "ICO": ".ico",
}


@contextmanager
def _lenient() -> Iterator[None]:
    """The usual line of training code, and a limit that is far too low."""
    with mock.patch.object(ImageFile, "LOAD_TRUNCATED_IMAGES", True), mock.patch.object(Image, "MAX_IMAGE_PIXELS", 1):
        yield
        if (ImageFile.LOAD_TRUNCATED_IMAGES, Image.MAX_IMAGE_PIXELS) != (True, 1):
            raise AssertionError("settings of the user were changed for good")


def _half_an_image(kind: str, folder: Path) -> str | None:
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    whole = io.BytesIO()
    Image.fromarray(pixels).save(whole, kind)
    path = folder / f"photo{_FORMATS[kind]}"
    with _lenient():
        path.write_bytes(whole.getvalue())
        decode(path)
        path.write_bytes(whole.getvalue()[: int(len(whole.getvalue()) * 0.95)])
        try:
            decode(path)
        except InputUnavailable as error:
            return None if path.name in str(error) else f"the error says {error}"
    return "half an image was decoded"


def _labels_under_another_name(folder: Path) -> str | None:
    """Tests may keep labels of units under any name; figures know two."""
    documents.repository(folder)
    with at(folder, _OUTSIDE_OF_CI):
        ended = said("check", "run")
    return None if ended.code == 0 and "Traceback" not in ended.err else f"{ended.code}: {ended.err[-300:]}"


def _no_page(error: Exception, traceback: bool, folder: Path) -> str | None:
    """The page cannot be drawn: the verdicts are printed all the same."""
    prepare(folder)
    with at(folder, _OUTSIDE_OF_CI), mock.patch("xai_eval.report.write.write_report", side_effect=error):
        ended = said("check")
    right = ended.code == 1 and "explain-drift" not in ended.err and "FAILED" in ended.out
    told = "cannot be drawn" in ended.err and ("Traceback" in ended.err) is traceback
    return None if right and told else f"{ended.code}: {ended.out[-200:]} {ended.err[-300:]}"


def _closed_by_tasks(code: str, folder: Path) -> str | None:
    """A file of the user closes the streams of the command that runs it."""
    (folder / "tasks.py").write_text(f"import sys\n{code}\n")
    with at(folder, {}):
        ended = said("list", "--tasks", "tasks.py")
    return None if ended.code == 2 and "registers no task" in ended.err else f"{ended.code}: {ended.err[-300:]}"


def _few_processes(allowed: int, folder: Path) -> str | None:
    """The system refuses to start another process, as in a container with a limit of processes."""
    started, fork = 0, os.fork

    def limited() -> int:
        nonlocal started
        started += 1
        if started > allowed:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return fork()

    with mock.patch.object(os, "fork", limited), mock.patch.object(processes, "process_count", lambda: 3):
        done = list(processes.over(abs, range(-600, 0)))
    return None if done == list(range(600, 0, -1)) else f"{len(done)} of 600"


def _goldens_among_results(folder: Path) -> str | None:
    """The next run removes what lies there."""
    prepare(folder)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (folder / "xai_eval.toml").write_text('golden = "reports/results"\n')
    for words in (("accept", "--all", "--reason", "x"), ("run", "cams"), ("check",), ("prune",)):
        with at(folder, _OUTSIDE_OF_CI):
            ended = said(*words)
        if ended.code != 2 or "cannot hold goldens" not in ended.err:
            return f"{words[0]}: {ended.code}: {ended.err[-300:]}"
    return None if all(path.read_bytes() == content for path, content in before.items()) else "something changed"


def _net(buffer: torch.Tensor) -> nn.Module:
    made = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    made.register_buffer("buffer", buffer)
    return made


def _buffer_without_values(folder: Path) -> str | None:
    try:
        first_answers(_net(torch.empty(3, device="meta")), (1, 3, 2, 2), None, None, "net")
    except ModelMisbehaves as error:
        return None if "without values: 'buffer'" in str(error) else f"the error says {error}"
    return "it is explained"


def _sparse_buffer(folder: Path) -> str | None:
    """It is put back after a library used the model."""
    net = _net(torch.eye(3).to_sparse())
    with lent(net):
        net.get_buffer("buffer").mul_(0)
    return None if torch.equal(net.get_buffer("buffer").to_dense(), torch.eye(3)) else "it is changed for good"


def _described(buffer: torch.Tensor) -> object:
    return describe_model(_net(buffer)).plain_weights


def _imaginary_part(folder: Path) -> str | None:
    one, other = (torch.tensor([complex(1, imaginary)]) for imaginary in (2, 3))
    return "they look the same" if _described(one) == _described(other) else None


def _no_memory(error: Exception, folder: Path) -> str | None:
    try:
        with as_model_error("net", (1, 3, 224, 224)):
            raise error
    except ModelMisbehaves as told:
        return None if "The memory is used up" in str(told) else f"it says {told}"


def _nothing_defined(folder: Path) -> str | None:
    told = str(unknown_name("factory", "net", [], hint="It must define one."))
    return None if told == "unknown factory 'net'. It must define one." else told


_CLOSING = (
    "sys.stdout.close()",
    "sys.stdout.close(); sys.stderr.close()",
    "with sys.stdout: print('x')",
)
_TRIED: tuple[tuple[str, str, str, Callable[[Path], str | None]], ...] = (
    *(
        (f"half a {kind} where Pillow is told to forgive", _IMAGES, "refused", partial(_half_an_image, kind))
        for kind in _FORMATS
    ),
    *(
        (f"a file of tasks: {code}", _HALF, "the command can still speak", partial(_closed_by_tasks, code))
        for code in _CLOSING
    ),
    *(
        (f"a limit of {allowed} more processes", _HALF, "all is judged", partial(_few_processes, allowed))
        for allowed in (0, 1)
        if sys.platform == "linux"
    ),
    ("a page that raises", _HALF, "verdicts, and the traceback", partial(_no_page, IndexError("odd"), True)),
    ("a page without memory", _HALF, "verdicts, and one sentence", partial(_no_page, MemoryError("odd"), False)),
    ("goldens among the results of a run", _HALF, "refused, nothing changed", _goldens_among_results),
    ("a buffer on the device meta", _TYPES, "refused", _buffer_without_values),
    ("a sparse buffer", _TYPES, "put back", _sparse_buffer),
    ("another imaginary part of a weight", _TYPES, "told apart", _imaginary_part),
    *(
        (f"a model out of memory: {error!r}", "cost", "the memory is the reason", partial(_no_memory, error))
        for error in (MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"))
    ),
    ("a file without any function", _TYPES, "no list of nothing", _nothing_defined),
)
ATTACKS = (
    *(Attack(*each) for each in _TRIED),
    Attack(
        "labels of units under another name",
        _TYPES,
        "a page without their figure",
        _labels_under_another_name,
        slow=True,
    ),
)
