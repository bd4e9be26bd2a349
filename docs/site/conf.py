"""Settings of the documents site. Sphinx reads the pages where they lie, so that links work here and in the repository.

The navigation is made of the lists below "## Documents" in the README, so that a page that stands there is in the site.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(_ROOT))

from xai_eval.version import __version__  # noqa: E402

project = "xai_eval"
author = "The xai_eval maintainers"
copyright = author  # noqa: A001 (Sphinx reads this name)
release = version = __version__
extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/**.md"]
exclude_patterns = [".*", "build", "dist", "site", "fixtures", "golden", "reports", "tests", "xai_eval"]
myst_heading_anchors = 4  # as GitHub gives them
highlight_language = "none"  # a block without a language is a command or what it prints
html_theme = "furo"
html_title = f"{project} {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_js_files = ["site.js"]
html_additional_pages = {"index": "home.html"}
templates_path = ["templates"]
html_show_sphinx = False
html_copy_source = False
smartquotes = False  # what is typed is shown as it is typed

_GROUP = re.compile(r"^\*\*(.+)\*\*\n\n((?:\* .*\n|  .*\n)+)", re.MULTILINE)
_PAGE = re.compile(r"\[([^\]]+)\]\(([^)#]+)\.md\)")


def setup(app: Any) -> None:
    """Add the navigation to two pages as they are read."""
    app.connect("source-read", _add_navigation)


def _add_navigation(app: Any, name: str, source: list[str]) -> None:
    if name == root_doc:
        groups = {title: _pages(lines) for title, lines in _groups(source[0])}
        groups["More"] = _unlisted(app.env.found_docs, groups)
        source[0] += "".join(_toctree(title, pages) for title, pages in groups.items() if pages)
    elif name == "docs/decisions/README":
        source[0] += _toctree(
            "", [f"{note.stem} <{note.stem}>" for note in sorted((_ROOT / name).parent.glob("0*.md"))]
        )


def _groups(readme: str) -> list[tuple[str, str]]:
    return _GROUP.findall(readme.split("\n## Documents\n", 1)[1])


def _pages(lines: str) -> list[str]:
    """Return the first link of each entry of a list, as an entry of a toctree."""
    entries = (_PAGE.search(each) for each in re.split(r"^\* ", lines, flags=re.MULTILINE))
    return [f"{found[1]} <{found[2]}>" for found in entries if found]


def _unlisted(found: set[str], groups: dict[str, list[str]]) -> list[str]:
    """Return the pages that no list of the README names: they are shown all the same."""
    listed = {page.rsplit("<", 1)[1].rstrip(">") for pages in groups.values() for page in pages}
    return sorted(found - listed - {root_doc} - {name for name in found if name.startswith("docs/decisions/0")})


def _toctree(title: str, entries: list[str]) -> str:
    return "\n".join(["\n```{toctree}", ":hidden:", *([f":caption: {title}"] if title else []), "", *entries, "```\n"])
