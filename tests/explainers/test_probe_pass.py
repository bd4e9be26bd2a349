"""One pass over the images serves all models; any division into shards, and any kill, gives the same bits."""

import dataclasses
import io
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from far_device import FarDevice
from PIL import Image
from scipy.ndimage import binary_erosion
from small_plan import make_plan
from torch import nn

from xai_eval.errors import InputUnavailable, ModelMisbehaves, StorageError, UsageError
from xai_eval.explainers.dissection import checkpoint, read_ahead
from xai_eval.explainers.dissection import probe_pass as pass_module
from xai_eval.explainers.dissection.batches import read_batch
from xai_eval.explainers.dissection.by_clip import most_active
from xai_eval.explainers.dissection.checkpoint import Checkpoints
from xai_eval.explainers.dissection.dissection_plan import DissectedModel
from xai_eval.explainers.dissection.image_strips import strips
from xai_eval.explainers.dissection.netdissect import SHARE
from xai_eval.explainers.dissection.observations import Observations, UnitMaps
from xai_eval.explainers.dissection.observe_shard import observe_batches, observe_images
from xai_eval.explainers.dissection.probe_pass import ProbePass, in_this_process, run_probe_pass
from xai_eval.explainers.dissection.read_ahead import batches_of
from xai_eval.explainers.dissection.spot_check import observations_digest, observe_first_images
from xai_eval.explainers.dissection.stored_shard import from_document, to_document
from xai_eval.explainers.dissection.strongest_maps import SHOWN
from xai_eval.inputs.clip.clip import load_clip
from xai_eval.inputs.models.classifier import Classifier
from xai_eval.inputs.models.preprocessing import fixed_size_preprocessing


def run_pass(plan, folder) -> ProbePass:
    return run_probe_pass(plan, Checkpoints(Path(folder)), engine=in_this_process)


def flat(found: ProbePass) -> dict[str, np.ndarray]:
    """Everything that a pass gives, maps above the threshold included, as arrays."""
    arrays, _ = to_document(found.whole)
    for index, layer in enumerate(found.whole.layers):
        if layer.top is None:
            continue
        thresholds = layer.top.quantile(SHARE)
        parts = [part.above(thresholds) for part in found.maps(index)]
        arrays[f"{index}.thresholds"] = thresholds
        arrays[f"{index}.units"] = np.concatenate([part.units for part in parts])
        arrays[f"{index}.images"] = np.concatenate([part.positions for part in parts])
        arrays[f"{index}.maps"] = np.concatenate([part.maps for part in parts])
    return arrays


def assert_same(one: ProbePass, other: ProbePass) -> None:
    first, second = flat(one), flat(other)
    assert first.keys() == second.keys()
    for name, array in first.items():
        if name.endswith(".top"):  # only the set of values matters, not their order
            array, second[name] = np.sort(array, axis=1), np.sort(second[name], axis=1)
        np.testing.assert_array_equal(array, second[name], err_msg=name)


@pytest.fixture(scope="module")
def plan():
    return make_plan()


@pytest.fixture(scope="module")
def reference(plan, tmp_path_factory):
    return run_pass(plan, tmp_path_factory.mktemp("reference"))


def test_a_pass_gives_what_the_plain_model_gives(plan, reference):
    """Compare with the model itself on the same batches, with hooks set by hand."""
    model = plan.models[0].classifier
    kept = {name: [] for name in ("layer3", "layer4")}
    handles = [
        model.layer(name).register_forward_hook(lambda _m, _i, out, name=name: kept[name].append(out.clone()))
        for name in kept
    ]
    scores = []
    for start in range(0, 20, 4):
        images = [Image.fromarray(plan.probe.read(i).pixels) for i in range(start, start + 4)]
        with torch.no_grad():
            scores.append(model.module(torch.stack([model.preprocess(p) for p in images])))
    for handle in handles:
        handle.remove()
    for index, name in enumerate(kept):
        maps = torch.cat(kept[name])
        np.testing.assert_array_equal(reference.whole.layers[index].activations, maps.mean(dim=(2, 3)).numpy())
        values = maps.permute(1, 0, 2, 3).flatten(1).numpy().astype(np.float64)
        expected = np.quantile(values, 1 - SHARE, axis=1)
        np.testing.assert_allclose(reference.whole.layers[index].top.quantile(SHARE), expected, rtol=1e-6)
        above = {(j, i) for i, j in np.argwhere(maps.amax(dim=(2, 3)).numpy() > expected)}
        found = {
            (int(u), int(p)) for part in reference.maps(index) for u, p in zip(part.units, part.positions, strict=True)
        }
        assert above <= found
    np.testing.assert_array_equal(reference.whole.layers[3].activations, torch.cat(scores).numpy())
    assert reference.whole.layers[3].top is None  # vectors have no maps


