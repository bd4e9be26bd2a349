"""When a process began, which tells it from a later process with the same id, and where its id counts."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from xai_eval.disk.door import read_bytes

_SECONDS = 5
_STATE, _START = 0, 19  # positions in /proc/PID/stat after the name of the program, as proc(5) says
_ENDED = (b"Z", b"X")
_ENDED_START = "0"


def process_start(pid: int) -> str:
    """Return digits that differ for two processes of one id, or an empty text if the system does not tell."""
    try:
        found = read_bytes(Path(f"/proc/{pid}/stat"), 4096)
    except OSError:
        return _start_by_ps(pid)
    # The name of the program stands in parentheses, and may contain anything.
    fields = found.rpartition(b")")[2].split()
    if len(fields) <= _START:
        return ""
    # A process that has ended is listed until its parent asks how.
    return _ENDED_START if fields[_STATE] in _ENDED else fields[_START].decode("ascii", "replace")


def id_space() -> str:
    """Return digits that differ where the same process has another id, such as in two containers; empty if unknown."""
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return ""


def has_another_start(pid: int, start: str | None) -> bool:
    """Whether the process with an id is surely not the one that began at `start`, or has ended.

    `start` is what `process_start` returned for it; None if that is not known.
    """
    now = process_start(pid)
    return now == _ENDED_START or bool(start and now and start != now)


def _start_by_ps(pid: int) -> str:
    """Ask ps, for systems without /proc, such as macOS."""
    command = ["ps", "-o", "lstart=", "-p", str(pid)]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_SECONDS, check=False, env={"LC_ALL": "C", "PATH": "/bin:/usr/bin"}
        )
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return ""
    return _as_digits(done.stdout.decode("ascii", "replace"))


def _as_digits(date: str) -> str:
    """Turn a date such as `Fri Nov 27 03:12:39 2026` into digits."""
    months = "JanFebMarAprMayJunJulAugSepOctNovDec"
    found = re.search(r"([A-Z][a-z]{2}) +(\d+) (\d+):(\d+):(\d+) (\d{4})", date)
    if found is None or found[1] not in months:
        return ""
    month, day, *clock, year = found.groups()
    return f"{year}{months.index(month) // 3 + 1:02}{int(day):02}{''.join(clock)}"
