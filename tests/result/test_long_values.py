"""A long value of a document does not hide what its sentence says."""

from xai_eval.result.fields.document import Document


def sentence(was, now):
    (difference,) = Document({"how": now}).differences(Document({"how": was}))
    return next(iter(difference.statements)).sentence


def test_a_long_value_is_cut():
    told = sentence("assumed " * 100, "given")
    assert told.endswith('... became "given"') and len(told) < 150


def test_ends_that_alone_differ_are_kept():
    assert sentence("word " * 100 + "cat", "word " * 100 + "dog").endswith('dog"')
