"""Find input files: the fixtures of this project, the data root, and downloads with a known digest.

A file whose publisher gives no digest is held to the digest of what was received first.

The data root is the folder that the environment variable `XAI_EVAL_DATA` names, else the user's cache folder. A file is
first looked for there. If it is missing, it is downloaded into the data root.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pooch

from xai_eval.disk.door import opened, read_bytes
from xai_eval.disk.git_lfs import is_pointer_file, pointer_sentence
from xai_eval.disk.strict_json import parse_json
from xai_eval.disk.system_errors import check_open_files, refusal
from xai_eval.errors import InputUnavailable, unknown_name
from xai_eval.inputs.first_received import check_first_received
from xai_eval.inputs.paths import given_path, readable

_TIMEOUT = 30  # seconds to wait for an answer of the server


@dataclass(frozen=True)
class Download:
    """A file that can be downloaded.

    Attributes:
        name: its name in this package, such as "torchvision:resnet18@IMAGENET1K_V1".
        url: where it is published.
        file: its path below the data root, with "/" between folders.
        sha256: SHA-256 of its bytes; None if the publisher gives none.
        sha256_prefix: the first digits of the SHA-256, if only these are published (in the name of the file).
        source: who made it, and its licence.
    """

    name: str
    url: str
    file: str
    sha256: str | None = None
    sha256_prefix: str = ""
    source: str = ""

    def accepts(self, digest: str) -> bool:
        """Tell whether a file with this SHA-256 is the expected one."""
        return digest == self.sha256 if self.sha256 else digest.startswith(self.sha256_prefix)

    @property
    def has_digest(self) -> bool:
        """Whether at least the first digits of the SHA-256 are published."""
        return bool(self.sha256 or self.sha256_prefix)

    @property
    def expected(self) -> str:
        """The expected SHA-256, or its known first digits."""
        return self.sha256 or f"{self.sha256_prefix}..."


def data_root() -> Path:
    """Return the folder for downloads and other data, see the top of this module; it may not exist yet."""
    named = os.environ.get("XAI_EVAL_DATA")
    cache: Path = pooch.os_cache("xai_eval")
    return given_path(named) if named else cache


def fixtures_folder() -> Path:
    """Return the folder of bundled inputs: inside an installed package, beside the package in a source tree."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "fixtures"
    return installed if installed.is_dir() else package.parent / "fixtures"


def manifest() -> dict[str, Any]:
    """Return the list of bundled and downloadable inputs, `fixtures/manifest.json`.

    Raises:
        InputUnavailable: the file is missing or damaged.
    """
    path = fixtures_folder() / "manifest.json"
    try:
        content: dict[str, Any] = parse_json(read_bytes(path, follow=True))
    except OSError as error:
        found = refusal(error, "install xai_eval again")
        raise InputUnavailable(f"{path} cannot be read ({found.reason}). {found.sentence}") from error
    except ValueError as error:
        raise InputUnavailable(f"{path} cannot be read ({error}). Install xai_eval again.") from error
    if content.get("schema") != 1:
        raise InputUnavailable(f"{path} has schema {content.get('schema')!r}; expected 1. Install xai_eval again.")
    return content


def bundled_entry(name: str) -> dict[str, Any]:
    """Return the entry of the bundled input `name` in the manifest: file, sha256 and measured values.

    Raises:
        InputUnavailable: no bundled input has this name.
    """
    entries = manifest()["bundled"]
    if name not in entries:
        raise InputUnavailable(
            f"no bundled input is called {name!r}; the manifest has {', '.join(sorted(entries))}. "
            "Install xai_eval again if it should be there."
        )
    entry: dict[str, Any] = entries[name]
    return entry


def bundled(name: str) -> Path:
    """Return the path of a bundled input, after checking its SHA-256 against the manifest.

    Raises:
        InputUnavailable: the name is unknown, the file is missing, or its bytes differ from those in the manifest.
    """
    entry = bundled_entry(name)
    path = fixtures_folder() / str(entry["file"])
    if not path.is_file():
        raise InputUnavailable(f"{path} is missing; expected the bundled {name}. Install xai_eval again.")
    _refuse_pointer(path)
    digest = file_sha256(path)
    if digest != entry["sha256"]:
        raise InputUnavailable(
            f"{path} has SHA-256 {digest}; expected {entry['sha256']}, as the manifest says. It was changed "
            "or is damaged: restore it, or install xai_eval again."
        )
    return path


