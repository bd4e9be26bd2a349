"""The suite itself: the bundled model on the bundled scenes, held against the goldens."""

import pytest

from xai_eval import evaluate

# One worker explains for all of these.
NAMES = [f"scenes/scene-{index:02d}" for index in range(12)]


@pytest.fixture(scope="session")
def explained_scenes():
    return {result.case.input: result for result in evaluate("cams", device="cpu")}


@pytest.mark.xai
@pytest.mark.parametrize("name", NAMES)
def test_scene_against_its_golden(name, explained_scenes, xai_golden):
    xai_golden.check(explained_scenes[name])


def test_every_scene_is_held_against_a_golden(explained_scenes):
    assert sorted(explained_scenes) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_maps_of_a_scene_mean_something(name, explained_scenes):
    result = explained_scenes[name]
    for method in ("gradcam", "scorecam", "ablationcam"):
        assert result[method].degenerate is None
        assert result[method].array.min() >= 0.0 and result[method].array.max() <= 1.0
        assert result[method].array.shape == result["image"].array.shape[:2] == result["mask"].array.shape


def test_the_bundled_model_sees_what_the_scenes_show(explained_scenes):
    right = [r for r in explained_scenes.values() if r["predicted"] == r["intended"]]
    assert len(right) >= 11
    assert all(r["audit"].text is None for r in right)


@pytest.mark.parametrize("method", ["gradcam", "scorecam", "ablationcam"])
def test_the_bundled_model_looks_at_the_object(method, explained_scenes):
    rows = [r["table"].frame.set_index("method").loc[method] for r in explained_scenes.values()]
    shares = [r["mask"].array.mean() for r in explained_scenes.values()]
    assert all(row["pointing_hit"] for row in rows)
    assert sum(row["pointing_exact"] for row in rows) >= 9
    assert all(row["energy_inside"] > share for row, share in zip(rows, shares, strict=True))
