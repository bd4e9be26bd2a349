"""Finds the metrics that have known answers, and replaces them wherever they are used."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

from xai_eval.tasks.reference.known_arguments import KNOWN_ARGUMENTS

MODULES = tuple(KNOWN_ARGUMENTS)
METRICS = [(module, metric) for module, every in KNOWN_ARGUMENTS.items() for metric in every]


def function(module: str, metric: str) -> Callable[..., Any]:
    return getattr(importlib.import_module(f"xai_eval.{module}"), metric)


def replace_everywhere(monkeypatch, right: Callable[..., Any], other: Callable[..., Any]) -> None:
    """Replace a function wherever a module has imported it, as if its own code had changed."""
    for name, module in list(sys.modules.items()):
        if name.startswith("xai_eval"):
            for attribute in [attribute for attribute, value in vars(module).items() if value is right]:
                monkeypatch.setattr(module, attribute, other)
