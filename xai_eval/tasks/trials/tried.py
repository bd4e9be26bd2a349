"""Names the library if one breaks inside a trial: neither the model nor the image of the user can be the cause."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib import metadata

from xai_eval.errors import LibraryMisbehaves, error_line


@contextmanager
def tried(step: str, library: str) -> Iterator[None]:
    """Raise LibraryMisbehaves if the code inside the context raises.

    Args:
        step: what is tried, such as `the map of gradcam`.
        library: name of the distribution that computes it.

    Raises:
        LibraryMisbehaves: anything was raised, also an error of this package, which would blame a model.
    """
    try:
        with _on_the_cpu():
            yield
    except (Exception, SystemExit) as error:
        raise LibraryMisbehaves(
            step,
            library,
            f"{library} {_version(library)} breaks in a trial: {step} was to be computed on a small network and image "
            f"that never change, but it raised {error_line(_first(error)).rstrip('.')}. So neither your model nor your "
            f"image is the cause. Install another version of {library} (the one that the goldens were accepted with is "
            "in their provenance), or report this with `xai-eval --version`.",
        ) from error


def _on_the_cpu() -> AbstractContextManager[object]:
    """Return a context in which new tensors are made on the CPU, as what is tried is, whatever the default device."""
    import torch

    return nullcontext() if torch.get_default_device().type == "cpu" else torch.device("cpu")


def _first(error: BaseException) -> BaseException:
    """Return what an error of this package was raised from."""
    return error.__cause__ or error


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "of an unknown version"
