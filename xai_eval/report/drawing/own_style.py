"""Draw with matplotlib's own settings, whatever a `matplotlibrc` or a style in the working directory says.

Such a file comes with a checkout. It can make matplotlib start LaTeX, evaluate long expressions or read other files.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path


def import_matplotlib() -> None:
    """Import matplotlib in a folder that no checkout is in: it reads the `matplotlibrc` there when it is imported."""
    if "matplotlib" not in sys.modules:
        with contextlib.chdir(Path(os.__file__).parent):
            import matplotlib  # noqa: F401


@contextlib.contextmanager
def own_style() -> Iterator[None]:
    """Draw with the settings that matplotlib is published with while the context is open."""
    import matplotlib

    # Which backend opens windows is no part of a style: figures are drawn without one.
    usual = {name: value for name, value in matplotlib.rcParamsDefault.items() if not name.startswith("backend")}
    with matplotlib.rc_context(usual):
        yield
