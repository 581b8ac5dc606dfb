import json
import os
import shutil
import signal
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from framebank.store import DataError, Video
from framebank.store.errors import DataWarning
from framebank.store.indexes.enrolment import NAME, Calibration, Enrolment, changing
from framebank.store.indexes.index import Index
from framebank.store.vectors import unit
from framebank.tests.worlds.store import DIM, SPEC, videos

NAMES = ("a", "b", "c,é")


def make(count=2, *, of="x", seed=0):
    rows = [Video(f"k/é{n}", Path(f"/videos/{n}.mp4"), "k", "", None, 1.5 if n else None) for n in range(count)]
    vectors = unit(np.random.default_rng(seed).normal(size=(count, DIM)))
    return Enrolment(tuple(rows), vectors, {"k": 0.1 + 0.2} if count else {}, None, of)


@pytest.fixture
def folder(tmp_path):
    vectors = np.random.default_rng(1).normal(size=(len(NAMES), DIM))
    Index(vectors, videos(*NAMES), spec=SPEC, made_by={}).save(tmp_path / "i")
    return tmp_path / "i"


def of_index(folder):
    return Index.load(folder).enrolment.of


def test_round_trip_and_the_same_bytes(tmp_path):
    made = make()
    made.write(tmp_path)
    first = (tmp_path / NAME).read_bytes()
    again = Enrolment.read(tmp_path, of="x", dim=DIM)
    assert (again.videos, again.thresholds, again.nearest) == (made.videos, made.thresholds, None)
    np.testing.assert_array_equal(again.vectors, made.vectors)
    again.write(tmp_path)
    assert (tmp_path / NAME).read_bytes() == first
    make(0).write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def calibration(count=3, *, dim=DIM):
    return Calibration(0.1, "/bank", "val", make(count).videos, np.eye(count, dim, dtype=np.float32))


def test_what_set_the_thresholds_comes_back(tmp_path):
    others, nearest = np.float32([0.1, 0.2]), np.float32([0.3])
    replace(make(), others={"k": others}, nearest_others=nearest).write(tmp_path)
    again = Enrolment.read(tmp_path, of="x", dim=DIM)
    np.testing.assert_array_equal(again.others_of("k"), others)
    np.testing.assert_array_equal(again.nearest_others, nearest)


@pytest.mark.parametrize("count", [0, 2])
def test_a_calibration_comes_back(tmp_path, count):
    made = replace(make(count), calibration=calibration())
    made.write(tmp_path)
    again = Enrolment.read(tmp_path, of="x", dim=DIM).calibration
    assert (again.share, again.store, again.split, again.videos) == (0.1, "/bank", "val", make(3).videos)
    np.testing.assert_array_equal(again.vectors, made.calibration.vectors)
    replace(made, videos=(), vectors=made.vectors[:0], thresholds={}, calibration=Calibration()).write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_calibration_alone_goes_with_a_copy_of_its_index(folder, tmp_path):
    replace(make(0, of=of_index(folder)), vectors=np.zeros((0, DIM)), calibration=calibration()).write(folder)
    Index.load(folder).save(tmp_path / "copy")
    assert len(Index.load(tmp_path / "copy").enrolment.calibration.videos) == 3


def test_a_calibration_of_another_width(folder):
    replace(make(of=of_index(folder)), calibration=calibration(dim=DIM + 1)).write(folder)
    with pytest.raises(DataError, match="it is of another index"):
        Index.load(folder)


def test_what_was_enrolled_before_there_were_calibrations(tmp_path):
    make().write(tmp_path)
    with np.load(tmp_path / NAME) as arrays:
        about, vectors = json.loads(arrays["about"].tobytes()), arrays["vectors"]
    del about["calibration"], about["blake2b"]
    np.savez(tmp_path / NAME, about=np.frombuffer(json.dumps(about).encode(), dtype=np.uint8), vectors=vectors)
    again = Enrolment.read(tmp_path, of="x", dim=DIM)
    assert (again.videos, again.calibration.is_default) == (make().videos, True)


