"""A shard that was damaged, or is of another plan, is computed again or is one error."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from hostile.mutations import array_mutations, mutations, quick
from hypothesis import given
from hypothesis import strategies as st
from small_plan import make_plan

from xai_eval.disk.arrays import pack_arrays
from xai_eval.errors import XaiEvalError
from xai_eval.explainers.dissection.checkpoint import Checkpoints
from xai_eval.explainers.dissection.observe_shard import observe_images
from xai_eval.explainers.dissection.probe_pass import joined_shards, saved_shard
from xai_eval.explainers.dissection.stored_shard import from_document, to_document


@pytest.fixture(scope="module")
def plan():
    return make_plan()


@pytest.fixture(scope="module")
def shards(plan):
    return [observe_images(plan, positions, ()) for positions in plan.shards[:2]]


def write(folder: Path, arrays, meta) -> Checkpoints:
    packed = pack_arrays(arrays)
    (folder / "shard-00000.safetensors").write_bytes(packed)
    vouching = {"sha256": hashlib.sha256(packed).hexdigest(), "shard": meta}
    (folder / "shard-00000.json").write_text(json.dumps(vouching))
    return Checkpoints(folder)


def use(plan, checkpoints, shards) -> None:
    """Use a saved shard as a pass does: look at all of it, and merge it with the next."""
    shard = saved_shard(plan, checkpoints, 0, shards[1].peaks)
    if shard is None:
        return
    try:
        joined_shards([each.without_maps.without_peaks for each in (shard, shards[1])])
        for summary in (each for summaries in shard.summaries for each in summaries):
            assert summary.pixels.shape == (72, 72, 3)
            assert summary.labels is None or summary.labels.unpack().shape == summary.labels.shape
    except XaiEvalError as error:
        assert "run again" in str(error)


def test_a_shard_survives_as_it_was(shards):
    arrays, meta = to_document(shards[0])
    again, other = to_document(from_document(arrays, json.loads(json.dumps(meta))))
    assert other == meta and again.keys() == arrays.keys()


@given(data=st.data())
@quick(15)
def test_any_other_value_is_computed_again_or_one_error(data, plan, shards, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shard")
    arrays, meta = to_document(shards[0])
    change = data.draw(mutations(json.loads(json.dumps(meta))))
    use(plan, write(folder, arrays, change.document), shards)


@given(data=st.data())
@quick(15)
def test_any_other_array_is_computed_again_or_one_error(data, plan, shards, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shard")
    arrays, meta = to_document(shards[0])
    _, _, changed = data.draw(array_mutations(arrays))
    use(plan, write(folder, changed, meta), shards)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"\x00" * 100, b"\xff" * 100])
def test_what_is_no_file_of_arrays_is_computed_again(content, plan, tmp_path):
    (tmp_path / "shard-00000.safetensors").write_bytes(content)
    vouching = {"sha256": hashlib.sha256(content).hexdigest(), "shard": {}}
    (tmp_path / "shard-00000.json").write_text(json.dumps(vouching))
    assert saved_shard(plan, Checkpoints(tmp_path), 0, ()) is None
