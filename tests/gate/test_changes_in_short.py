"""Sentences on changes stay short, whatever changed: the page and `verdicts.json` list everything."""

import dataclasses

from synthetic import make_result

from xai_eval.gate.causes import grouped
from xai_eval.gate.changes import Change, ChangeKind, changes_between
from xai_eval.gate.changes_in_short import in_short
from xai_eval.gate.factors import fixed_changes
from xai_eval.gate.verdict import State, Verdict
from xai_eval.report.text.summary import summary_lines
from xai_eval.result.class_list import CLASS_LIST, class_list


def prepared(**preprocessing):
    golden = make_result()
    provenance = dataclasses.replace(golden.provenance, parameters={"preprocessing": preprocessing})
    return dataclasses.replace(golden, provenance=provenance)


WAS = prepared(kind="ImageClassification", resize=256, crop=224, mean=[0.5], std=[0.2])
NOW = prepared(kind="callable", callable="Compose(" + "Resize(224) " * 40 + ")", matrix=[[1.0]])


def test_another_preprocessing_is_told_in_a_few_words():
    changes = changes_between(NOW, WAS)
    assert in_short(changes) == ("preprocessing (crop, kind, mean and 4 more of its settings)",)


def test_few_settings_are_told_with_their_values():
    changes = changes_between(prepared(resize=224, crop=224), prepared(resize=256, crop=224))
    assert in_short(changes) == ("parameter preprocessing resize 256 -> 224",)


def test_a_long_value_is_cut():
    (told,) = in_short([Change("parameter words", "a", "cat " * 500, ChangeKind.PARAMETER)])
    assert told.startswith("parameter words a -> cat cat") and told.endswith("...") and len(told) < 130


def test_the_title_of_a_group_names_the_changes_and_the_line_does_not_repeat_them():
    drifts = [
        Verdict(
            dataclasses.replace(make_result().case, input=f"{n}.png"), State.DRIFT, changes=changes_between(NOW, WAS)
        )
        for n in range(2)
    ]
    assert grouped(drifts)[0].title == "2 cases: preprocessing (crop, kind, mean and 4 more of its settings)"
    assert summary_lines(drifts)[0].count("preprocessing (crop") == 1


def test_other_names_of_classes_cannot_be_restored_but_are_told():
    golden = make_result()
    was, now = (
        dataclasses.replace(
            golden, provenance=dataclasses.replace(golden.provenance, parameters={CLASS_LIST: class_list(names, names)})
        )
        for names in (("cat", "dog"), ("dog", "cat"))
    )
    assert [change.what for change in fixed_changes(now, was)] == [CLASS_LIST]
