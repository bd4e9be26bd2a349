"""Published dissections of ResNet18 on Places365 give the published numbers when our functions sum them up."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xai_eval.explainers.dissection.counts import ConceptIndex, intersection_over_union
from xai_eval.explainers.dissection.netdissect import best_concepts
from xai_eval.metrics.labels import agreement
from xai_eval.metrics.unit_labels import category_counts, concept_counts, interpretable, layer_summary, unique_concepts

pytestmark = pytest.mark.real

CATEGORIES = ("color", "object", "part", "material", "scene", "texture")


def read(folder: Path, name: str) -> pd.DataFrame:
    """Read a table. Only empty cells are missing values, because a concept may be named "none"."""
    return pd.read_csv(folder / "reference" / name, keep_default_na=False, na_values=[""])


@pytest.fixture(scope="module")
def netdissect(real_data: Path) -> pd.DataFrame:
    found = read(real_data, "netdissect_resnet18_places365_layer4.csv")
    return found.assign(layer="layer4", unit=found["unit"] - 1)


@pytest.fixture(scope="module")
def clip_dissect(real_data: Path) -> pd.DataFrame:
    found = read(real_data, "clip_dissect_resnet18_places365.csv")
    return found.rename(columns={"description": "label", "similarity": "score"})


def test_netdissect_units_and_categories(netdissect: pd.DataFrame) -> None:
    kept = interpretable(netdissect)
    assert len(netdissect) == 512
    assert len(kept) == 434
    assert len(unique_concepts(kept)) == 187
    counts = category_counts(kept)
    expected = {"scene": 238, "object": 126, "texture": 42, "part": 23, "material": 4, "color": 1}
    assert dict(zip(counts["category"], counts["units"], strict=True)) == expected
    assert counts["unique_labels"].sum() == 187
    assert concept_counts(kept)["units"].sum() == 434
    assert layer_summary(netdissect)["mean_score"].item() == pytest.approx(0.0742, abs=5e-5)


def test_netdissect_scores_are_the_largest_of_their_ious(netdissect: pd.DataFrame) -> None:
    columns = [
        [netdissect[f"{category}-{part}"].to_numpy() for part in ("intersect", "activation", "truth")]
        for category in CATEGORIES
    ]
    iou = np.stack([intersection_over_union(*each) for each in columns], axis=1)
    stated = netdissect[[f"{category}-iou" for category in CATEGORIES]].to_numpy()
    np.testing.assert_allclose(iou, stated, rtol=0, atol=2e-8)
    best = best_concepts(iou, ConceptIndex.of(CATEGORIES))
    np.testing.assert_allclose(best.iou, netdissect["score"], rtol=0, atol=1e-9)
    assert [CATEGORIES[i] for i in best.concept] == netdissect["category"].tolist()
    assert best.interpretable.sum() == 434


def test_clip_dissect_layers(clip_dissect: pd.DataFrame) -> None:
    found = layer_summary(clip_dissect)
    assert found["layer"].tolist() == ["conv1", "layer1", "layer2", "layer3", "layer4"]
    assert found["units"].tolist() == found["labelled"].tolist() == [64, 64, 128, 256, 512]
    assert found["unique_labels"].tolist() == [17, 37, 67, 148, 317]
    assert found["mean_score"].tolist()[2:] == pytest.approx([0.1665, 0.1893, 0.3196], abs=5e-5)


def plain_name(label: str) -> str:
    """Return a label of Broden without its category, as in "kitchen-s" (scene) and "red-c" (colour)."""
    return re.sub(r"-[cs]$", "", label)


def test_both_methods_rarely_agree_to_the_letter(netdissect: pd.DataFrame, clip_dissect: pd.DataFrame) -> None:
    layer = clip_dissect[clip_dissect["layer"] == "layer4"]
    assert layer["unit"].tolist() == netdissect["unit"].tolist()
    found = agreement(layer["label"].tolist(), [plain_name(label) for label in netdissect["label"]])
    assert found.units == 512
    assert found.share == pytest.approx(0.082, abs=5e-4)
    assert found.share > 10 * found.chance
