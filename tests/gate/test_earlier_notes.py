"""What is said of a model may be worded otherwise; the facts behind it are compared, also those of earlier goldens."""

import dataclasses

import pytest
from synthetic import make_result

from xai_eval.gate.earlier_notes import with_facts
from xai_eval.gate.judge import judge
from xai_eval.gate.verdict import State
from xai_eval.result.fields import Document
from xai_eval.result.fields.base import KINDS
from xai_eval.result.stage import StageKind

LOGITS = "logits of classes that exclude each other (softmax gives probabilities)"
BINARY = "one number for two classes (sigmoid gives the probability of the second)"
USUAL = "assumed (--output says otherwise)"
MAPS = "a map per class (softmax at each place; shown is the share of the image)"
PROBABLE = "a map of probabilities per class (shown is the share of the image)"
AXES = "found: it has an axis for rows and columns"
ENSEMBLE = (
    "assumed, because it is the first of 3 with 12 numbers each, such as members of an ensemble. If another one or "
    "their mean is the answer, wrap the model in a module that returns it alone"
)
NO_FACTS = {"kind": "logits", "entry": "", "probabilities": False, "numbers": "", "beside": ""}
# By what an earlier version wrote, what it meant. These sentences stay as they were: goldens hold them.
EARLIER = {
    f"{LOGITS}; {USUAL}": {},
    f"entry logits.0 of the output; {LOGITS}; {ENSEMBLE}": {"entry": "logits.0", "beside": "2 of 12"},
    f"entry 0 of the output; {LOGITS}; assumed, because it is the first: it has 12 numbers, another entry has 7. If": {
        "entry": "0",
        "beside": "7",
    },
    f"{LOGITS}; found: they are log-probabilities, which are explained as they are": {"numbers": "log-probabilities"},
    f"{LOGITS}; assumed, although all its numbers for two images of noise lie between 0 and 1, and it cannot": {
        "numbers": "between 0 and 1"
    },
    f"{LOGITS}; assumed, although none of its numbers for two images of noise is negative": {
        "numbers": "never negative"
    },
    f"{LOGITS}; assumed, although its rows for two images of noise have length 1": {"numbers": "of length 1"},
    "probabilities of classes that exclude each other; found: they are never negative and sum to 1": {
        "kind": "probabilities"
    },
    "several labels, each of which is there or not (sigmoid gives probabilities); found: the last step is a sigmoid": {
        "kind": "multilabel",
        "probabilities": True,
    },
    f"{BINARY}; given": {"kind": "binary"},
    f"{BINARY}; assumed, because two classes are named": {"kind": "binary"},
    "values; given": {"kind": "regression"},
    f"{MAPS}; {AXES}": {"kind": "segmentation"},
    f"{PROBABLE}; {AXES}; it stays between 0 and 1": {"kind": "segmentation", "probabilities": True},
    f"{MAPS}; assumed, although it is as large as the input and has as many channels: a model": {
        "kind": "segmentation",
        "numbers": "as large as the input",
    },
    "boxes, each with a class and a score (shown is the best score of each class); found: it returns boxes": {
        "kind": "detection"
    },
}
LAYERS = {
    "maps (h, w, channels) of 7 x 7 places; gradients reach its places": {
        "form": "maps (h, w, channels)",
        "places": "7 x 7",
        "gradients": True,
    },
    "tokens, 14 x 14 places and 1 before and 2 behind them; no gradient reaches its places": {
        "form": "tokens",
        "places": "14 x 14",
        "others": [1, 0, 2],
        "gradients": False,
    },
    "4 x 5 places, laid out by the given function over_the_image; gradients reach its places": {
        "form": "given over_the_image",
        "places": "4 x 5",
        "gradients": True,
    },
}
OTHER_WORDS = "the model gives a row of logits"


def described(content, facts=None):
    """A result without a stage of its logits: where logits stand that are the same does not matter."""
    document = Document({"input": "3 x 8 x 8", **content}, facts=facts or {})
    result = make_result()
    stages = {stage: each for stage, each in result.stages.items() if stage.kind is not StageKind.LOGITS}
    return dataclasses.replace(result, fields={**result.fields, "model": document}, stages=stages)


