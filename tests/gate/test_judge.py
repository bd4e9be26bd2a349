import dataclasses

import numpy as np
import pandas as pd
import pytest
from field_changes import CELLS, CHANGES, FRAME, weights
from synthetic import blob, every_kind, make_case, make_result

from xai_eval.gate.judge import judge, judge_all
from xai_eval.gate.pairing import pair_cases, set_name
from xai_eval.gate.verdict import State
from xai_eval.result.fields import (
    Document,
    Heatmap,
    HeatmapTolerance,
    Label,
    Ranking,
    Score,
    Segments,
    Severity,
    Table,
)
from xai_eval.result.stage import Stage, StageKind


def judged(golden, obtained):
    return judge_all({obtained.case.key: obtained}, {golden.case.key: golden})


def test_a_result_against_itself_is_ok():
    result = make_result(fields=every_kind())
    verdict = judge(result, result.condensed())
    assert verdict.state is State.OK
    assert not verdict.failed
    assert verdict.sentence == "The explanation matches its golden."


def test_another_class_is_a_conclusion_and_leads_the_verdict():
    verdict = judge(make_result(predicted="crane", saliency=blob(150, 40)), make_result())
    assert verdict.state is State.DRIFT
    assert verdict.severity is Severity.CONCLUSION
    assert verdict.sentence.startswith(
        "Predicted class changed (conclusion): class 130 was called flamingo and is called crane now"
    )
    assert [f.severity for f in verdict.findings] == sorted((f.severity for f in verdict.findings), reverse=True)


def test_a_moved_map_is_evidence():
    verdict = judge(make_result(saliency=blob(150, 40)), make_result())
    assert verdict.severity is Severity.EVIDENCE
    assert {f.field for f in verdict.findings} == {"gradcam"}


def test_the_verdict_names_weights_versions_and_the_first_stage():
    golden = make_result(stages={Stage(StageKind.LAYER_ACTIVATIONS): np.ones(100)})
    obtained = make_result(
        saliency=blob(150, 40),
        weights="c" * 64,
        versions={"torch": "2.15.0"},
        stages={Stage(StageKind.LAYER_ACTIVATIONS): np.full(100, 1.5)},
    )
    verdict = judge(obtained, golden)
    assert "this changed: weights aaaaaaaa -> cccccccc, torch 2.11.0 -> 2.15.0." in verdict.sentence
    assert verdict.origin.stage == Stage(StageKind.MODEL_WEIGHTS, "net")
    same = judge(make_result(saliency=blob(150, 40)), make_result())
    assert same.origin.stage == Stage(StageKind.FINAL_MAP, "gradcam")
    chain = judge(make_result(saliency=blob(150, 40), stages={Stage(StageKind.LOGITS): np.ones(10)}), golden)
    assert chain.origin.stage == Stage(StageKind.LOGITS)


def test_weights_may_change_if_the_explanation_holds():
    verdict = judge(make_result(weights="c" * 64), make_result())
    assert verdict.state is State.OK
    assert "Weights changed on record (weights aaaaaaaa -> cccccccc); the explanation held." in verdict.sentence


def test_other_bytes_and_pixels_are_another_experiment():
    verdict = judge(make_result(image="d" * 64, stages={Stage(StageKind.DECODED_PIXELS): np.ones(12)}), make_result())
    assert verdict.state is State.INCOMPARABLE


def test_equal_pixels_at_another_compression_level_are_the_same_image():
    verdict = judge(make_result(image="d" * 64), make_result())
    assert verdict.state is State.OK


def test_equal_bytes_decoded_differently_are_a_drift_that_begins_there():
    golden = make_result()
    obtained = make_result(saliency=blob(150, 40), stages={Stage(StageKind.DECODED_PIXELS): np.arange(12.0) + 1})
    verdict = judge(obtained, golden)
    assert verdict.state is State.DRIFT
    assert verdict.origin.stage == Stage(StageKind.DECODED_PIXELS)


def test_other_parameters_are_incomparable_and_named():
    golden, obtained = make_result(), make_result(params={"target": "intended"})
    (verdict,) = judged(golden, obtained)
    assert verdict.state is State.INCOMPARABLE
    assert "target predicted -> intended" in verdict.sentence