@pytest.mark.parametrize("batches", [1, 3, 100])
def test_any_cut_into_shards_gives_the_same(batches, reference, tmp_path):
    assert_same(run_pass(make_plan(batches_per_shard=batches), tmp_path), reference)


def test_a_shard_survives_the_disk(plan, tmp_path):
    shard = observe_images(plan, plan.shards[0], ())
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(0, shard)
    loaded = checkpoints.load(0)
    for one, other in zip(to_document(shard), to_document(loaded), strict=True):
        assert one.keys() == other.keys()
    for name, array in to_document(shard)[0].items():
        np.testing.assert_array_equal(array, to_document(loaded)[0][name])
    assert to_document(loaded)[1] == to_document(shard)[1]
    assert isinstance(from_document(*to_document(loaded)), Observations)


# Killed when it has written a shard, but for the file that vouches for it.
_RUN = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from small_plan import make_plan
from xai_eval.explainers.dissection import checkpoint
from xai_eval.explainers.dissection.checkpoint import Checkpoints
from xai_eval.explainers.dissection.probe_pass import in_this_process, run_probe_pass
folder, write_files = Path({folder!r}), checkpoint.write_files
def write_or_die(place, contents):
    last = len(list(folder.glob("shard-*.json"))) == {after}
    write_files(place, {{name: each for name, each in contents.items() if not last or not name.endswith(".json")}})
    if last:
        os.kill(os.getpid(), signal.SIGKILL)
checkpoint.write_files = write_or_die
run_probe_pass(make_plan(), Checkpoints(folder), engine=in_this_process)
"""


@pytest.mark.slow
@pytest.mark.parametrize("after", [1, 2])
def test_killed_and_started_again_it_repeats_at_most_the_shard_in_flight(after, reference, tmp_path):
    script = _RUN.format(tests=str(Path(__file__).parent), folder=str(tmp_path), after=after)
    assert subprocess.run([sys.executable, "-c", script]).returncode == -signal.SIGKILL
    before = finished(tmp_path)
    assert len(before) == after < len(list(tmp_path.glob("shard-*.safetensors")))
    assert_same(run_pass(make_plan(), tmp_path), reference)
    assert {name: when for name, when in finished(tmp_path).items() if name in before} == before


def finished(folder: Path) -> dict[str, int]:
    """Shards that were saved completely, and when each was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("shard-*.json")}


@pytest.mark.parametrize("damage", ["truncate", "swap", "no vouching", "other text"])
def test_damaged_checkpoints_are_computed_again(damage, plan, reference, tmp_path):
    run_pass(plan, tmp_path)
    first, second = tmp_path / "shard-00000.safetensors", tmp_path / "shard-00001.safetensors"
    if damage == "truncate":
        first.write_bytes(first.read_bytes()[:1000])
    elif damage == "swap":
        first.write_bytes(second.read_bytes())
    elif damage == "no vouching":
        first.with_suffix(".json").unlink()
    else:
        first.with_suffix(".json").write_text('{"sha256": 3}')
    assert_same(run_pass(plan, tmp_path), reference)


def test_a_shard_that_vanishes_after_the_pass_is_computed_again(plan, reference, tmp_path):
    found = run_pass(plan, tmp_path)
    found.checkpoints.remove()
    assert not tmp_path.exists()
    assert_same(found, reference)


def test_a_full_disk_is_named_and_keeps_what_was_saved(plan, tmp_path, monkeypatch):
    from xai_eval.disk import files

    written = []

    def full(handle, *args, **kwargs):
        written.append(1)
        if len(written) > 5:  # the files of the first shard: observations, maps of three layers, and what vouches
            raise OSError(28, "No space left on device")
        return real(handle, *args, **kwargs)

    real = files.os.fsync
    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(StorageError, match="the disk is full; free some space and run again"):
        run_pass(plan, tmp_path)
    assert list(finished(tmp_path)) == ["shard-00000.json"]