def output(text, **facts):
    return described({"output": text}, {"output": {**NO_FACTS, **facts}} if facts is not None else None)


@pytest.mark.parametrize("text", EARLIER)
def test_an_earlier_golden_is_read_whatever_the_words_are_today(text):
    golden, facts = described({"output": text}), EARLIER[text]
    verdict = judge(output(OTHER_WORDS, **facts), golden)
    assert verdict.state is State.OK
    assert "describes the model in other words, with the same facts: output." in verdict.sentence
    assert judge(output(text, **facts), golden).sentence == "The explanation matches its golden."


@pytest.mark.parametrize("text", EARLIER)
def test_each_fact_behind_the_words_of_an_earlier_golden_is_compared(text):
    golden = described({"output": text})
    for other in map(EARLIER.get, EARLIER):
        read = with_facts(output(OTHER_WORDS, **other), golden)[1]["model"].facts["output"]
        changed = {**NO_FACTS, **other} != read
        verdict = judge(output(OTHER_WORDS, **other), golden)
        assert (verdict.state is State.DRIFT) is changed, (text, other)
        assert changed or {**NO_FACTS, **other, **EARLIER[text]} == {**NO_FACTS, **other}


@pytest.mark.parametrize("text", LAYERS)
def test_what_an_earlier_golden_says_of_a_layer_is_read(text):
    golden = described({"layer last": text})
    assert judge(described({"layer last": OTHER_WORDS}, {"layer last": LAYERS[text]}), golden).state is State.OK
    for name in LAYERS[text]:
        changed = {**LAYERS[text], name: "another"}
        assert judge(described({"layer last": OTHER_WORDS}, {"layer last": changed}), golden).state is State.DRIFT


def test_facts_of_goldens_are_compared_and_their_words_are_not():
    golden = output(f"{LOGITS}; {USUAL}", kind="logits").condensed()
    verdict = judge(output(OTHER_WORDS, kind="logits"), golden)
    assert verdict.state is State.OK and "in other words" in verdict.sentence
    for name, value in {
        "kind": "probabilities",
        "entry": "1",
        "numbers": "log-probabilities",
        "beside": "2 of 9",
    }.items():
        verdict = judge(output(f"{LOGITS}; {USUAL}", **{name: value}), golden)
        assert verdict.state is State.DRIFT, name
        assert value in verdict.sentence
    assert judge(golden, golden).state is State.OK


def test_a_sentence_that_no_earlier_version_wrote_is_compared_as_it_stands():
    golden = described({"output": f"{LOGITS}; whatever"})
    assert judge(output(f"{LOGITS}; {USUAL}"), golden).state is State.DRIFT
    assert judge(output(f"{LOGITS}; whatever"), golden).state is State.OK


def test_a_result_of_an_earlier_version_is_read_as_its_golden_is():
    golden = output(OTHER_WORDS, beside="2 of 12", entry="0").condensed()
    assert judge(described({"output": f"entry 0 of the output; {LOGITS}; {ENSEMBLE}"}), golden).state is State.OK
    assert judge(described({"output": f"entry 1 of the output; {LOGITS}; {ENSEMBLE}"}), golden).state is State.DRIFT
    assert judge(described({"output": f"entry 0 of the output; {LOGITS}; {USUAL}"}), golden).state is State.DRIFT


def test_a_sentence_on_the_preprocessing_is_for_reading():
    was = described({"preprocessing": "assumed, as for ImageNet"})
    now = dataclasses.replace(
        was,
        fields={
            **was.fields,
            "model": Document({"input": "3 x 8 x 8", "preprocessing": "guessed"}, ("preprocessing",)),
        },
    )
    assert judge(now, was).state is State.OK


def test_facts_are_stored_and_kept_in_goldens():
    document = Document({"output": "text"}, ("x",), facts={"output": {"kind": "logits", "others": [1, 2]}})
    assert KINDS["document"].restore(document.meta(), {}) == document
    assert document.condensed() == document
    assert "facts" not in Document({"output": "text"}).meta()