def test_another_model_on_the_same_image_is_judged_and_named():
    golden = make_result()
    obtained = make_result(model="file:nets.py:net_retrained", weights="c" * 64, predicted="crane")
    (verdict,) = judged(golden, obtained)
    assert verdict.state is State.DRIFT
    assert "model file:nets.py:net -> file:nets.py:net_retrained, weights aaaaaaaa -> cccccccc" in verdict.sentence


def test_a_model_beside_the_golden_one_is_missing_not_paired():
    golden, twin = make_result(), make_result(model="other")
    verdicts = judge_all({r.case.key: r for r in (golden, twin)}, {golden.case.key: golden})
    assert [v.state for v in verdicts] == [State.OK, State.MISSING]


def test_two_candidates_are_not_paired():
    goldens = [make_case(model="one"), make_case(model="two")]
    assert list(pair_cases([make_case(model="three")], goldens).values()) == [None]
    rivals = [make_case(model="three"), make_case(model="four")]
    assert list(pair_cases(rivals, [make_case(model="one")]).values()) == [None, None]


def test_missing_and_unused():
    kept, gone, new = make_result("kept.jpg"), make_result("gone.jpg"), make_result("new.jpg")
    verdicts = judge_all({r.case.key: r for r in (kept, new)}, {r.case.key: r for r in (kept, gone)})
    assert {v.case.input: v.state for v in verdicts} == {
        "photos/kept.jpg": State.OK,
        "photos/new.jpg": State.MISSING,
        "photos/gone.jpg": State.UNUSED,
    }
    assert all(v.failed for v in verdicts if v.state is not State.OK)


@pytest.mark.parametrize("other", [{"task": "lime"}, {"model": "x"}, {"input": "other-set/gone.jpg"}])
def test_goldens_of_what_was_not_run_are_not_unused(other):
    kept = make_result("kept.jpg")
    gone = dataclasses.replace(kept, case=make_case("gone.jpg", **other))
    verdicts = judge_all({kept.case.key: kept}, {r.case.key: r for r in (kept, gone)})
    assert [v.state for v in verdicts] == [State.OK]


def test_of_a_set_that_ran_in_part_nothing_is_unused():
    kept, gone, summed = make_result("kept.jpg"), make_result("gone.jpg"), make_result(input="photos (4 images)")
    obtained, goldens = {kept.case.key: kept}, {r.case.key: r for r in (kept, gone, summed)}
    states = [State.OK, State.UNUSED, State.UNUSED]
    assert [v.state for v in judge_all(obtained, goldens)] == states
    assert [v.state for v in judge_all(obtained, goldens, selections=["photos"])] == states[:1]


@pytest.mark.parametrize(
    "given, name",
    [
        ("scenes (4 images)", "scenes"),
        ("scenes (1 image)", "scenes"),
        ("scenes/scene-00", "scenes"),
        ("album (4 images)/one.png", "album (4 images)"),
    ],
)
def test_a_case_that_sums_up_belongs_to_its_set(given, name):
    assert set_name(make_case(input=given)) == name


@pytest.mark.parametrize("name", CHANGES)
def test_every_kind_finds_its_change(name):
    was, now, severity = CHANGES[name]
    verdict = judge(make_result(fields={"it": now}), make_result(fields={"it": was}))
    assert verdict.state is State.DRIFT
    assert {f.field for f in verdict.findings} == {"it"}
    assert verdict.severity is severity


def test_a_field_that_is_gone_is_a_drift_and_one_that_came_is_unwatched():
    with_it, without = make_result(fields={"it": Label("a")}), make_result()
    assert judge(without, with_it).severity is Severity.CONCLUSION
    assert judge(with_it, without).state is State.OK
    assert [str(part) for part in judge(with_it, without).unwatched] == ["field it"]


def test_ties_may_swap_at_the_end_of_a_ranking():
    was = Ranking(("a", "b", "c"), (0.8, 0.05, 0.040), 0.02)
    now = Ranking(("a", "d", "b"), (0.8, 0.051, 0.045), 0.02)
    assert now.compare(was, "top") == ()


def test_the_tolerance_of_today_judges_not_that_of_the_golden():
    loose, strict = HeatmapTolerance(largest=0.9), HeatmapTolerance(largest=0.01)
    golden = make_result(fields={"map": Heatmap(blob(80, 80), loose)})
    obtained = make_result(fields={"map": Heatmap(blob(80, 83), strict)})
    assert judge(obtained, golden).state is State.DRIFT


def test_a_tolerance_of_zero_is_a_tolerance():
    assert Score(1.0 + 1e-12, 0.0).compare(Score(1.0, 0.0), "score") != ()


