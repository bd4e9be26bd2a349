from __future__ import annotations

import pickle
from dataclasses import dataclass, replace

import numpy as np
import pytest

from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.inputs.probes.probe_set import Concept, ProbeImage, ProbeSet


@dataclass(frozen=True)
class Counting:
    """An image whose every pixel is its position."""

    def read(self, position: int) -> ProbeImage:
        return ProbeImage(f"p{position}", np.full((16, 16, 3), position, dtype=np.uint8))


def probe(size: int = 50) -> ProbeSet:
    names = tuple(f"p{position}" for position in range(size))
    return ProbeSet("mine", names, Counting(), (Concept("car", "object"),), "0" * 64, ("made up",))


def contents(probe: ProbeSet) -> list[tuple[str, int]]:
    images = [probe.read(position) for position in range(len(probe))]
    assert [image.name for image in images] == list(probe.names)
    return [(image.name, int(image.pixels[0, 0, 0])) for image in images]


def test_a_subset_is_in_order_without_repetition_and_recorded() -> None:
    subset = probe().subset(20, seed=3)
    read = contents(subset)
    assert len(subset) == len(set(read)) == 20
    assert read == sorted(read, key=lambda pair: pair[1])
    assert all(name == f"p{value}" for name, value in read)
    assert subset.notes == ("made up", "20 of 50 images, drawn with seed 3")
    assert (subset.name, subset.concepts) == ("mine", probe().concepts)


def test_a_subset_is_the_same_with_every_numpy() -> None:
    # MT19937 seeded with 0, shuffled as numpy's legacy generator has done since 1.x.
    assert probe(10).subset(4, seed=0).names == ("p2", "p4", "p8", "p9")


def test_the_seed_decides_and_smaller_subsets_lie_in_larger_ones() -> None:
    assert probe().subset(20, 3).names == probe().subset(20, 3).names != probe().subset(20, 4).names
    assert set(probe().subset(5, 3).names) < set(probe().subset(20, 3).names)


def test_every_image_is_as_likely_as_any_other() -> None:
    drawn = [name for seed in range(600) for name in probe(10).subset(3, seed).names]
    counts = [drawn.count(name) for name in probe(10).names]
    # 600 x 3 draws over 10 images: 180 each, standard deviation sqrt(600 x 0.3 x 0.7) = 11.2.
    assert all(abs(count - 180) < 5 * 11.2 for count in counts)


def test_the_digest_of_a_subset_tells_the_set_and_the_positions() -> None:
    whole = probe()
    digests = {
        whole.digest,
        whole.subset(20, 3).digest,
        whole.subset(20, 4).digest,
        whole.subset(21, 3).digest,
        replace(whole, digest="1" * 64).subset(20, 3).digest,
    }
    assert len(digests) == 5
    assert whole.subset(20, 3).digest == probe().subset(20, 3).digest


def test_all_images_are_the_set_itself() -> None:
    whole = probe()
    assert whole.subset(50, seed=1) is whole


def test_a_subset_of_a_subset() -> None:
    smaller = probe().subset(20, 3).subset(5, 1)
    assert set(contents(smaller)) < set(contents(probe().subset(20, 3)))
    assert smaller.notes[-2:] == ("20 of 50 images, drawn with seed 3", "5 of 20 images, drawn with seed 1")


@pytest.mark.parametrize("size", [0, -1, 51, 2.5, "ten"])
def test_a_size_out_of_range(size: object) -> None:
    with pytest.raises(UsageError, match="expected a whole number from 1 to 50"):
        probe().subset(size, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [-1, 2**32, 0.5, None])
def test_a_seed_out_of_range(seed: object) -> None:
    with pytest.raises(UsageError, match=r"seed is .* expected a whole number from 0 to 4294967295"):
        probe().subset(3, seed)  # type: ignore[arg-type]


@pytest.mark.parametrize("position", [-1, 50])
def test_positions_out_of_range_are_refused(position: int) -> None:
    with pytest.raises(IndexError, match="expected 0 to 49"):
        probe().read(position)
    with pytest.raises(IndexError, match="expected 0 to 9"):
        probe().subset(10, 0).read(position)


def test_no_image_at_all() -> None:
    with pytest.raises(InputUnavailable, match="probe set mine holds no image"):
        probe(0)


def test_duplicate_names_are_refused() -> None:
    with pytest.raises(UsageError, match="several images called a;"):
        replace(probe(), names=("a", "a", "b"))
    with pytest.raises(UsageError, match=r"several concepts called car \(object\);"):
        replace(probe(), concepts=(Concept("car", "object"),) * 2)
    assert len(replace(probe(), concepts=(Concept("car", "object"), Concept("car", "part"))).concepts) == 2


def test_workers_get_a_copy() -> None:
    subset = probe().subset(20, 3)
    assert contents(pickle.loads(pickle.dumps(subset))) == contents(subset)
