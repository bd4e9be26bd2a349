"""Recognise what systems and editors leave in any folder. It belongs to nobody and never blocks a command."""

from __future__ import annotations

import fnmatch
import re

# Finder, Explorer and KDE; then the copies of Finder on other file systems, and what editors keep of a file.
_NAMES = (".DS_Store", "Thumbs.db", "ehthumbs.db", "desktop.ini", ".directory", ".localized")
# Folders of macOS archives, of Synology, of Windows, of Linux file systems and of notebooks.
_FOLDERS = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found", ".ipynb_checkpoints")
_PATTERNS = ("._*", "*~", "#*#", ".#*", ".*.sw[a-p]", "*.bak", "*.orig", ".nfs*", ".fuse_hidden*", ".~lock.*#")
_KNOWN = frozenset(name.casefold() for name in (*_NAMES, *_FOLDERS))
_MATCHES = re.compile("|".join(map(fnmatch.translate, _PATTERNS)))


def is_stray(name: str) -> bool:
    """Tell by its name whether a file or folder was left by a system or an editor.

    Args:
        name: the file name without its folder.
    """
    return name.casefold() in _KNOWN or _MATCHES.match(name) is not None
