"""The answer to the release question in the terminal, on the page, and in `verdicts.json`."""

import contextlib
import dataclasses
import functools
import json
import re
from importlib import resources

import chromium
import jsonschema
import pandas as pd
import pytest

from xai_eval.gate.judge import judge_all
from xai_eval.gate.judge_run import Judged
from xai_eval.gate.release.release import Outcome
from xai_eval.gate.run_findings import RunFindingsCollector
from xai_eval.gate.verdict import State, Verdict
from xai_eval.report.page import shown_cases
from xai_eval.report.text.head import head
from xai_eval.report.text.release import release_lines, release_sentence
from xai_eval.report.text.summary import summary_lines, worst_first
from xai_eval.report.text.verdicts import verdicts_document
from xai_eval.report.write import write_report
from xai_eval.result.fields import Label, Table
from xai_eval.result.fingerprint import fingerprint_text
from xai_eval.result.result import Case, Provenance
from xai_eval.result.stage import Stage, StageKind
from xai_eval.store.noise import Measured
from xai_eval.store.runs import RunRecord


def with_energy(build, name, energy, weights, **changed):
    rows = {"method": ["gradcam", "scorecam"], "pointing_hit": [True, True], "energy_inside": [energy, energy / 2]}
    made = build.result(name, table=Table(pd.DataFrame(rows), {"energy_inside": 0.01}), **changed)
    stages = {**made.stages, Stage(StageKind.MODEL_WEIGHTS, "net"): fingerprint_text(weights)}
    return dataclasses.replace(made, stages=stages, provenance=Provenance(digests={"weights": weights}))


@pytest.fixture(scope="module")
def upgraded(build):
    """A run of ten images whose energies changed by what is given, after other weights."""

    def make(*gains, **changed):
        names = [f"{place}.JPEG" for place in range(10)]
        goldens = build.by_key(*(with_energy(build, name, 0.5, "a" * 64).condensed() for name in names))
        new = zip(names, gains, strict=True)
        obtained = build.by_key(*(with_energy(build, name, 0.5 + gain, "c" * 64, **changed) for name, gain in new))
        collector = RunFindingsCollector(Measured({}, ()))
        verdicts = judge_all(obtained, goldens, listener=collector)
        record = RunRecord(("cams",), ("scenes:objects",), ("birds",), 10, finished=True)
        return Judged(record, obtained, goldens, verdicts, run_findings=collector.findings(), pairs=collector.pairs)

    return make


def test_one_screen_says_the_answer_the_shares_and_every_measure(upgraded):
    findings = upgraded(*[-0.1] * 10).run_findings
    assert findings.release.outcome is Outcome.WORSE
    lines = release_lines(findings)
    assert lines[0] == "upgrade  The explanation is worse in: energy inside."
    assert release_sentence(findings.release) == (
        "The explanation is worse in: energy inside (cams on scenes:objects: same class in 10, same evidence in 10 of "
        "10 images)."
    )
    assert "of 10 images, 10 moved beyond a limit; 10 have the same class, 10 the same evidence." in lines[1]
    told = "\n".join(lines)
    assert "energy inside of ScoreCAM" in told and "0.500" in told and "-0.100 to -0.100" in told
    assert "pointing hit of Grad-CAM" in told and "10 of 10" in told and "0 lost, 0 won" in told
    assert "Not looked for in 10 cases" in lines[-1]
    assert len(lines) < 20 and "_" not in told.replace("scenes:objects", "")


@pytest.mark.parametrize(
    ("gains", "answer"),
    [
        ([0.0] * 10, "The explanation is the same ("),
        ([0.02] * 10, "The explanation is different, but not worse ("),
        ([0.4, -0.4] * 5, "Cannot tell with the 10 images that moved whether the explanation is worse ("),
        ([-0.4, *[0.0] * 9], "Cannot tell with the 1 image that moved whether the explanation is worse ("),
    ],
)
def test_each_answer_is_a_sentence(upgraded, gains, answer):
    assert release_sentence(upgraded(*gains).run_findings.release).startswith(answer)


