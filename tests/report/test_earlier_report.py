from __future__ import annotations

import json

from xai_eval.gate.judge import judge_all
from xai_eval.gate.judge_run import Judged
from xai_eval.report.earlier_report import remove_earlier_report
from xai_eval.report.write import write_report


def test_a_second_report_removes_what_it_does_not_have_and_nothing_else(tmp_path, run, build):
    record, obtained, goldens, verdicts = build.run()
    write_report(tmp_path, Judged(record, obtained, goldens, verdicts))
    mine = tmp_path / "figures" / "mine_vis_1.png"
    mine.write_bytes(b"not ours")
    now = build.by_key(build.result("moved.JPEG"))
    write_report(tmp_path, Judged(record, now, goldens, judge_all(now, goldens)))
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"moved_vis_130.png", "mine_vis_1.png"}


def test_a_forged_list_of_files_removes_nothing(tmp_path, run, build):
    victim = tmp_path / "victim.png"
    victim.write_bytes(b"precious")
    folder = tmp_path / "report"
    folder.mkdir()
    forged = ["../victim.png", "figures/../../victim.png", str(victim), 5, "figures/"]
    (folder / "verdicts.json").write_text(json.dumps({"files": forged[:3]}))
    write_report(folder, Judged(run.record, {}, {}, []))
    (folder / "verdicts.json").write_text(json.dumps({"files": forged}))
    write_report(folder, Judged(run.record, {}, {}, []))
    assert victim.read_bytes() == b"precious"


def test_a_new_run_begins_without_the_report_of_the_last(tmp_path, run, build):
    write_report(tmp_path, Judged(*build.run()))
    (tmp_path / "figures" / "mine_vis_1.png").write_bytes(b"not ours")
    remove_earlier_report(tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["mine_vis_1.png"]


def test_a_page_that_no_report_vouches_for_is_left_alone(tmp_path):
    (tmp_path / "index.html").write_text("somebody's home page")
    remove_earlier_report(tmp_path)
    assert (tmp_path / "index.html").exists()


def test_what_a_killed_process_left_of_a_report_goes_and_no_other_hidden_file(tmp_path):
    left = [".index.html.uio5_tka", "figures/.a_vis_1.png.0b1c2d3e", "tables/.a.csv.________", ".run.json.abcdefgh"]
    other = [".index.html.mine", ".hidden", "figures/.a.gif.0b1c2d3e"]
    for name in (*left, *other):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    remove_earlier_report(tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob(".*")) == sorted(other)
