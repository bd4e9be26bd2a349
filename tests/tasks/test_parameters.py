"""Parameters are read from signatures: their types, how words are converted to values, and their texts."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

import numpy as np
import pytest

from xai_eval.errors import UsageError
from xai_eval.explainers.attribution.question import BASELINES
from xai_eval.explainers.dissection.similarity import SIMILARITIES
from xai_eval.explainers.lime.segmentation import SEGMENTATIONS
from xai_eval.metrics.comparison import DEFAULT_AREA, POLICIES
from xai_eval.metrics.search import OBJECTIVES
from xai_eval.tasks import all_tasks
from xai_eval.tasks.parameters import Option, read_signature


def example(
    classifier,
    images,
    *,
    steps: Annotated[int, Option("steps", least=1, most=9)] = 5,
    share: float = 0.5,
    name: Annotated[str | None, Option("a name", "WORD", default="the first")] = None,
    target: str | int = "predicted",
    flag: bool = True,
    kind: Literal["one", "two"] = "one",
    names: Sequence[str] = ("a", "b"),
    sizes: list[int] | None = None,
    grid: Mapping[str, Any] | None = None,
    other: "str | Unknown | None" = None,  # noqa: F821
):
    """Do nothing."""


PARAMETERS = read_signature(example, "task example")

# Name, words of the command line, value.
READ = [
    ("steps", "7", 7),
    ("share", "2", 2.0),
    ("name", "7", "7"),
    ("target", "007", "007"),
    ("flag", "False", False),
    ("kind", "two", "two"),
    ("names", ["c"], ["c"]),
    ("sizes", ["1", "2"], [1, 2]),
    ("grid", ["n=1,2", "s=slic", "x=0.5"], {"n": [1, 2], "s": "slic", "x": 0.5}),
    ("other", "none", "none"),
    ("grid", ["n=nan,inf,1"], {"n": ["nan", "inf", 1]}),  # no case holds what is not finite
]


@pytest.mark.parametrize(("name", "words", "value"), READ)
def test_words_of_the_command_line_are_converted_to_the_type_of_the_parameter(name, words, value):
    read = PARAMETERS[name].read(words)
    assert read == value and type(read) is type(value)
    PARAMETERS[name].check(read)


UNREADABLE = [
    ("steps", "many", "--steps is 'many'; expected a whole number from 1 to 9."),
    ("steps", "1.5", "--steps is '1.5'; expected a whole number"),
    ("steps", "0", "--steps is '0'; expected a whole number from 1 to 9."),
    ("share", "half", "--share is 'half'; expected a number."),
    ("flag", "yes", "--flag is 'yes'; expected true or false."),
    ("kind", "tow", "unknown kind 'tow'. Did you mean two?"),
    ("steps", ["1", "2"], "--steps is '1 2'; expected a whole number"),
    ("sizes", ["1", "x"], "--sizes is 'x'; expected several values, each a whole number."),
    ("grid", ["n"], "--grid: 'n' is not of the form NAME=VALUE."),
    ("share", "nan", "--share is 'nan'; expected a number."),
    ("share", "1e999", "--share is '1e999'; expected a number."),
]


@pytest.mark.parametrize(("name", "words", "sentence"), UNREADABLE)
def test_words_that_cannot_be_converted_are_refused(name, words, sentence):
    with pytest.raises(UsageError) as told:
        PARAMETERS[name].read(words)
    assert sentence in str(told.value)


GOOD = [
    ("steps", np.int64(3)),
    ("share", 1),
    ("share", np.float32(0.5)),
    ("name", None),
    ("target", 3),
    ("names", ["a"]),
    ("names", "a"),  # a text is a sequence of texts to Python, and the task decides about it
    ("sizes", None),
    ("grid", {"n": 1}),
    ("other", object()),  # the class of this parameter is imported for type checkers only
]


@pytest.mark.parametrize(("name", "value"), GOOD)
def test_values_of_the_type_are_accepted(name, value):
    PARAMETERS[name].check(value)


BAD = [
    ("steps", "3", "steps is '3'; expected a whole number"),
    ("steps", True, "steps is True; expected"),
    ("steps", None, "steps is None; expected"),
    ("steps", 10, "steps is 10; expected a whole number from 1 to 9."),
    ("share", "1", "share is '1'; expected a number."),
    ("target", 0.5, "target is 0.5; expected text or a whole number."),
    ("kind", "three", "unknown kind 'three'"),
    ("names", 3, "names is 3; expected several values, each text."),
    ("names", [3], "names is [3]; expected"),
    ("grid", ["n"], "grid is ['n']; expected names with values."),
    ("sizes", "123", "sizes is '123'; expected several values, each a whole number."),
    ("share", float("nan"), "share is nan; expected a number."),
    ("share", float("-inf"), "share is -inf; expected a number."),
]


@pytest.mark.parametrize(("name", "value", "sentence"), BAD)
def test_values_of_another_type_are_refused(name, value, sentence):
    with pytest.raises(UsageError) as told:
        PARAMETERS[name].check(value)
    assert sentence in str(told.value)


def test_texts_about_a_parameter_follow_from_its_signature():
    said = {name: (p.flag, p.metavar, p.type_name, p.default_words) for name, p in PARAMETERS.items()}
    assert said["steps"] == ("--steps", "N", "int", "5")
    assert said["name"] == ("--name", "WORD", "str", "the first")
    assert said["kind"] == ("--kind", "{one,two}", "str", "one")
    assert said["flag"] == ("--flag", "BOOL", "bool", "true")
    assert said["names"] == ("--names", "NAME", "list of str", "a b")
    assert said["grid"] == ("--grid", "NAME=VALUE", "mapping", "none")
    assert said["target"][2] == "str or int"


def one_argument(images):
    """No task."""


def without_default(classifier, images, *, steps: int):
    """No task."""


def any_keyword(classifier, images, **options):
    """No task."""


def no_type(classifier, images, *, steps=3):
    """No task."""


def unreadable_type(classifier, images, *, steps: bytes = b""):
    """No task."""


def misspelt_type(classifier, images, *, steps: "itn" = 3):  # noqa: F821
    """No task."""


def broken_type(classifier, images, *, steps: "int[" = 3):  # noqa: F722
    """No task."""


def other_choice(classifier, images, *, kind: Literal["a", "b"] = "c"):
    """No task."""


def too_small(classifier, images, *, steps: Annotated[int, Option(least=1)] = 0):
    """No task."""


def other_type(classifier, images, *, steps: int = "three"):
    """No task."""


def of_the_command_line(classifier, pixels, *, images: str = "mine"):
    """No task."""


WRONG = {
    other_choice: "the default of parameter kind of task wrong is not a valid value: unknown kind 'c'",
    too_small: "is not a valid value: steps is 0; expected a whole number, at least 1.",
    other_type: "is not a valid value: steps is 'three'; expected a whole number.",
    of_the_command_line: "task wrong has a parameter images, which is an option of the command line already. Rename it",
    one_argument: "has the signature (images); expected (classifier, images, *, parameters...)",
    without_default: "parameter steps of task wrong has no default",
    any_keyword: "expected (classifier, images, *, parameters...)",
    no_type: "parameter steps of task wrong has no type",
    unreadable_type: "which the command line cannot read. Expected int, float",
    misspelt_type: "has the type itn, which the command line cannot read",
    broken_type: "the type int[ of parameter steps of task wrong cannot be evaluated",
}


@pytest.mark.parametrize("function", WRONG, ids=lambda each: each.__name__)
def test_a_signature_that_does_not_fit_a_task_is_refused(function):
    with pytest.raises(UsageError) as told:
        read_signature(function, "task wrong")
    assert WRONG[function] in str(told.value)


def test_a_default_of_names_with_values_is_said_as_it_is_written():
    def mine(classifier, images, *, grid: Mapping[str, Any] = {"a": 1, "b": [2, 3]}):
        """Do nothing."""

    parameter = read_signature(mine, "task mine")["grid"]
    assert parameter.default_words == "a=1 b=2,3"
    assert parameter.read(parameter.default_words.split()) == parameter.default


CHOICES = {
    ("lime", "segmentation"): SEGMENTATIONS,
    ("comparison", "segmentation"): SEGMENTATIONS,
    ("hybrid", "segmentation"): SEGMENTATIONS,
    ("comparison", "policy"): POLICIES,
    ("attributions", "baseline"): BASELINES,
    ("lime_search", "objective"): [each.name for each in OBJECTIVES],
    ("dissection", "similarity"): SIMILARITIES,
}


@pytest.mark.parametrize(("task", "name"), CHOICES)
def test_the_choices_in_signatures_are_those_that_the_code_accepts(task, name):
    assert list(all_tasks()[task].parameters[name].choices) == list(CHOICES[task, name])


def test_all_choices_in_signatures_are_compared_with_the_code():
    named = {(t.name, p.name) for t in all_tasks().values() for p in t.parameters.values() if p.choices}
    assert named == set(CHOICES)


def test_the_default_area_is_that_of_the_policy():
    assert all_tasks()["comparison"].parameters["area"].default == DEFAULT_AREA


def test_a_parameter_is_the_same_in_all_tasks_that_have_it():
    """Only their defaults may differ, because an option such as `--layer` must mean the same in all tasks."""
    options = {}
    for task in all_tasks().values():
        for name, parameter in task.parameters.items():
            options.setdefault(name, set()).add(parameter.option)
    assert {name: found for name, found in options.items() if len(found) > 1} == {}


def test_every_parameter_of_a_bundled_task_has_a_help_text():
    assert [p.name for t in all_tasks().values() for p in t.parameters.values() if not p.option.help] == []


def test_an_annotation_may_be_an_alias():
    from xai_eval.tasks.bundled.shared_parameters import Target

    assert get_args(Target)[0] == str | int
