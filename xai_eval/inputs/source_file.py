"""Makes modules of files of the user, always of what the file holds now."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType


class _Source(SourceFileLoader):
    """Compiles a file each time, and keeps nothing.

    Bytecode that Python keeps beside a file counts as fresh if the file has the same size and was changed in the same
    second. Other weights, set by another digit, would go unnoticed.
    """

    def get_code(self, fullname: str) -> CodeType:
        """Compile the file."""
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def spec_of_source(name: str, path: Path) -> ModuleSpec | None:
    """Return what a module of this name is made of; None if the file is not Python by its suffix."""
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is not None and type(spec.loader) is SourceFileLoader:
        spec.loader = _Source(name, str(path))
    return spec