def test_an_index_with_enrolled_videos(folder, tmp_path):
    made = make(of=of_index(folder))
    made.write(folder)
    index = Index.load(folder)
    assert (len(index), index.num_own) == (5, 3)
    assert [hit.enrolled for hit in index.search(made.vectors[:1], 1)[0]] == [True]
    assert not any(hit.enrolled for hit in index.search_own(made.vectors[:1], 3))
    index.save(tmp_path / "copy")
    copy = Index.load(tmp_path / "copy")
    assert (copy.videos, copy.num_own, copy.enrolment.thresholds) == (index.videos, 3, made.thresholds)
    np.testing.assert_allclose(copy.vectors, index.vectors, atol=1e-6)
    with pytest.raises(DataError, match=r"holds enrolled classes or a calibration, .* would lose; .*--update"):
        index.save(folder)
    assert Index.load(folder).videos == index.videos


def test_enrolled_in_another_index(folder, tmp_path):
    make(of="another").write(folder)
    with pytest.raises(DataError, match=r"enrolled\.npz: was enrolled in another index"):
        Index.load(folder)


@pytest.mark.parametrize("damage", ["text", "cut", "flipped", "array"])
def test_damaged_files(folder, damage):
    make(of=of_index(folder)).write(folder)
    path = folder / NAME
    whole = bytearray(path.read_bytes())
    if damage == "text":
        path.write_text("no")
    elif damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "flipped":
        whole[whole.index(b"/videos/")] ^= 1
        path.write_bytes(whole)
    else:
        with path.open("wb") as file:
            np.save(file, np.ones(3))
    with pytest.raises(DataError, match=r"enrolled\.npz: cannot be read \("):
        Index.load(folder)


def test_parts_that_do_not_agree():
    with pytest.raises(ValueError, match="2 videos of"):
        replace(make(), thresholds={})
    with pytest.raises(ValueError, match="3 videos, vectors"):
        replace(calibration(), vectors=np.zeros((2, DIM)))
    with pytest.raises(ValueError, match="share 1"):
        Calibration(1)


def test_one_writer(folder):
    before = sorted(path.name for path in folder.iterdir())
    with changing(folder), pytest.raises(DataError, match="another process is writing"), changing(folder):
        pass
    with changing(folder):
        pass
    assert sorted(path.name for path in folder.iterdir()) == before


def test_readers_see_old_or_new(folder):
    own, sizes, stop = of_index(folder), set(), threading.Event()

    def read():
        while not stop.is_set():
            sizes.add(len(Index.load(folder)))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(60):
        make(number % 3, of=own, seed=number).write(folder)
    stop.set()
    reader.join()
    assert sizes <= {3, 4, 5}
    assert sizes


def test_a_kill_leaves_old_or_new(folder):
    shutil.copytree(folder, folder.with_name("before"))
    own = of_index(folder)
    child = os.fork()
    if child == 0:
        number = 0
        while True:
            number += 1
            make(1 + number % 2, of=own, seed=number).write(folder)
    while not (folder / NAME).exists():
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert len(Index.load(folder)) in (4, 5)
    with changing(folder):  # the lock of a killed writer is gone
        make(0).write(folder)
    assert len(Index.load(folder)) == 3


def test_a_folder_that_is_no_index_stays_as_it_is(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        with pytest.raises(DataError, match="is not an index"), changing(folder):
            pass
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_update_left_is_in_its_places_before_anything_is_enrolled(folder):
    """Else what is enrolled now would be replaced by what was enrolled then."""
    ready = folder / ".framebank-next"
    ready.mkdir()
    make(of=of_index(folder)).write(ready)
    for name in ("index.faiss", "ids.csv", "spec.json"):
        (folder / name).rename(ready / name)
    newer = make(3, of=of_index(folder))
    with pytest.warns(DataWarning, match="killed command had written files here"), changing(folder):
        newer.write(folder)
    assert len(Index.load(folder).enrolment) == 3
    assert not ready.exists()
