"""Calls of a user's model: whatever it raises becomes an error of this package that names it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from xai_eval.errors import ModelMisbehaves, XaiEvalError, error_line


@contextmanager
def guarded(model: str, shape: Sequence[int], under: str = "") -> Iterator[None]:
    """Turn what a model raises into ModelMisbehaves; errors of this package and KeyboardInterrupt pass.

    Args:
        model: its name.
        shape: of the input that it is given.
        under: the method that calls it, where that is not this package itself.

    Raises:
        ModelMisbehaves: anything else was raised, sys.exit() included, which would end the command as if all were well.
    """
    try:
        yield
    except XaiEvalError:
        raise
    except (Exception, SystemExit) as error:
        raise ModelMisbehaves(
            f"{model} fails{f' under {under}' if under else ''} on a batch of shape {tuple(shape)}: "
            f"{error_line(error)}. Check that the model takes such a batch."
        ) from error
