"""A table of a configuration file that can change what a check or a run of pytest says."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xai_eval.disk.strict_toml import parse_toml


@dataclass(frozen=True)
class Configuration:
    """A table of a configuration file.

    Attributes:
        file: the file; it may be missing.
        tables: names of the tables that lead to it; none if it is the whole file.
    """

    file: Path
    tables: tuple[str, ...]

    @property
    def of_pytest(self) -> bool:
        """Whether pytest reads it."""
        return any("pytest" in name for name in self.tables)

    def parsed(self, content: bytes) -> Mapping[str, Any]:
        """Return what a file holds. Raises ValueError if it cannot be read."""
        if self.file.suffix == ".toml":
            return parse_toml(content)
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(content.decode("utf-8-sig"))
        except configparser.Error as error:
            raise ValueError(error) from error
        return {name: dict(parser[name]) for name in parser.sections()}
