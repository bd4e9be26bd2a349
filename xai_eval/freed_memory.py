"""Lets the C library keep memory that was freed for the next arrays and tensors, in place of getting it anew."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import sys

# Parameters of `mallopt`, as <malloc.h> numbers them.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
# The feature maps of a batch of photographs are a few hundred megabytes. More than this is given back.
_KEPT = 2**30


@functools.cache
def keep_freed_memory() -> None:
    """Keep up to 1 GiB of what this process frees, once for as long as it runs. Only glibc, of Linux, is asked to.

    By default glibc gets every large block from the system and gives it back when it is freed. Each time the system
    fills every page with zeros, which takes up to a third of the time of a network on a CPU. Nothing is changed where
    the environment has settings for glibc's memory, because then somebody else has decided.
    """
    if sys.platform != "linux" or _decided_by_user():
        return
    # Other C libraries of Linux lack the function, or do nothing in it.
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_MAX, 0)
        library.mallopt(_TRIM_THRESHOLD, _KEPT)


def _decided_by_user() -> bool:
    named = any(name.startswith("MALLOC_") for name in os.environ)
    return named or "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
