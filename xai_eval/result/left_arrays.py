"""Arrays that a killed process left under a temporary name, when it had begun to replace a result by a newer one.

The document of a result is replaced last. Until then the result is the old one, but its arrays may be kept only under a
temporary name. The document names them by their sha256, so nobody can put others in their place.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from pathlib import Path

from xai_eval.disk.arrays import inflated
from xai_eval.disk.door import read_bytes
from xai_eval.disk.files import is_temporary
from xai_eval.disk.system_errors import is_of_the_machine, refusal
from xai_eval.errors import StorageError

# A killed process leaves one. More are not looked at, because each has to be unpacked.
_MOST = 3


@dataclass(frozen=True)
class LeftArrays:
    """A file of arrays under a temporary name.

    Attributes:
        path: the file.
        content: what it unpacks to: safetensors.
    """

    path: Path
    content: bytes


def find_left_arrays(arrays: Path, sha256: object) -> LeftArrays | None:
    """Return the file with this digest that a killed process left beside `arrays`; None if there is none.

    `sha256` is that of the unpacked arrays, as the document of the result gives it.
    """
    left = (path for path in sorted(arrays.parent.glob(".*")) if is_temporary(path, [arrays.name]))
    for path in itertools.islice(left, _MOST):
        try:
            content = inflated(read_bytes(path), str(path))
        except OSError as error:
            if is_of_the_machine(error):  # it may be the one
                raise StorageError(f"{path} cannot be read ({refusal(error, '').reason}).") from error
            continue
        except StorageError:
            continue
        if hashlib.sha256(content).hexdigest() == sha256:
            return LeftArrays(path, content)
    return None