def test_unreadable_images_are_skipped_and_named(reference, tmp_path, monkeypatch):
    plan = broken(make_plan(count=200, layers=("layer4",)), {5, 130})
    found = run_pass(plan, tmp_path)
    assert [each.name for each in found.whole.skipped] == [plan.probe.names[5], plan.probe.names[130]]
    assert found.whole.skipped[0].reason == "cannot be decoded"
    assert len(found.whole.positions) == 198 and 5 not in found.whole.positions
    assert len(found.whole.layers[0].activations) == len(found.whole.embeddings) == len(found.summaries(0)) == 198
    assert found.rows[6] == 5


def test_too_many_unreadable_images_are_an_error(tmp_path):
    with pytest.raises(InputUnavailable, match=r"1 of 20 images of scenes cannot be read, first .*expected at most 1%"):
        run_pass(broken(make_plan(layers=("layer4",)), {3}), tmp_path)


def broken(plan, positions):
    """The same plan with images that cannot be read."""

    class Broken:
        def read(self, position):
            if position in positions:
                raise InputUnavailable("cannot be decoded")
            return plan.probe.reader.read(position)

    return dataclasses.replace(plan, probe=dataclasses.replace(plan.probe, reader=Broken()))


def test_every_image_is_decoded_once(tmp_path):
    plan, read = make_plan(layers=("layer3", "layer4")), []

    class Counting:
        def read(self, position):
            read.append(position)
            return plan.probe.reader.read(position)

    counted = dataclasses.replace(plan, probe=dataclasses.replace(plan.probe, reader=Counting()))
    two_models = dataclasses.replace(counted, models=(*counted.models, *counted.models))
    flat(run_pass(two_models, tmp_path))
    assert read == list(range(20))


class Odd(nn.Module):
    """A model whose layer returns what the test asks for."""

    def __init__(self, gives):
        super().__init__()
        self.layer, self.gives = nn.Identity(), gives
        self.layer.forward = lambda x: gives(x)

    def forward(self, x):
        self.layer(x)
        return x.mean(dim=(2, 3))


def odd_plan(gives, name="layer"):
    model = Classifier("odd", Odd(gives), fixed_size_preprocessing(96, (0.5,) * 3, (0.2,) * 3), ("r", "g", "b"))
    return dataclasses.replace(make_plan(count=4), models=(DissectedModel(model, (name,)),))


def test_maps_with_their_units_last_are_those_with_their_units_first(tmp_path):
    first = run_pass(odd_plan(lambda x: x[:, :, ::4, ::4]), tmp_path / "first").whole.layers[0]
    last = run_pass(odd_plan(lambda x: x[:, :, ::4, ::4].permute(0, 2, 3, 1)), tmp_path / "last").whole.layers[0]
    np.testing.assert_array_equal(last.activations, first.activations)


def tokens_of(x, before):
    """Patches of 8 x 8 pixels as tokens (N, 144, 3), behind `before` times the mean over the image."""
    patches = torch.nn.functional.avg_pool2d(x, 8).flatten(2)
    return torch.cat([x.mean((2, 3))[:, :, None]] * before + [patches], 2).transpose(1, 2)


def test_tokens_are_pooled_by_their_class_token(tmp_path):
    found = run_pass(odd_plan(lambda x: tokens_of(x, 1)), tmp_path)
    prepared = [found.plan.preparations[0](Image.fromarray(found.plan.probe.read(i).pixels)) for i in range(4)]
    expected = torch.stack([each.mean((1, 2)) for each in prepared]).numpy()
    np.testing.assert_allclose(found.whole.layers[0].activations, expected, rtol=1e-5, atol=1e-6)
    assert found.plan.models[0].notes == ()


def test_the_first_of_tokens_that_lie_nowhere_is_taken_with_a_word(tmp_path):
    def gives(x):
        return torch.stack([x.mean((2, 3)), x.amax((2, 3)), x.amin((2, 3))], 1)

    found = run_pass(odd_plan(gives), tmp_path)
    model = found.plan.models[0]
    prepared = [found.plan.preparations[0](Image.fromarray(found.plan.probe.read(i).pixels)) for i in range(4)]
    expected = torch.stack([each.mean((1, 2)) for each in prepared]).numpy()
    np.testing.assert_allclose(found.whole.layers[0].activations, expected, rtol=1e-5, atol=1e-6)
    [note] = model.notes
    assert "'layer' of odd" in note and "the first one is taken for a class token" in note


