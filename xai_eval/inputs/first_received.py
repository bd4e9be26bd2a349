"""Hold files without a published digest to the digest of what was received first on this machine."""

from __future__ import annotations

from pathlib import Path

from xai_eval.disk.door import read_bytes
from xai_eval.disk.files import write_new_file
from xai_eval.disk.system_errors import refusal
from xai_eval.errors import InputUnavailable, StorageError

_SUFFIX = ".sha256"
_MOST_BYTES = 1024


def check_first_received(path: Path, digest: str, name: str) -> None:
    """Record the digest of a file beside it when it is seen first, and require the same one from then on.

    Args:
        path: the file. The digest is kept in a file of the same name that ends in `.sha256`.
        digest: SHA-256 of its bytes.
        name: name of the download.

    Raises:
        InputUnavailable: another file was received first.
    """
    record = path.with_name(path.name + _SUFFIX)
    try:
        # Where nothing can be written, every file counts as the first.
        if write_new_file(record, f"{digest}\n".encode("ascii")):
            return
    except StorageError:
        return
    first = _first(record)
    if digest != first:
        raise InputUnavailable(
            f"{path} has SHA-256 {digest}; expected {first} for {name}, which is that of the file that was received "
            f"first: its publisher gives none. The file was changed or is damaged. Put the first one back, or remove "
            f"{record.name} if the new one is right."
        )


def _first(record: Path) -> str:
    try:
        return read_bytes(record, _MOST_BYTES, follow=True).decode("ascii", "replace").strip()
    except OSError as error:
        found = refusal(error, "remove it")
        raise InputUnavailable(
            f"{record} cannot be read ({found.reason}); expected a SHA-256 in it. {found.sentence}"
        ) from error