def test_the_sentence_is_pure_text_about_nothing_changed():
    verdict = judge(make_result(saliency=blob(150, 40)), make_result())
    assert "Weights, image, versions and settings are those of the golden" in verdict.sentence


def test_tuples_in_memory_and_lists_on_disk_are_the_same_parameters(tmp_path):
    result = make_result(params={"methods": ("gradcam", "scorecam")})
    assert judge(result, type(result).load(result.save(tmp_path))).state is State.OK


def test_table_sentences_are_readable_and_counts_have_tolerances():
    frame = FRAME.assign(count=[1, 5], energy=np.float32([0.5, 0.25]))
    moved = frame.assign(count=[2, 9], hit=[True, False], energy=np.float32([0.5, 0.26]))
    found = Table(moved, {"count": 1, "energy": 0.02}).compare(Table(frame), "table")
    assert [f.sentence for f in found] == [
        "hit of ScoreCAM: yes became no",
        "count of ScoreCAM: 5 became 9 (may differ by at most 1)",
    ]


def test_a_ranking_refuses_one_name_twice():
    with pytest.raises(ValueError, match="must differ"):
        Ranking(("crane", "crane"), (0.5, 0.4), 0.1)


def test_names_that_are_no_valid_text_survive_the_disk(tmp_path):
    result = make_result("caf\udce9.jpg")
    assert type(result).load(result.save(tmp_path)).case.input == "photos/caf\udce9.jpg"


def test_superpixels_may_be_numbered_anew():
    assert Segments(np.array([3, 1, 0, 2])[CELLS]).compare(Segments(CELLS), "segments") == ()


def test_one_pixel_in_another_superpixel_is_found_and_counted():
    moved = CELLS.copy()
    moved[0, 0] = 1
    (finding,) = Segments(moved).compare(Segments(CELLS), "segments")
    assert finding.value == 1 / 16


def test_weights_may_move_by_what_other_seeds_would_give_and_no_further():
    golden = weights([0.50, -0.40], spread=0.05)
    assert weights([0.59, -0.31], spread=0.05).compare(golden, "weights") == ()
    assert weights([0.61, -0.40], spread=0.05).compare(golden, "weights") != ()
    # The spread of today judges.
    assert weights([0.59, -0.40], spread=0.01).compare(golden, "weights") != ()


def test_what_is_not_judged_is_neither_kept_nor_compared():
    frame = pd.DataFrame({"method": ["lime"], "iou": [0.5], "seconds": [1.0]})
    now = Table(frame.assign(seconds=[9.0]), unjudged=("seconds",))
    was = Table(frame, unjudged=("seconds",))
    assert list(was.condensed().frame) == ["method", "iou"]
    assert now.compare(was, "table") == () == now.compare(was.condensed(), "table")
    assert Table(frame.assign(iou=[0.4]), unjudged=("seconds",)).compare(was, "table") != ()


def test_a_change_deep_in_the_parameters_is_named_alone():
    how = {"segmentation": {"name": "slic", "sigma": 1.0, "n_segments": 100}}
    changed = {"segmentation": {"name": "slic", "sigma": 1.0, "n_segments": 50}}
    verdict = judge(make_result(params=changed), make_result(params=how))
    assert verdict.reason.endswith("the two cannot be compared: segmentation n_segments 100 -> 50.")


def test_one_and_one_point_zero_are_the_same_value_and_true_is_another():
    golden = make_result(fields={"it": Document({"n": 1, "list": [1, {"b": 2, "a": 1}]})})
    same = make_result(fields={"it": Document({"n": 1.0, "list": [1.0, {"a": 1, "b": 2}]})})
    assert judge(same, golden).state is State.OK
    for other in ({"n": True, "list": [1, {"b": 2, "a": 1}]}, {"n": 1, "list": [1, {"b": 2}]}, {"n": 1, "list": [1]}):
        assert judge(make_result(fields={"it": Document(other)}), golden).state is State.DRIFT


def test_no_tolerance_excuses_a_number_that_was_lost():
    endless = {"energy": np.inf}
    golden = make_result(fields={"it": Table(FRAME, endless)})
    moved, lost = (make_result(fields={"it": Table(FRAME.assign(energy=[0.5, each]), endless)}) for each in (9, np.nan))
    assert judge(moved, golden).state is State.OK
    assert judge(lost, golden).state is State.DRIFT
