"""Take apart a GIF: its first frame, and how many there are. (GIF89a, CompuServe 1990.)"""

from __future__ import annotations

from xai_eval.inputs.images.budget import MOST_FRAMES
from xai_eval.inputs.images.essence import Essence

_EXTENSION, _CONTROL, _FRAME, _TRAILER = 0x21, 0xF9, 0x2C, 0x3B


def gif_essence(data: bytes) -> Essence:
    """Return the first frame of a GIF with the control block that belongs to it, and the number of its frames."""
    at = 13 + _table(data, 10)
    kept = [data[:at]]
    frames, control = 0, b""
    while at < len(data) and frames <= MOST_FRAMES:
        begin, what = at, data[at]
        if what == _EXTENSION and at + 1 < len(data):
            at = _after_blocks(data, at + 2)
            if data[begin + 1] == _CONTROL:
                control = data[begin:at]
        elif what == _FRAME:
            at = _after_blocks(data, at + 11 + _table(data, at + 9))
            frames += 1
            if frames == 1:
                kept += [control, data[begin:at]]
        else:
            break
    kept.append(bytes([_TRAILER]) if frames and at <= len(data) else data[at:])
    return Essence(b"".join(kept), frames=max(frames, 1))


def _table(data: bytes, at: int) -> int:
    """Return the bytes of the colour table that the flags at a place announce."""
    flags = data[at] if at < len(data) else 0
    return 3 * 2 ** (1 + (flags & 7)) if flags & 0x80 else 0


def _after_blocks(data: bytes, at: int) -> int:
    """Return the place behind a chain of blocks, beyond the end of the data if it is cut."""
    while at < len(data) and data[at]:
        at += data[at] + 1
    return at + 1
