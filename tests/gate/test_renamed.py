"""An image that was renamed is said to be the same image, in one line."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic import make_result

from xai_eval.cli.main import main
from xai_eval.gate.judge_run import Judged, judge_result, judge_run
from xai_eval.gate.renamed import Renamed, renamed_sentence
from xai_eval.gate.verdict import State
from xai_eval.result.result import Result
from xai_eval.store.goldens import Goldens
from xai_eval.store.run_folder import RunFolder
from xai_eval.store.runs import RunRecord

KEPT = make_result("kept.jpg", image="0" * 64)


def image(name: str, digit: str, **more: str) -> Result:
    return make_result(name, image=digit * 64, **more)


def judged(folder: Path, goldens: list[Result], results: list[Result]) -> Judged:
    """Judge a run against goldens; one image is in both, so that the goldens count as unused."""
    kept, run = Goldens(folder / "golden"), RunFolder(folder / "reports")
    for each in (KEPT, *goldens):
        kept.store(each, "first")
    case = KEPT.case
    run.save_record(RunRecord((case.task,), (case.model,), (case.input_set,), len(results) + 1, finished=True))
    for each in (KEPT, *results):
        run.save(each)
    return judge_run(run.path, kept)


def test_the_same_bytes_under_another_name_are_found(tmp_path: Path) -> None:
    found = judged(tmp_path, [image("a.jpg", "1"), image("b.jpg", "2")], [image("c.jpg", "1"), image("d.jpg", "3")])
    assert found.run_findings.renamed == (Renamed("photos/a.jpg", "photos/c.jpg"),)


def test_copies_and_other_parameters_are_no_renamed_image(tmp_path: Path) -> None:
    goldens = [image("a.jpg", "1"), image("b.jpg", "1")]
    assert judged(tmp_path / "copies", goldens, [image("c.jpg", "1")]).run_findings.renamed == ()
    both = [image("a.jpg", "1"), image("c.jpg", "1")]
    assert judged(tmp_path / "beside", [image("a.jpg", "1")], both).run_findings.renamed == ()
    other = make_result("c.jpg", image="1" * 64, params={"methods": ["other"]})
    assert judged(tmp_path / "other", [image("a.jpg", "1")], [other]).run_findings.renamed == ()


def test_many_renamed_images_take_one_line() -> None:
    assert renamed_sentence([]) == ""
    text = renamed_sentence([Renamed(f"photos/{n}.jpg", f"photos/new-{n}.jpg") for n in range(9)])
    assert "photos/0.jpg is now photos/new-0.jpg" in text
    assert "and 6 more." in text
    assert "\n" not in text


def test_terminal_and_page_say_it(tmp_path: Path, capsys) -> None:
    judged(tmp_path, [image("a.jpg", "1")], [image("c.jpg", "1")])
    assert main(["check", str(tmp_path / "reports"), "--golden", str(tmp_path / "golden")]) == 0
    out = capsys.readouterr().out
    assert out.count("photos/a.jpg is now photos/c.jpg") == 1
    assert "photos/a.jpg is now photos/c.jpg" in (tmp_path / "reports" / "index.html").read_text()


@settings(max_examples=4)
@given(renamed=st.booleans(), copied=st.booleans())
def test_a_single_result_finds_the_golden_of_its_image(tmp_path_factory, renamed: bool, copied: bool) -> None:
    kept = Goldens(tmp_path_factory.mktemp("golden"))
    goldens = [image("a.jpg", "1"), *([image("copy.jpg", "1")] if copied else [])]
    for each in goldens:
        kept.store(each, "first")
    result = image("c.jpg" if renamed else "a.jpg", "1")
    verdict = judge_result(result, kept, {}, stored=lambda: kept.load_all()[0])
    assert verdict.state is (State.MISSING if renamed and copied else State.OK)
    assert ("name photos/a.jpg -> photos/c.jpg" in verdict.sentence) == (renamed and not copied)
