"""The folder of finished files: written whole or not at all, read whole or not at all."""

import errno
import gzip
import itertools
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import brotli
import pytest
from hypothesis import given
from hypothesis import strategies as st

from statuspage.site import snapshot
from statuspage.site.reader import Damaged, File, Reader
from statuspage.site.snapshot import Current

BEFORE, AFTER = b"<p>All is well.</p>" * 40, b"<p>Signing in fails.</p>" * 40
revisions = itertools.count(1)


def publish(folder: Path, files: dict[str, bytes]) -> None:
    snapshot.write_all(folder, files)
    snapshot.write_current(folder, Current(next(revisions), "one", "2026-11-21", "2026-11-21T14:00:00Z"))


@pytest.fixture(autouse=True, scope="module")
def quick_disk() -> Iterator[None]:
    """No power is cut here: not to wait for the disk halves the time of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshot, "_flush", lambda *_: None)
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    publish(tmp_path / "site", {"/": BEFORE, "/incidents/one": BEFORE})
    return tmp_path / "site"


@pytest.fixture
def reader(folder: Path) -> Reader:
    return Reader(folder, look_every=0)


def body(file: File | None) -> bytes:
    assert file is not None
    assert gzip.decompress(file.forms["gzip"]) == file.forms[""]
    assert brotli.decompress(file.forms["br"]) == file.forms[""]
    return file.forms[""]


def test_each_file_is_there_in_three_forms_and_nothing_else(folder: Path) -> None:
    names = sorted(str(file.relative_to(folder)) for file in folder.rglob("*"))
    assert names == [
        "current.json",
        "incidents",
        *(f"incidents/one.html{form}" for form in ("", ".br", ".gz")),
        *(f"index.html{form}" for form in ("", ".br", ".gz")),
    ]
    assert gzip.decompress((folder / "index.html.gz").read_bytes()) == BEFORE
    assert brotli.decompress((folder / "index.html.br").read_bytes()) == BEFORE


def test_a_form_that_saves_nothing_is_not_given(folder: Path, reader: Reader) -> None:
    publish(folder, {"/favicon.svg": b"<svg/>"})
    file = reader.get("/favicon.svg")
    assert file is not None
    assert file.forms == {"": b"<svg/>"}


@pytest.mark.parametrize("failure", ["full before anything", "full in between", "full at the flush"])
def test_a_full_disk_changes_nothing_and_leaves_nothing(
    failure: str, folder: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = sorted(folder.rglob("*"))
    stage, calls = snapshot._stage, itertools.count()

    def full(*_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    def full_later(staging: Path, number: int, content: bytes) -> str:
        return full() if next(calls) > 3 else stage(staging, number, content)

    changed = {"full before anything": full, "full in between": full_later, "full at the flush": stage}[failure]
    monkeypatch.setattr(snapshot, "_stage", changed)
    if failure == "full at the flush":
        monkeypatch.setattr(snapshot, "_flush", full)
    with pytest.raises(OSError, match="No space left"):
        snapshot.write_all(folder, {"/": AFTER, "/incidents/one": AFTER})
    assert sorted(folder.rglob("*")) == names
    assert body(reader.get("/")) == body(reader.get("/incidents/one")) == BEFORE
    monkeypatch.undo()
    publish(folder, {"/": AFTER})
    assert body(reader.get("/")) == AFTER


def test_what_a_killed_publisher_left_is_cleaned_away_by_the_next(folder: Path) -> None:
    (folder / snapshot.STAGING).mkdir()
    (folder / snapshot.STAGING / "7").write_bytes(AFTER[:30])
    publish(folder, {"/": AFTER})
    assert not (folder / snapshot.STAGING).exists()


def test_bytes_that_are_there_already_keep_their_file(folder: Path) -> None:
    def marks() -> dict[str, int]:
        return {file.name: file.stat().st_ino for file in folder.glob("index.html*")}

    before = marks()
    snapshot.write_all(folder, {"/": BEFORE}, even_unchanged=False)
    assert marks() == before
    (folder / "index.html.gz").unlink()
    snapshot.write_all(folder, {"/": BEFORE}, even_unchanged=False)
    assert body(Reader(folder).get("/")) == BEFORE


def test_a_page_taken_away_goes_with_all_its_forms(folder: Path, reader: Reader) -> None:
    assert reader.get("/incidents/one") is not None
    snapshot.remove(folder, "/incidents/one")
    publish(folder, {"/": AFTER})
    assert reader.get("/incidents/one") is None
    assert list((folder / "incidents").iterdir()) == []


def test_what_belongs_to_nothing_is_taken_away_styles_stay(folder: Path) -> None:
    publish(folder, {"/assets/page.1.css": BEFORE, "/assets/page.2.css": BEFORE, "/history.rss": BEFORE})
    snapshot.remove_others(folder, ["/", "/assets/page.2.css"])
    names = {file.name for file in folder.rglob("*") if file.is_file()}
    assert names == {
        snapshot.CURRENT,
        *(f"{name}{form}" for name in ("index.html", "page.1.css", "page.2.css") for form in ("", ".gz", ".br")),
    }


# --- damage -----------------------------------------------------------------


def damage(file: Path, how: str) -> None:
    content = file.read_bytes()
    file.unlink()
    if how != "gone":
        changed = {"empty": b"", "half": content[: len(content) // 2], "flipped": content[:30] + b"?" + content[31:]}
        file.write_bytes(changed[how])


@pytest.mark.parametrize("how", ["gone", "empty", "half", "flipped"])
@pytest.mark.parametrize("form", ["", ".gz", ".br"])
def test_one_damaged_form_is_never_served_the_others_are(form: str, how: str, folder: Path) -> None:
    damage(folder / f"index.html{form}", how)
    file = Reader(folder).get("/")
    assert file is not None
    assert file.forms[""] == gzip.decompress(file.forms["gzip"]) == BEFORE
    assert file.forms.get("br") in (None, brotli.compress(BEFORE, quality=snapshot.BROTLI_QUALITY))
    assert ("br" in file.forms) is (form != ".br")


@pytest.mark.parametrize("how", ["empty", "half", "flipped"])
def test_with_every_form_damaged_the_page_before_stays(how: str, folder: Path, reader: Reader) -> None:
    assert body(reader.get("/")) == BEFORE
    publish(folder, {"/": AFTER})
    for file in folder.glob("index.html*"):
        damage(file, how)
    assert body(reader.get("/")) == BEFORE
    with pytest.raises(Damaged):
        Reader(folder).get("/")
    publish(folder, {"/": AFTER})
    assert body(reader.get("/")) == AFTER


def test_a_file_without_compressed_forms_is_taken_as_it_is(folder: Path) -> None:
    for form in (".gz", ".br"):
        (folder / f"index.html{form}").unlink()
    file = Reader(folder).get("/")
    assert file is not None
    assert gzip.decompress(file.forms["gzip"]) == file.forms[""] == BEFORE


def test_a_file_met_while_it_is_being_replaced_is_read_again_afterwards(folder: Path) -> None:
    reader = Reader(folder, look_every=0)
    newer = {form: compress(AFTER) for form, compress in (("", bytes), (".br", brotli.compress))}
    for form, content in newer.items():
        (folder / f"index.html{form}").write_bytes(content)
    met = reader.get("/")
    assert met is not None
    assert met.forms[""] == BEFORE
    (folder / "index.html.gz").write_bytes(gzip.compress(AFTER))
    publish(folder, {})
    assert body(reader.get("/")) == AFTER


@given(cut=st.integers(0, 200), at=st.integers(0, 2_000), form=st.sampled_from(["", ".gz", ".br"]))
def test_whatever_is_damaged_nothing_but_whole_pages_is_served(
    tmp_path_factory: pytest.TempPathFactory, cut: int, at: int, form: str
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    publish(folder, {"/": BEFORE})
    file = folder / f"index.html{form}"
    content = bytearray(file.read_bytes())
    content[at % len(content)] ^= 0x55
    file.write_bytes(bytes(content[: len(content) - cut]))
    found = Reader(folder).get("/")
    assert found is not None
    assert found.forms[""] == BEFORE
    for coding, unpack in (("gzip", gzip.decompress), ("br", brotli.decompress)):
        assert coding not in found.forms or unpack(found.forms[coding]) == BEFORE


# --- memory and time --------------------------------------------------------


def test_the_memory_is_bounded_and_what_is_asked_for_often_stays(folder: Path) -> None:
    publish(folder, {f"/incidents/{number}": os.urandom(4_000).hex().encode() for number in range(100)})
    reader = Reader(folder, memory=200_000)
    front = reader.get("/")
    for number in range(100):
        assert reader.get(f"/incidents/{number}") is not None
        assert reader.get("/") is front
        held = {id(file): file.size for half in (reader._new, reader._old) for file in half.values()}
        assert sum(held.values()) <= 200_000


def test_the_folder_is_looked_at_now_and_then_not_for_each_request(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elapsed, looks = [100.0], [0]
    monkeypatch.setattr("time.monotonic", lambda: elapsed[0])
    reader, notice = Reader(folder, look_every=0.05), Reader._notice

    def counted(self: Reader) -> None:
        looks[0] += 1
        notice(self)

    monkeypatch.setattr(Reader, "_notice", counted)
    for _ in range(1_000):
        elapsed[0] += 0.001
        reader.get("/")
    assert looks[0] <= 21


def test_a_reader_hammering_during_publications_sees_no_torn_page(folder: Path) -> None:
    reader, seen, ended = Reader(folder, look_every=0), set[bytes](), threading.Event()

    def read() -> None:
        while not ended.is_set():
            for path in ("/", "/incidents/one"):
                file = reader.get(path)
                assert file is not None
                for coding, unpack in (("", bytes), ("gzip", gzip.decompress), ("br", brotli.decompress)):
                    if coding in file.forms:
                        assert unpack(file.forms[coding]) == file.forms[""]
                seen.add(file.forms[""])

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    written = {BEFORE} | {b"<p>Publication %d.</p>" % number * 50 for number in range(40)}
    for page in sorted(written):
        publish(folder, {"/": page, "/incidents/one": page})
    ended.set()
    for thread in threads:
        thread.join()
    assert seen <= written
    assert len(seen) > 2
