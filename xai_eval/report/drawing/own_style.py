"""Draw with matplotlib's own settings, whatever a `matplotlibrc` or a style in the working directory says.

Such a file comes with a checkout. It can make matplotlib start LaTeX, evaluate long expressions or read other files.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from xai_eval.errors import UsageError, error_line

_BACKEND = "MPLBACKEND"


def import_matplotlib() -> None:
    """Import matplotlib in a folder that no checkout is in: it reads the `matplotlibrc` there when it is imported.

    Raises:
        UsageError: the environment names a backend that matplotlib does not know.
    """
    if "matplotlib" in sys.modules:
        return
    with contextlib.chdir(Path(os.__file__).parent):
        try:
            import matplotlib  # noqa: F401
        except ValueError as error:
            named = os.environ.get(_BACKEND, "")
            raise UsageError(
                f"matplotlib cannot be imported while the environment variable {_BACKEND} is {named!r}: "
                f"{error_line(error)}. Remove the variable, or set it to agg."
            ) from error


@contextlib.contextmanager
def own_style() -> Iterator[None]:
    """Draw with the settings that matplotlib is published with while the context is open."""
    import matplotlib

    # Which backend opens windows is no part of a style: figures are drawn without one.
    usual = {name: value for name, value in matplotlib.rcParamsDefault.items() if not name.startswith("backend")}
    with matplotlib.rc_context(usual):
        yield