def test_tokens_without_a_class_token_are_the_maps_that_they_were_cut_from(tmp_path):
    tokens = run_pass(odd_plan(lambda x: tokens_of(x, 0)), tmp_path / "tokens")
    maps = run_pass(odd_plan(lambda x: torch.nn.functional.avg_pool2d(x, 8)), tmp_path / "maps")
    np.testing.assert_array_equal(tokens.whole.layers[0].activations, maps.whole.layers[0].activations)
    np.testing.assert_array_equal(tokens.whole.layers[0].places, maps.whole.layers[0].places)


def test_of_a_tuple_the_first_tensor_is_taken_as_for_class_activation_maps(tmp_path):
    alone = run_pass(odd_plan(lambda x: x[:, :, ::4, ::4]), tmp_path / "alone").whole.layers[0]
    first = run_pass(odd_plan(lambda x: (x[:, :, ::4, ::4], None)), tmp_path / "tuple").whole.layers[0]
    np.testing.assert_array_equal(first.activations, alone.activations)


def test_a_model_that_takes_single_images_only_gets_them_one_by_one(tmp_path):
    def gives(x):
        assert len(x) == 1, "one image at a time"
        return x[:, :, ::4, ::4]

    alone = run_pass(odd_plan(gives), tmp_path / "one").whole.layers[0]
    batch = run_pass(odd_plan(lambda x: x[:, :, ::4, ::4]), tmp_path / "batch").whole.layers[0]
    np.testing.assert_allclose(alone.activations, batch.activations, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("gives", "error", "message"),
    [
        (lambda x: {"maps": x}, UsageError, "returns dict for 4 images; expected maps"),
        (lambda x: x.sum(), UsageError, r"returns \(\) for 4 images"),
        (lambda x: x[:1], UsageError, r"returns \(1, 3, 96, 96\) for 4 images"),
        (lambda x: x / 0, ModelMisbehaves, "values in layer 'layer' that are not finite"),
    ],
)
def test_a_layer_that_cannot_be_dissected_is_named(gives, error, message, tmp_path):
    with pytest.raises(error, match=message):
        run_pass(odd_plan(gives), tmp_path)


def test_the_key_depends_on_contents_not_on_names():
    plan = make_plan(count=4, layers=("layer4",))
    key = plan.key({})
    assert key == make_plan(count=4, layers=("layer4",)).key({})
    model = plan.models[0].classifier
    renamed = dataclasses.replace(model, name="another name")
    assert dataclasses.replace(plan, models=(DissectedModel(renamed, ("layer4",)),)).key({}) == key
    retrained = dataclasses.replace(model, weights_digest="f" * 64)
    prepared = dataclasses.replace(model, preprocess=fixed_size_preprocessing(96, (0.1,) * 3, (0.25,) * 3))
    repainted = dataclasses.replace(plan.probe, digest="e" * 64)
    others = [
        dataclasses.replace(plan, models=(DissectedModel(retrained, ("layer4",)),)),
        dataclasses.replace(plan, models=(DissectedModel(prepared, ("layer4",)),)),
        dataclasses.replace(plan, probe=repainted),
        make_plan(count=8, layers=("layer4",)),
        make_plan(count=4, layers=("layer3",)),
        make_plan(count=4, layers=("layer4",), batch_size=2),
        dataclasses.replace(plan, clip=None),
    ]
    assert len({key, plan.key({"torch": "3"}), *(other.key({}) for other in others)}) == 9


def test_any_number_of_reading_threads_gives_the_same_bits(plan, reference, tmp_path, monkeypatch):
    monkeypatch.setattr(read_ahead, "thread_count", lambda _plan: 3)
    assert_same(reference, run_pass(plan, tmp_path))