@pytest.mark.parametrize(
    ("gains", "first"),
    [
        ([-0.1] * 10, "Not to be released: the explanation is worse in: energy inside. "),
        ([0.02] * 10, "To be released once somebody accepts it: the explanation is different, but not worse. All 10"),
        ([0.4, -0.4] * 5, "Not decided: cannot tell with the 10 images that moved whether the explanation is worse."),
    ],
)
def test_the_first_sentence_says_what_decides(upgraded, gains, first):
    judged = upgraded(*gains)
    assert head(worst_first(judged.verdicts), judged.run_findings).outcome.startswith(first)
    broken = [
        *judged.verdicts,
        Verdict(Case("cams", "net", "birds/cut.JPEG"), State.ERROR, reason="It is cut."),
    ]
    told = head(worst_first(broken), judged.run_findings)
    assert told.outcome.startswith(first) == ("worse in" in first) and not told.undecided, "an error decides, too"


def test_without_masks_the_sentence_says_what_is_missing(upgraded):
    release = upgraded(*[0.1] * 10, intended=Label(None)).run_findings.release
    assert any(each.margin is not None for each in release.tested)
    bare = dataclasses.replace(release, tested=())
    assert "neither masks nor faithfulness are known of the 10 images that moved" in release_sentence(
        dataclasses.replace(bare, outcome=Outcome.CANNOT_TELL)
    )


def test_a_run_without_an_upgrade_says_nothing_of_one(run):
    assert not [line for line in summary_lines(run.verdicts) if line.startswith("upgrade")]
    assert 'id="upgrade"' not in run.html


def test_the_documents_are_valid(upgraded):
    schema = json.loads(resources.files("xai_eval.report").joinpath("verdicts.schema.json").read_text())
    for gains in ([0.0] * 10, [-0.1] * 10, [-0.4, *[0.0] * 9]):
        judged = upgraded(*gains)
        told = json.loads(
            json.dumps(verdicts_document(judged.verdicts, judged.record, judged.run_findings), allow_nan=False)
        )
        jsonschema.Draft202012Validator(schema).validate(told)
        assert told["release"]["sentence"] == release_sentence(judged.run_findings.release)
        assert told["verdicts"][0]["expected"] == {"after": ["weights"], "moved": []}
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.Draft202012Validator(schema).validate({**told, "release": {"outcome": "better"}})


@pytest.fixture(scope="module")
def page(upgraded, tmp_path_factory):
    """Return the page of an upgrade, without figures beside it."""

    @functools.cache
    def written(*gains):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(shown_cases, "FIGURES", 0)
            return write_report(tmp_path_factory.mktemp("upgrade"), upgraded(*gains))

    return written


@pytest.mark.parametrize(("gains", "colour"), [([-0.1] * 10, "bad"), ([0.02] * 10, "open"), ([0.4, -0.4] * 5, "open")])
def test_the_page_has_a_section_with_a_row_per_measure(page, gains, colour):
    html = page(*gains).read_text(encoding="utf-8")
    section = html.split('<section class="release"')[1].split("</section>\n</section>")[0]
    assert f'<p class="outcome {colour}">The explanation' in section or "Cannot tell" in section
    first, second = re.findall(r'<p class="(outcome \w+)">', html)
    assert first == second, "one colour stands for one outcome"
    assert section.count("<tr>") == 1 + 5, "headings; the class, and two measures of each of two methods"
    assert "90 % interval" in section and "Not looked for in 10 cases" in section


@pytest.fixture(scope="module")
def browser():
    with chromium.launched() as browser:
        yield browser


@contextlib.contextmanager
def opened(browser, path, width):
    with browser.new_context(viewport={"width": width, "height": 900}, offline=True) as context:
        page = context.new_page()
        page.goto(path.as_uri())
        yield page


@pytest.mark.parametrize("width", [1280, 390])
def test_the_section_fits_a_screen_and_a_telephone(browser, page, width):
    with opened(browser, page(*[-0.1] * 10), width) as shown:
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        box = shown.locator("section.release").bounding_box()
        assert box["width"] <= width
        table = shown.locator("section.release .scroll")
        assert table.evaluate("each => each.scrollWidth > each.clientWidth") == (width == 390), (
            "the table scrolls alone"
        )
