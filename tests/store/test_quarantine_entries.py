"""Entries that a program adds to the quarantine are those that a person would have written, whatever they hold."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xai_eval.errors import StorageError, UsageError
from xai_eval.media.characters import says_nothing
from xai_eval.store.quarantine import QUARANTINE_FILE, Quarantine, read_quarantine, this_day
from xai_eval.store.quarantine_entries import add_entries
from xai_eval.store.rejections import LONGEST, REJECTIONS_FILE, Rejection, add_rejections, read_rejections

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
SOME = TEXTS.filter(lambda text: not says_nothing(text))
FORMER = st.sampled_from(["", "\n\n", "# mine", '# mine\n["x"]\nowner = "a"\nreason = """b\n"""\nexpires = 2026-01-01'])


@given(
    former=FORMER,
    keys=st.lists(TEXTS, min_size=1, max_size=3, unique=True),
    owner=SOME,
    reason=SOME,
    days=st.integers(0, 90),
)
def test_what_is_added_is_read_again_and_what_was_there_stays(tmp_path_factory, former, keys, owner, reason, days):
    folder = tmp_path_factory.mktemp("golden")
    (folder / QUARANTINE_FILE).write_text(former, encoding="utf-8")
    entry = Quarantine(owner.strip(), reason.strip(), this_day() + datetime.timedelta(days=days))
    keys = [f"cams/{key}" for key in keys]
    add_entries(folder, keys, entry, 90)
    found = read_quarantine(folder)
    assert {key: found[key] for key in keys} == dict.fromkeys(keys, entry)
    assert (folder / QUARANTINE_FILE).read_text(encoding="utf-8").startswith(former.rstrip("\n"))
    with pytest.raises(UsageError, match="already"):
        add_entries(folder, ["cams/another key, whatever it is", keys[0]], entry, 90)
    assert read_quarantine(folder) == found


@pytest.mark.parametrize("days, error", [(-1, UsageError), (91, StorageError)])
def test_a_day_that_is_over_or_too_far_is_refused(tmp_path, days, error):
    entry = Quarantine("a", "b", this_day() + datetime.timedelta(days=days))
    with pytest.raises(error):
        add_entries(tmp_path, ["cams/x"], entry, 90)
    assert list(tmp_path.iterdir()) == []


def test_a_document_that_cannot_be_read_is_left_alone(tmp_path):
    (tmp_path / QUARANTINE_FILE).write_text("[")
    with pytest.raises(StorageError):
        add_entries(tmp_path, ["cams/x"], Quarantine("a", "b", this_day()), 90)
    assert (tmp_path / QUARANTINE_FILE).read_text() == "["


def test_rejections_are_kept_in_order_and_their_number_is_bounded(tmp_path):
    assert read_rejections(tmp_path) == []
    every = [Rejection("now", "Mira", f"<{place}> ü", "cams/a", "d") for place in range(LONGEST + 3)]
    add_rejections(tmp_path, every[:2])
    add_rejections(tmp_path, every[2:])
    assert read_rejections(tmp_path) == every[3:]


def test_what_a_killed_decision_left_is_removed_by_the_next(tmp_path):
    left = [tmp_path / f".{name}.abcd1234" for name in (QUARANTINE_FILE, REJECTIONS_FILE, "mine.toml")]
    for path in left:
        path.write_text("half")
    add_entries(tmp_path, ["cams/a"], Quarantine("Mira", "upstream", this_day()), 90)
    add_rejections(tmp_path, [])
    assert [path.exists() for path in left] == [False, False, True]


@pytest.mark.parametrize("content", ["[", "{}", '[{"when": 1}]', '[{"when": "", "who": "", "reason": "", "case": ""}]'])
def test_another_document_in_its_place_is_told(tmp_path, content):
    (tmp_path / "rejected.json").write_text(content)
    with pytest.raises(StorageError, match=r"rejected.json is truncated or not a list"):
        read_rejections(tmp_path)
