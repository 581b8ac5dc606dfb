"""Videos that are members of tar files."""

import gzip
import io
import re
import shutil
import tarfile
import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from framebank.extract.decoders.decode import count_frames, read_frames
from framebank.extract.decoders.source import local_file
from framebank.store.errors import DataError
from framebank.tests.worlds.video import TOTAL, read_index, write_indexed

needs_decord = pytest.mark.skipif(find_spec("decord") is None, reason="decord is not installed")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("tars")


@pytest.fixture(scope="module")
def shard(folder):
    """A shard of two videos, one of them in a folder; a text; a link."""
    first = write_indexed(folder / "a.mp4")
    second = write_indexed(folder / "b.mkv", total=20)
    with tarfile.open(folder / "shard-000.tar", "w") as archive:
        archive.add(first, "a.mp4")
        archive.add(second, "./deep/b.mkv")
        text = tarfile.TarInfo("a.txt")
        text.size = 5
        archive.addfile(text, io.BytesIO(b"hello"))
        link = tarfile.TarInfo("link.mp4")
        link.type, link.linkname = tarfile.SYMTYPE, "a.mp4"
        archive.addfile(link)
    return folder / "shard-000.tar"


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch):
    """Where copies are made; nothing may be left there."""
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield place
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("decoder", ["pyav", pytest.param("decord", marks=needs_decord)])
def test_a_member_is_read_as_its_file(shard, folder, decoder):
    order = np.array([50, 3, TOTAL - 1])
    frames = read_frames(shard / "a.mp4", order, decoder=decoder)
    assert [read_index(image) for image in frames.data] == order.tolist()
    np.testing.assert_array_equal(frames.data, read_frames(folder / "a.mp4", order, decoder=decoder).data)
    assert count_frames(shard / "deep" / "b.mkv") == 20


def test_the_copy_is_there_for_as_long_as_it_is_needed(shard, folder):
    with local_file(shard / "a.mp4") as copy:
        assert copy.suffix == ".mp4"
        assert copy.read_bytes() == (folder / "a.mp4").read_bytes()
    assert not copy.exists()
    with local_file(folder / "a.mp4") as itself:
        assert itself == folder / "a.mp4"


@pytest.mark.parametrize(
    ("member", "reason"),
    [
        ("absent.mp4", "shard-000.tar has no such file among its 3"),
        ("link.mp4", "shard-000.tar has no such file among its 3"),
        ("a.txt", "not a video (Invalid data found when processing input)"),
    ],
)
def test_errors_speak_of_the_member(shard, member, reason):
    with pytest.raises(DataError, match=re.escape(f"{shard / member}: {reason}")) as caught:
        read_frames(shard / member, np.array([0]))
    assert str(caught.value).startswith(str(shard))


def test_a_changed_shard_is_looked_through_again(shard, tmp_path):
    copy = Path(shutil.copy(shard, tmp_path / "grows.tar"))
    with pytest.raises(DataError, match="no such file"):
        count_frames(copy / "c.mp4")
    with tarfile.open(copy, "a") as archive:
        archive.add(write_indexed(tmp_path / "c.mp4", total=7), "c.mp4")
    assert count_frames(copy / "c.mp4") == 7


def test_what_is_no_tar(shard, tmp_path):
    packed, cut, text = tmp_path / "packed.tar", tmp_path / "cut.tar", tmp_path / "text.tar"
    packed.write_bytes(gzip.compress(shard.read_bytes()))
    cut.write_bytes(shard.read_bytes()[:5000])
    text.write_text("no tar\n" * 1000)
    for tar in (packed, cut, text):
        with pytest.raises(DataError, match=re.escape(f"{tar}: cannot be read as a complete uncompressed tar (")):
            count_frames(tar / "a.mp4")


def test_a_folder_may_be_named_as_a_tar(tmp_path):
    folder = tmp_path / "videos.tar"
    folder.mkdir()
    assert count_frames(write_indexed(folder / "a.mp4", total=5)) == 5
    with pytest.raises(DataError, match="there is no such file"):
        count_frames(folder / "b.mp4")
