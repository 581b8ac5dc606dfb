"""What tells one file from another under its name."""

import os
import shutil
import tarfile

import pytest

from framebank.store.videos.identity import Identity, glance_at, identify
from framebank.tests.worlds.bank import put


def test_a_copy_has_the_same_digest_and_a_touched_file_too(tmp_path):
    path = put(tmp_path / "a.mp4", "some content")
    first = identify(path)
    assert (first.size, first.stamp) == (12, "1000000000000000000")
    assert Identity.read(str(first)) == first
    shutil.copy(path, tmp_path / "b.mp4")
    assert identify(tmp_path / "b.mp4").digest == first.digest
    os.utime(path, (5, 5))
    assert identify(path).digest == first.digest and glance_at(path) != first.glance
    put(path, "some c0ntent")
    assert identify(path).digest != first.digest and glance_at(path) == first.glance  # what a glance cannot see


@pytest.mark.parametrize("size", [1, 1000, 1 << 20, (1 << 20) + 1, 5_000_000])
@pytest.mark.parametrize("place", [0, -1])
def test_the_first_and_the_last_byte_count_at_any_size(tmp_path, size, place):
    content = bytearray(os.urandom(size))
    (tmp_path / "a.mp4").write_bytes(content)
    content[place] ^= 1
    (tmp_path / "b.mp4").write_bytes(content)
    assert identify(tmp_path / "a.mp4").digest != identify(tmp_path / "b.mp4").digest
    (tmp_path / "b.mp4").write_bytes(content + b"0")
    assert identify(tmp_path / "a.mp4").digest != identify(tmp_path / "b.mp4").digest


def test_a_folder_of_frames(tmp_path):
    for number in range(40):
        put(tmp_path / "v" / f"{number:03d}.jpg", f"frame {number}")
    first = identify(tmp_path / "v")
    shutil.copytree(tmp_path / "v", tmp_path / "copy")
    assert identify(tmp_path / "copy").digest == first.digest
    put(tmp_path / "v" / ".hidden.jpg", "x")
    put(tmp_path / "v" / "notes.txt", "x")
    assert identify(tmp_path / "v") == first
    put(tmp_path / "v" / "fps.txt", "10")
    assert identify(tmp_path / "v").digest != first.digest
    (tmp_path / "v" / "fps.txt").unlink()
    put(tmp_path / "v" / "039.jpg", "other 39")
    assert identify(tmp_path / "v").digest != first.digest
    (tmp_path / "copy" / "020.jpg").unlink()
    assert identify(tmp_path / "copy").digest != first.digest


def test_a_member_of_a_tar_whose_tar_is_written_again(tmp_path):
    for name in ("a", "b"):
        put(tmp_path / f"{name}.mp4", name * 10)
    for names in ("ab", "ba"):
        with tarfile.open(tmp_path / f"{names}.tar", "w") as tar:
            for name in names:
                tar.add(tmp_path / f"{name}.mp4", f"{name}.mp4")
    one, other = identify(tmp_path / "ab.tar" / "a.mp4"), identify(tmp_path / "ba.tar" / "a.mp4")
    assert one.digest == other.digest == identify(tmp_path / "a.mp4").digest
    assert one.glance != other.glance
    assert identify(tmp_path / "ab.tar" / "c.mp4") is None


def test_what_has_none(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "empty").mkdir()
    for name in ("pipe.mp4", "empty", "absent.mp4", "absent/b.mp4"):
        assert identify(tmp_path / name) is None
    for words in ("", "1 2", "x 2 3", "1 x 3", "1 2 "):
        assert Identity.read(words) is None
