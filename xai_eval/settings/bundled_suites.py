"""Suites that come with this package: what they run is fixed; folders and device are those of the repository."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from xai_eval.disk.door import read_bytes
from xai_eval.disk.strict_toml import parse_toml
from xai_eval.errors import unknown_name
from xai_eval.settings.find import Document
from xai_eval.settings.read import read_settings
from xai_eval.settings.settings import Settings

_SUITES = Path(__file__).parent / "suites"


def bundled_suites() -> tuple[str, ...]:
    """Return the names of the bundled suites, sorted."""
    return tuple(sorted(file.stem for file in _SUITES.glob("*.toml")))


def bundled_suite(name: str, own: Settings) -> Settings:
    """Return a bundled suite.

    Args:
        name: its name, such as `study`.
        own: the settings of the repository; its folders, device, precision and tolerances hold for the suite, too.

    Raises:
        UsageError: there is no such suite.
    """
    if name not in bundled_suites():
        raise unknown_name("bundled suite", name, bundled_suites())
    file = _SUITES / f"{name}.toml"
    suite = read_settings(Document(file, parse_toml(read_bytes(file, follow=True))))
    return dataclasses.replace(
        suite,
        root=own.root,
        golden=own.golden,
        reports=own.reports,
        device=own.device,
        precision=own.precision,
        engine=own.engine,
        tolerances=own.tolerances,
    )
