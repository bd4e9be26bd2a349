"""Shards on disk, so that a killed run repeats at most the one that it was at."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pooch

from xai_eval.disk.files import read_json, write_files
from xai_eval.errors import StorageError
from xai_eval.explainers.dissection.observations import Observations, from_document, to_document


@dataclass(frozen=True)
class Checkpoints:
    """The shards of one study, in a folder of their own named by the study's key.

    The folder is looked at by nobody but runs of the same study, which write the same bytes. Once a run is through it
    removes the folder: an answer is always computed, never remembered. Another run of it that is still busy then
    computes again what it needs.
    """

    folder: Path

    @classmethod
    def of(cls, key: str, parent: Path | None = None) -> Checkpoints:
        """Return those of a study, by default in the user's cache folder."""
        return cls((parent or pooch.os_cache("xai_eval") / "dissection") / key)

    def load(self, index: int) -> Observations | None:
        """Return a shard, or None where there is none that is whole."""
        try:
            vouched = read_json(self._vouching(index))
            packed = self._arrays(index).read_bytes()
            if hashlib.sha256(packed).hexdigest() != vouched["sha256"]:
                return None
            with np.load(io.BytesIO(packed), allow_pickle=False) as arrays:
                return from_document(arrays, vouched["shard"])
        except (OSError, ValueError, KeyError, TypeError):
            # Truncated, of another version, or not there: it is computed again.
            return None

    def save(self, index: int, shard: Observations) -> None:
        """Write a shard, whole or not at all.

        Raises:
            StorageError: the disk is full or the folder cannot be written; earlier shards stay.
        """
        arrays, meta = to_document(shard)
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]  # arrays by name, not its own options
        packed = buffer.getvalue()
        vouching = json.dumps({"sha256": hashlib.sha256(packed).hexdigest(), "shard": meta}).encode()
        contents = {self._arrays(index).name: packed, self._vouching(index).name: vouching}
        try:
            write_files(self.folder, contents)
        except StorageError:
            # The folder was removed in between by another run of the study; whatever else it was comes again.
            write_files(self.folder, contents)

    def remove(self) -> None:
        """Delete them; what cannot be deleted is left."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _arrays(self, index: int) -> Path:
        return self.folder / f"shard-{index:05d}.npz"

    def _vouching(self, index: int) -> Path:
        return self.folder / f"shard-{index:05d}.json"
