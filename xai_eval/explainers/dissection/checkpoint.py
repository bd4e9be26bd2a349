"""Save the observations of each shard on disk, so that a killed run repeats at most one shard."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pooch
from numpy.typing import NDArray

from xai_eval.disk.arrays import pack_arrays, unpack_arrays
from xai_eval.disk.door import read_bytes
from xai_eval.disk.files import read_json, remove_folder, remove_temporary_folders, write_files
from xai_eval.disk.typed import entry, read_as
from xai_eval.errors import StorageError
from xai_eval.explainers.dissection.observations import Observations, UnitMaps
from xai_eval.explainers.dissection.stored_shard import from_document, maps_from_arrays, maps_to_arrays, to_document

# A shard holds what a few thousand images made of every unit, which may be more than a result.
_MOST_BYTES = 2**32


@dataclass(frozen=True)
class Checkpoints:
    """The saved shards of one plan, in a folder named by the key of the plan.

    Only runs of the same plan use the folder, and they all write the same bytes. A run removes the folder when it has
    finished, so results are always computed and never taken from a finished run. If another run of the same plan is
    still busy then, it computes again what it needs.

    Attributes:
        folder: the folder; it need not exist yet.
    """

    folder: Path

    @classmethod
    def of(cls, key: str, parent: Path | None = None) -> Checkpoints:
        """Return the checkpoints of the plan with this key, by default in the user's cache folder."""
        return cls((parent or pooch.os_cache("xai_eval") / "dissection") / key)

    def load(self, index: int) -> Observations | None:
        """Return the observations of shard `index` without maps, or None if they were not saved or are damaged."""
        try:
            vouched = read_as(Mapping[str, Any], read_json(self._vouching(index)))
            arrays = _vouched_arrays(self._arrays(index), entry(vouched, "sha256", str))
            return None if arrays is None else from_document(arrays, entry(vouched, "shard", dict))
        except (OSError, ValueError, StorageError):
            # The file is truncated, from another version, or missing: the shard is computed again.
            return None

    def seems_saved(self, index: int) -> bool:
        """Tell whether shard `index` was saved, without looking at it: `load` may find that it is damaged."""
        return self._vouching(index).is_file()

    def save(self, index: int, shard: Observations) -> None:
        """Write the observations of shard `index`; a file is written completely or not at all.

        Raises:
            StorageError: the disk is full, or the folder cannot be written. Shards saved before are kept.
        """
        arrays, meta = to_document(shard)
        packed = pack_arrays(arrays)
        # The maps of each layer have a file of their own, because they are read layer by layer.
        maps = {
            self._maps(index, layer).name: pack_arrays(maps_to_arrays(each.maps))
            for layer, each in enumerate(shard.layers)
            if each.maps is not None
        }
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in maps.items()}
        vouching = {"sha256": hashlib.sha256(packed).hexdigest(), "maps": digests, "shard": meta}
        contents = {**maps, self._arrays(index).name: packed}
        self._write({**contents, self._vouching(index).name: json.dumps(vouching).encode()})

    def load_maps(self, index: int, layer: int, positions: range, units: int) -> UnitMaps | None:
        """Return the maps of one layer of a shard, or None if they were not saved or are damaged.

        Args:
            index: of the shard.
            layer: index of the layer.
            positions: positions of the images of the shard.
            units: number of units of the layer.
        """
        try:
            vouched = read_as(Mapping[str, Any], read_json(self._vouching(index)))
            path = self._maps(index, layer)
            arrays = _vouched_arrays(path, entry(entry(vouched, "maps", dict), path.name, str))
            return None if arrays is None else maps_from_arrays(arrays, np.array(positions), units)
        except (OSError, ValueError, StorageError):
            return None

    def _write(self, contents: Mapping[str, bytes]) -> None:
        try:
            write_files(self.folder, contents)
        except StorageError:
            # Another run of the same plan may have removed the folder meanwhile. If the cause was something else, the
            # second attempt raises the error again.
            write_files(self.folder, contents)

    def remove(self) -> None:
        """Delete the folder; files that cannot be deleted are left."""
        with contextlib.suppress(OSError):
            remove_folder(self.folder.parent, self.folder)
            remove_temporary_folders(self.folder.parent, self.folder.name.__eq__)

    def _arrays(self, index: int) -> Path:
        return self.folder / f"shard-{index:05d}.safetensors"

    def _maps(self, index: int, layer: int) -> Path:
        return self.folder / f"maps-{index:05d}-{layer}.safetensors"

    def _vouching(self, index: int) -> Path:
        return self.folder / f"shard-{index:05d}.json"


def _vouched_arrays(path: Path, digest: str) -> dict[str, NDArray[Any]] | None:
    """Return the arrays of a file, or None if it is not what was written: its digest is another one."""
    packed = read_bytes(path, _MOST_BYTES)
    if hashlib.sha256(packed).hexdigest() != digest:
        return None
    # Copies, because torch takes only arrays that can be written to.
    return {name: each.copy() for name, each in unpack_arrays(packed, path.name).items()}
