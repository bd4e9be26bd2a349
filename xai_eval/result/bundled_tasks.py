"""The names of the tasks of this package, which rooms that read Results need as well."""

from __future__ import annotations

BUNDLED = ("cams", "attributions", "lime", "lime_search", "comparison", "hybrid", "dissection")