def downloads() -> tuple[str, ...]:
    """Return the names that `fetch` takes; the files of one set share a name."""
    return tuple(dict.fromkeys(name.partition("/")[0] for name in manifest()["downloads"]))


def download_entries(name: str) -> tuple[Download, ...]:
    """Return the files with a name: one file, or all files of a set.

    Raises:
        UsageError: the manifest has no such name; the error lists the nearest names.
    """
    entries = manifest()["downloads"]
    found = tuple(
        Download(name=key, **fields) for key, fields in entries.items() if key == name or key.startswith(f"{name}/")
    )
    if not found:
        raise unknown_name("download", name, downloads())
    return found


def fetch(name: str) -> Path:
    """Download an input into the data root, unless it is there; return its file, or the folder of a set.

    Raises:
        UsageError: the name is unknown.
        InputUnavailable: it is not on this machine and cannot be downloaded, or its bytes are not the expected ones.
    """
    paths = [obtain(entry) for entry in download_entries(name)]
    return paths[0] if len(paths) == 1 else paths[0].parent


def obtain(download: Download, also: Sequence[Path] = ()) -> Path:
    """Return the path of a local file with the expected bytes.

    The file is looked for in the data root, then at the paths in `also`. If it is at none of them, it is downloaded
    into the data root.

    Args:
        download: the file.
        also: further paths where it may be, such as the cache of another library.

    Raises:
        InputUnavailable: it is not on this machine and cannot be downloaded, or its bytes are not the expected ones.
    """
    home = data_root() / PurePosixPath(download.file)
    for place in (home, *also):
        with readable(place):
            if place.is_file():
                return _verified(place, download)
    try:
        _transfer(download, home)
    # The exceptions of requests, which pooch uses, are OSErrors too.
    except OSError as error:
        check_open_files(error)
        raise _unavailable(download, (home, *also), error) from error
    return _verified(home, download)


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with opened(path, follow=True) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _refuse_pointer(path: Path) -> None:
    if is_pointer_file(path):
        raise InputUnavailable(pointer_sentence(path))


def _verified(path: Path, download: Download) -> Path:
    _refuse_pointer(path)
    digest = file_sha256(path)
    if not download.accepts(digest):
        raise InputUnavailable(
            f"{path} has SHA-256 {digest}; expected {download.expected} for {download.name}. The file is "
            "damaged, or another file of the same name. Remove it, and it is downloaded again."
        )
    if not download.has_digest:
        check_first_received(path, digest, download.name)
    return path


def _transfer(download: Download, destination: Path) -> None:
    """Download a file by pooch; it gets its final name only after all bytes have come and the digest is right."""

    def checked(url: str, partial: str, _: object) -> None:
        pooch.HTTPDownloader(timeout=_TIMEOUT)(url, partial, None)
        # pooch cannot check a digest of which only the first digits are published.
        _check_transfer(Path(partial), download)
        # Only its owner may read a temporary file, but several users may share the data root.
        with contextlib.suppress(OSError):  # some file systems know no permissions
            Path(partial).chmod(0o644)

    folder, name = destination.parent, destination.name
    pooch.retrieve(download.url, download.sha256, fname=name, path=folder, downloader=checked)


def _check_transfer(partial: Path, download: Download) -> None:
    digest = file_sha256(partial)
    if not download.accepts(digest):
        raise InputUnavailable(
            f"{download.url} gave {partial.stat().st_size} bytes with SHA-256 {digest}; expected "
            f"{download.expected} for {download.name}. The file was changed where it is published, or on its way. "
            "Nothing was kept. Try again, or put the right file in place by hand."
        )


def _unavailable(download: Download, places: Sequence[Path], error: Exception) -> InputUnavailable:
    looked = ", ".join(str(place) for place in places)
    return InputUnavailable(
        f"{download.name} is not on this machine (looked at {looked}) and cannot be downloaded from {download.url} "
        f"({_reason(error)}). Copy the file to {places[0]} by hand, or set XAI_EVAL_DATA to a folder that "
        f"holds {download.file}."
    )


def _reason(error: Exception) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"the server answers {response.status_code} {response.reason}"
    if isinstance(error, OSError) and error.errno is not None:
        return str(error)
    return f"{type(error).__name__}: there is no connection, or it broke"
