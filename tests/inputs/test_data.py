from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pooch
import pytest
from local_site import Site

from xai_eval.errors import InputUnavailable, UsageError
from xai_eval.inputs import downloads as data
from xai_eval.inputs.downloads import Download, bundled, downloads, fetch, obtain

BODY = b"some weights" * 1000
DIGEST = hashlib.sha256(BODY).hexdigest()


def wanted(site: Site, **changes: str | None) -> Download:
    site.files["/w.bin"] = BODY
    return Download(**{"name": "w", "url": f"{site.url}/w.bin", "file": "sub/w.bin", "sha256": DIGEST, **changes})


def remains(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def test_the_data_root_is_the_named_folder_else_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAI_EVAL_DATA", "/some/where")
    assert data.data_root() == Path("/some/where")
    monkeypatch.delenv("XAI_EVAL_DATA")
    assert data.data_root() == Path(pooch.os_cache("xai_eval"))


@pytest.mark.parametrize("known", [{}, {"sha256": None, "sha256_prefix": DIGEST[:8]}])
def test_a_download_lands_in_the_data_root_once(site: Site, empty_root: Path, known: dict[str, str | None]) -> None:
    download = wanted(site, **known)
    path = obtain(download)
    assert path == empty_root / "sub" / "w.bin"
    assert path.read_bytes() == BODY
    assert obtain(download) == path
    assert site.asked == ["/w.bin"]
    assert remains(empty_root) == [path]


def test_a_file_without_a_published_digest_is_held_to_the_first_one(site: Site, empty_root: Path) -> None:
    download = wanted(site, sha256=None)
    path = obtain(download)
    record = path.with_name("w.bin.sha256")
    assert record.read_text() == f"{DIGEST}\n"
    assert sorted(remains(empty_root)) == [path, record]
    assert obtain(download) == path
    path.write_bytes(b"other weights")
    with pytest.raises(InputUnavailable, match=f"expected {DIGEST} for w, which is that of .* received first"):
        obtain(download)
    # The same file may be downloaded again, and another one only after the record was removed.
    path.unlink()
    assert obtain(download).read_bytes() == BODY
    site.files["/w.bin"] = b"other weights"
    path.unlink()
    with pytest.raises(InputUnavailable, match=r"remove w\.bin\.sha256 if the new one is right"):
        obtain(download)
    record.unlink()
    assert obtain(download).read_bytes() == b"other weights"


def test_a_file_where_nothing_can_be_written(site: Site, empty_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    download = wanted(site, sha256=None)
    (empty_root / "sub").mkdir(parents=True)
    (empty_root / "sub" / "w.bin").write_bytes(BODY)

    def refused(*_: object, **__: object) -> int:
        raise PermissionError("read-only")

    monkeypatch.setattr(Path, "write_text", refused)
    assert obtain(download).read_bytes() == BODY


@pytest.mark.skipif(os.name != "posix", reason="Windows has no such modes")
def test_others_may_read_what_was_downloaded_into_a_shared_root(site: Site, empty_root: Path) -> None:
    assert stat.S_IMODE(obtain(wanted(site)).stat().st_mode) == 0o644


@pytest.mark.parametrize(
    "known",
    [{"sha256": "0" * 64}, {"sha256": None, "sha256_prefix": "00000000"}, {"sha256": DIGEST[:-1] + "x"}],
)
def test_a_wrong_digest_is_refused_and_nothing_is_left(
    site: Site, empty_root: Path, known: dict[str, str | None]
) -> None:
    with pytest.raises(InputUnavailable, match=f"SHA-256 {DIGEST}; expected .* Nothing was kept"):
        obtain(wanted(site, **known))
    assert remains(empty_root) == []


def test_an_interrupted_transfer_leaves_nothing(site: Site, empty_root: Path) -> None:
    site.cut.add("/w.bin")
    with pytest.raises(InputUnavailable, match="cannot be downloaded"):
        obtain(wanted(site))
    assert remains(empty_root) == []


def test_an_interrupted_transfer_without_a_known_digest_is_noticed_too(site: Site, empty_root: Path) -> None:
    site.cut.add("/w.bin")
    with pytest.raises(InputUnavailable, match="cannot be downloaded"):
        obtain(wanted(site, sha256=None))
    assert remains(empty_root) == []


def test_a_missing_page_is_reported_with_the_servers_answer(site: Site, empty_root: Path) -> None:
    download = wanted(site, url=f"{site.url}/elsewhere.bin")
    with pytest.raises(InputUnavailable, match=re.escape(f"{site.url}/elsewhere.bin (the server answers 404")):
        obtain(download)
    assert remains(empty_root) == []


def test_offline_the_error_says_where_it_looked_and_how_to_provide_the_file(
    empty_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/w.bin"
    other = tmp_path / "hub" / "w.bin"
    with pytest.raises(InputUnavailable) as caught:
        obtain(Download("the weights", url, "sub/w.bin", sha256=DIGEST), also=[other])
    message = str(caught.value)
    home = empty_root / "sub" / "w.bin"
    for part in (
        "the weights is not on this machine",
        f"{home}, {other}",
        url,
        f"Copy the file to {home}",
        "XAI_EVAL_DATA",
    ):
        assert part in message
    assert "ConnectionError" in message


def test_a_prepared_root_needs_no_network(site: Site, empty_root: Path) -> None:
    home = empty_root / "sub" / "w.bin"
    home.parent.mkdir(parents=True)
    home.write_bytes(BODY)
    assert obtain(wanted(site)) == home
    assert site.asked == []


def test_another_cache_is_looked_at_before_the_network(site: Site, empty_root: Path, tmp_path: Path) -> None:
    other = tmp_path / "w.bin"
    other.write_bytes(BODY)
    assert obtain(wanted(site), also=[other]) == other
    assert site.asked == []
    assert not empty_root.exists()


def test_a_prepared_file_with_other_bytes_is_refused_and_kept(site: Site, empty_root: Path) -> None:
    home = empty_root / "sub" / "w.bin"
    home.parent.mkdir(parents=True)
    home.write_bytes(b"something else")
    with pytest.raises(InputUnavailable, match=f"{re.escape(str(home))} has SHA-256 .* expected {DIGEST}"):
        obtain(wanted(site))
    assert home.read_bytes() == b"something else"


def test_a_root_that_is_a_file_is_reported(site: Site, empty_root: Path) -> None:
    empty_root.write_text("in the way")
    with pytest.raises(InputUnavailable, match="cannot be downloaded"):
        obtain(wanted(site))


def test_fetch_brings_one_file_or_a_whole_set(site: Site, empty_root: Path, edit_manifest: Callable[..., Path]) -> None:
    site.files |= {"/1": b"one", "/2": b"two", "/3": b"three"}
    files = {"alone": ("/1", "a/1"), "set/x": ("/2", "s/2"), "set/y": ("/3", "s/3")}
    digests = {name: hashlib.sha256(site.files[url]).hexdigest() for name, (url, _) in files.items()}
    edit_manifest(
        downloads={
            name: {"url": site.url + url, "file": file, "sha256": digests[name]} for name, (url, file) in files.items()
        }
    )
    assert downloads() == ("alone", "set")
    assert fetch("alone").read_bytes() == b"one"
    folder = fetch("set")
    assert folder == empty_root / "s"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"2": b"two", "3": b"three"}


def test_fetching_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"unknown download 'imagenet-sample'. Did you mean imagenet-samples"):
        fetch("imagenet-sample")


def test_the_manifest_pins_its_downloads() -> None:
    content = json.loads((data.fixtures_folder() / "manifest.json").read_text())
    assert content["schema"] == 1
    unpinned = []
    for name in content["downloads"]:
        for entry in data.download_entries(name):
            if entry.sha256 is None and not entry.sha256_prefix:
                unpinned.append(entry.name)
            assert re.fullmatch(r"[0-9a-f]{64}", entry.sha256 or "0" * 64)
            assert entry.file
            assert not Path(entry.file).is_absolute()
            assert entry.source
    # The authors publish no digest of these weights.
    assert unpinned == ["places365:resnet18/weights"]


def test_torchvisions_digests_begin_as_its_file_names_say() -> None:
    entries = [entry for name in downloads() for entry in data.download_entries(name)]
    published = [entry for entry in entries if entry.name.startswith("torchvision:")]
    assert len(published) == 3
    for entry in published:
        prefix = entry.url.rpartition("-")[2].removesuffix(".pth")
        assert (entry.sha256 or entry.sha256_prefix).startswith(prefix)
        assert entry.file == f"checkpoints/{entry.url.rpartition('/')[2]}"


def test_bundled_inputs_match_the_manifest() -> None:
    names = data.manifest()["bundled"]
    assert "imagenet_classes" in names
    for name in names:
        assert bundled(name).is_file()


def test_a_changed_bundled_file_is_refused(edit_manifest: Callable[..., Path]) -> None:
    copy = edit_manifest()
    table = copy / "imagenet_classes.csv"
    table.write_text(table.read_text().replace("flamingo", "flamenco"))
    with pytest.raises(InputUnavailable, match=r"imagenet_classes\.csv has SHA-256 .* expected"):
        bundled("imagenet_classes")


def test_a_missing_bundled_file_is_reported(edit_manifest: Callable[..., Path]) -> None:
    (edit_manifest() / "imagenet_classes.csv").unlink()
    with pytest.raises(InputUnavailable, match=r"imagenet_classes\.csv is missing"):
        bundled("imagenet_classes")


def test_an_unknown_bundled_name_is_reported() -> None:
    with pytest.raises(InputUnavailable, match="no bundled input is called 'nothing'"):
        bundled("nothing")


@pytest.mark.parametrize("text", ["", "{", '{"schema": 2}'])
def test_a_damaged_manifest_is_reported(edit_manifest: Callable[..., Path], text: str) -> None:
    (edit_manifest() / "manifest.json").write_text(text)
    with pytest.raises(InputUnavailable, match=r"manifest\.json"):
        data.manifest()
