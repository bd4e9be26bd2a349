"""Where the configuration file is looked for, and what is said of one that cannot be read."""

from pathlib import Path

import pytest

from xai_eval.errors import UsageError
from xai_eval.settings.find import find_document

TABLE = '[tool.xai_eval]\ngolden = "mine"\n'


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def test_the_nearest_file_counts(tmp_path):
    write(tmp_path / "pyproject.toml", TABLE)
    below = tmp_path / "one" / "two"
    below.mkdir(parents=True)
    assert find_document(below).file == tmp_path / "pyproject.toml"
    own = write(tmp_path / "one" / "xai_eval.toml", 'golden = "other"')
    assert find_document(below).file == own
    assert find_document(below).table == {"golden": "other"}
    assert find_document(tmp_path).table == {"golden": "mine"}


def test_a_pyproject_of_other_tools_is_passed_by_even_if_it_is_broken(tmp_path):
    write(tmp_path / "xai_eval.toml", "")
    write(tmp_path / "below" / "pyproject.toml", "[tool.other\n")
    assert find_document(tmp_path / "below").file == tmp_path / "xai_eval.toml"
    # It only depends on xai_eval, so it does not configure it.
    write(tmp_path / "below" / "pyproject.toml", '[project]\ndependencies = ["xai_eval"]\n')
    assert find_document(tmp_path / "below").file == tmp_path / "xai_eval.toml"


def test_without_a_file_there_is_none(tmp_path):
    assert find_document(tmp_path) is None


def test_a_mark_of_the_byte_order_is_no_error(tmp_path):
    (tmp_path / "xai_eval.toml").write_bytes(b'\xef\xbb\xbfgolden = "g"')
    assert find_document(tmp_path).table == {"golden": "g"}


BROKEN = {
    "both kinds": ({"xai_eval.toml": b"", "pyproject.toml": TABLE.encode()}, "both configure xai-eval. Keep one"),
    "no TOML": ({"xai_eval.toml": b"golden = = 3"}, "xai_eval.toml is not valid TOML: Invalid value (at line 1"),
    "no TOML in pyproject": ({"pyproject.toml": b"[tool.xai_eval]\na = "}, "pyproject.toml is not valid TOML: "),
    "other encoding": ({"xai_eval.toml": "golden = 'é'".encode("latin-1")}, "not in UTF-8. Save it in UTF-8."),
    "no table": ({"pyproject.toml": b"[tool]\nxai_eval = 3"}, "tool.xai_eval is 3; expected a table"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_with_a_file_is_said_in_a_sentence(tmp_path, monkeypatch, name):
    files, sentence = BROKEN[name]
    monkeypatch.chdir(tmp_path)
    for file, content in files.items():
        Path(file).write_bytes(content)
    with pytest.raises(UsageError) as refused:
        find_document(tmp_path)
    assert sentence in str(refused.value) and str(tmp_path) not in str(refused.value)