@pytest.mark.parametrize(("cores", "threads", "expected"), [(1, 1, 1), (2, 2, 1), (2, 1, 1), (16, 4, 8), (8, 4, 4)])
def test_the_cores_that_the_models_leave_read_images(plan, monkeypatch, cores, threads, expected):
    monkeypatch.setattr(read_ahead.os, "sched_getaffinity", lambda _process: range(cores), raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    assert read_ahead.thread_count(plan) == expected


def test_of_each_shard_only_the_maps_of_a_layer_are_read(plan, tmp_path, monkeypatch):
    found = run_pass(plan, tmp_path)
    whole = observe_images(plan, range(len(plan.probe)), ())
    read, real = [], checkpoint.read_bytes
    monkeypatch.setattr(checkpoint, "read_bytes", lambda path, most: read.append(path.name) or real(path, most))
    for layer in (0, 1):
        parts = list(found.maps(layer))
        for name in ("units", "positions", "maps"):
            joined = np.concatenate([getattr(part, name) for part in parts])
            np.testing.assert_array_equal(joined, getattr(whole.layers[layer].maps, name))
    assert read == [f"maps-{index:05d}-{layer}.safetensors" for layer in (0, 1) for index in range(len(plan.shards))]


@pytest.mark.parametrize("name", ["maps-00001-0.safetensors", "shard-00001.json"])
def test_maps_of_a_layer_that_are_damaged_are_computed_again(plan, tmp_path, name):
    found = run_pass(plan, tmp_path)
    expected = [part.maps for part in found.maps(0)]
    (tmp_path / name).write_bytes(b"{}")
    for _ in range(2):  # computed, then read
        for part, maps in zip(found.maps(0), expected, strict=True):
            np.testing.assert_array_equal(part.maps, maps)


def test_no_batch_waits_for_the_device():
    """All is read back, and all checks are looked at, when the shard is finished."""
    found = []
    with FarDevice() as device:
        far = dataclasses.replace(make_plan(layers=("layer3", "layer4")), clip=load_clip("scenes"))
        for module in (far.models[0].classifier.module, far.clip.module):
            device.moved(module)
        for images in (4, 4, 20):  # the first also finds out how the model is read
            batches = [read_batch(far, each) for each in batches_of(far, range(images))]
            device.begin()
            observe_batches(far, batches, ())
            found.append(device.waits)
    assert found[1] == found[2] and found[1]["tolist"] == 1


@pytest.mark.parametrize("batch", [0, 2])
def test_logits_that_are_not_finite_are_told_of_the_first_batch_that_has_them(batch):
    """The same sentence on the CPU, where every batch is looked at, and on a device."""
    plan = make_plan(layers=("layer4",))
    batches = [read_batch(plan, each) for each in batches_of(plan, range(20))]
    for index in (batch, 4):
        batches[index].inputs[0][index % 4, 0, 0, 0] = torch.nan
    with pytest.raises(ModelMisbehaves, match=f"for image {batch % 4} of the batch") as told:
        observe_batches(plan, batches, ())
    with FarDevice() as device, pytest.raises(ModelMisbehaves) as far:
        device.moved(plan.models[0].classifier.module)
        observe_batches(plan, batches, ())
    assert str(far.value) == str(told.value)


def test_without_pixel_labels_no_map_is_saved_and_strips_are_the_same(plan, reference, tmp_path):
    unlabelled = dataclasses.replace(plan, probe=dataclasses.replace(plan.probe, concepts=()))
    found = run_pass(unlabelled, tmp_path)
    assert not list(tmp_path.glob("maps-*")) and not list(found.maps(0))
    top = most_active(found.whole.layers[1].activations, SHOWN)
    assert list(strips(found, 1, top)) == list(strips(reference, 1, top))


def test_strips_outline_where_the_upsampled_map_exceeds_the_threshold(plan, reference):
    """By hand from the maps of all images: the kept maps are those of the top images, and edges those of scipy."""
    whole = observe_images(plan, range(len(plan.probe)), ())
    output = {(int(u), int(p)): m for p, units, maps in all_maps(plan) for u, m in zip(units, maps, strict=True)}
    layer = reference.whole.layers[1]
    top = most_active(layer.activations, SHOWN)
    np.testing.assert_array_equal(layer.peaks.strongest.positions, whole.positions[top])
    thresholds, white = layer.top.quantile(SHARE), np.full((72, 2, 3), 255, np.uint8)
    for unit, strip in enumerate(strips(reference, 1, top)):
        parts = []
        for row in top[unit]:
            enlarged = Image.fromarray(output[unit, int(row)]).resize((72, 72), Image.Resampling.BILINEAR)
            active = np.asarray(enlarged) > thresholds[unit]
            drawn = reference.summaries(1)[row].pixels.copy()
            drawn[~active & ~binary_erosion(~active, border_value=1)] = (0, 0, 0)
            drawn[active & ~binary_erosion(active, border_value=1)] = (0, 255, 255)
            parts += [drawn, white]
        buffer = io.BytesIO()
        Image.fromarray(np.concatenate(parts[:-1], axis=1)).save(buffer, "jpeg", quality=75)
        assert strip == buffer.getvalue()


def all_maps(plan):
    """Every map of layer4, batch by batch from the model itself."""
    model = plan.models[0].classifier
    for start in range(0, len(plan.probe), plan.batch_size):
        images = [Image.fromarray(plan.probe.read(each).pixels) for each in range(start, start + plan.batch_size)]
        kept = []
        handle = model.layer("layer4").register_forward_hook(lambda _m, _i, out, kept=kept: kept.append(out.numpy()))
        with torch.no_grad():
            model.module(torch.stack([model.preprocess(each) for each in images]))
        handle.remove()
        for offset, maps in enumerate(kept[0]):
            yield start + offset, np.arange(len(maps)), maps


def in_its_format(plan):
    model = plan.models[0]
    return dataclasses.replace(plan, models=(DissectedModel.at_its_fastest(model.classifier, model.layers),))


def test_the_fastest_memory_format_gives_the_same(tmp_path):
    plan = make_plan(count=20, layers=("layer3", "layer4", "fc"))
    plain, fast = run_pass(plan, tmp_path / "plain"), run_pass(in_its_format(plan), tmp_path / "fast")
    assert fast.plan.models[0].memory_format is torch.channels_last
    assert fast.plan.key({}) != plan.key({})
    for expected, found in zip(plain.whole.layers, fast.whole.layers, strict=True):
        np.testing.assert_allclose(found.activations, expected.activations, rtol=0, atol=1e-4)
    for layer in (0, 1):
        for expected, found in zip(plain.maps(layer), fast.maps(layer), strict=True):
            np.testing.assert_array_equal(found.units, expected.units)
            np.testing.assert_allclose(found.maps, expected.maps, rtol=0, atol=1e-4)


def test_a_model_that_needs_contiguous_tensors_gets_them(tmp_path):
    plan = in_its_format(odd_plan(lambda x: x.view(len(x), -1)))
    assert plan.models[0].memory_format is torch.contiguous_format
    assert run_pass(plan, tmp_path).whole.layers[0].activations.shape == (4, 3 * 96 * 96)


def test_a_model_that_fails_is_named_before_the_pass():
    with pytest.raises(ModelMisbehaves, match=r"odd fails on a batch of shape .*too wide"):
        in_its_format(odd_plan(lambda x: (_ for _ in ()).throw(ValueError("too wide"))))


def test_the_spot_check_notices_changed_code_with_equal_weights():
    plain, doubled = odd_plan(lambda x: x), odd_plan(lambda x: 2 * x)
    assert plain.key({}) == doubled.key({})
    assert spot_check(plain) == spot_check(odd_plan(lambda x: x)) != spot_check(doubled)
    # If the first images cannot be read, the spot check uses the next ones.
    unread = [broken(plan, {0, 1}) for plan in (plain, doubled)]
    assert spot_check(unread[0]) != spot_check(unread[1])


def spot_check(plan):
    return observations_digest(observe_first_images(plan))


def test_without_maps_there_is_no_image_to_go_through():
    nothing = UnitMaps(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 2, 2), np.float32))
    assert list(nothing.by_image()) == []


@pytest.mark.slow
def test_the_last_shard_may_have_no_readable_image(tmp_path):
    half = make_plan(count=102, layers=("layer4",), batches_per_shard=1)
    found = run_pass(broken(half, {100}), tmp_path)  # one of the last two
    assert len(found.whole.positions) == 101
    last_shard_unread = broken(make_plan(count=101, layers=("layer4",), batches_per_shard=1), {100})
    emptied = run_pass(last_shard_unread, tmp_path / "other")
    assert len(emptied.whole.positions) == 100
    assert emptied.whole.layers[0].top.count == 100 * 36


def test_maps_that_cannot_reach_the_threshold_are_dropped_on_the_way(plan, tmp_path, monkeypatch):
    """Bounds known from earlier shards keep later ones small; the answer is the same (see the cuts above)."""
    sizes = []
    real = pass_module.observe_batches

    def watched(plan, batches, bounds):
        shard = real(plan, batches, bounds)
        sizes.append(len(shard.layers[1].maps.maps))
        return shard

    monkeypatch.setattr(pass_module, "observe_batches", watched)
    run_pass(make_plan(count=40, layers=("layer3", "layer4")), tmp_path)
    assert sizes[-1] < sizes[0]
