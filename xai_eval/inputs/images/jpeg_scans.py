"""Whether the scans of a progressive JPEG tell all of it (ITU-T T.81, G.1). libjpeg decodes any number of them."""

from __future__ import annotations

from collections.abc import Iterator

_SCAN = b"\xff\xda"
_COEFFICIENTS = 64


def lacks_scans(data: bytes, begin: int, end: int, components: int) -> bool:
    """Tell whether a progressive JPEG is coarser than it was made, because scans of it are missing.

    Args:
        data: the file.
        begin: where the first scan begins.
        end: where the image ends.
        components: how many channels it has.
    """
    # How many lower bits of each coefficient of each channel are still to come.
    lacking: dict[int, list[int]] = {}
    for scan in _headers(data, begin, end):
        channels, first, last, low = scan[1 : 1 + 2 * scan[0] : 2], *scan[-3:-1], scan[-1] & 15
        for channel in channels:
            bits = lacking.setdefault(channel, [_COEFFICIENTS] * _COEFFICIENTS)
            bits[first : last + 1] = [low] * len(bits[first : last + 1])
    return len(lacking) < components or any(map(any, lacking.values()))


def _headers(data: bytes, begin: int, end: int) -> Iterator[bytes]:
    at = data.find(_SCAN, begin, end)
    while at >= 0:
        length = int.from_bytes(data[at + 2 : at + 4])
        header = data[at + 4 : at + 2 + length]
        # The two bytes may stand in a table between two scans as well.
        if len(header) >= 6 and 1 <= header[0] <= 4 and len(header) == 4 + 2 * header[0]:
            yield header
        at = data.find(_SCAN, at + 2, end)
