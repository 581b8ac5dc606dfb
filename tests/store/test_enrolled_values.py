"""enrolled.npz: every value of the right type, and as it was written."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from framebank.store import DataError, Video
from framebank.store.digest import SEAL, seal
from framebank.store.indexes.enrolment import NAME, Calibration, Enrolment
from framebank.store.vectors import unit
from framebank.tests.worlds.store import DIM


@pytest.fixture
def folder(tmp_path):
    rows = tuple(Video(f"k/{n}", Path(f"/videos/{n}.mp4"), "k") for n in range(2))
    held_out = tuple(Video(f"h{n}", Path(f"/h{n}.mp4"), "a", "val") for n in range(3))
    vectors = unit(np.random.default_rng(0).normal(size=(5, DIM)))
    made = Enrolment(rows, vectors[:2], {"k": 0.25}, 0.5, "x", Calibration(0.1, "/bank", "val", held_out, vectors[2:]))
    cosines = np.float32([0.1, 0.2])
    replace(made, others={"k": cosines}, nearest_others=cosines).write(tmp_path)
    return tmp_path


def change(folder, how, *, sealed=True):
    """Write the file with changed values, and a digest of them or the one that it had."""
    with np.load(folder / NAME) as found:
        arrays = dict(found)
    about = json.loads(arrays.pop("about").tobytes())
    how(about, arrays)
    said = {name: value for name, value in about.items() if name != SEAL}
    written = {**said, SEAL: seal(said, arrays) if sealed else about[SEAL]}
    np.savez(folder / NAME, about=np.frombuffer(json.dumps(written).encode(), dtype=np.uint8), **arrays)


def read(folder):
    return Enrolment.read(folder, of="x", dim=DIM)


WRONG = {
    "a label that is a number": (
        lambda about, _: about["videos"][0].__setitem__(2, 3),
        "a video is .*; expected its id",
    ),
    "a video of three values": (lambda about, _: about["videos"].__setitem__(0, ["a", "b", "c"]), "a video is "),
    "a video that is a text": (lambda about, _: about["videos"].__setitem__(0, "abcdef"), "a video is 'abcdef'"),
    "a start that is a text": (lambda about, _: about["videos"][0].__setitem__(4, "1"), "a video is "),
    "two videos of one id": (lambda about, _: about["videos"][1].__setitem__(0, "k/0"), "stands for two videos"),
    "videos that are a number": (lambda about, _: about.update(videos=3), "videos is 3; expected a list"),
    "a threshold that is no number": (lambda about, _: about.update(thresholds={"k": float("nan")}), "holds nan"),
    "a threshold that is a text": (
        lambda about, _: about.update(thresholds={"k": "high"}),
        "k is 'high'; expected a num",
    ),
    "a threshold of no label": (lambda about, _: about.update(thresholds={"z": 0.5}), "2 videos of"),
    "nearest that is a list": (lambda about, _: about.update(nearest=[0.5]), r"nearest is \[0.5\]; expected a number"),
    "a share that is a text": (lambda about, _: about["calibration"].__setitem__(0, "0.05"), "share is '0.05'"),
    "a share of all": (lambda about, _: about["calibration"].__setitem__(0, 1.0), "share 1.0"),
    "a calibration of two": (
        lambda about, _: about.update(calibration=[0.1, "a"]),
        "calibration is .*; expected a share,",
    ),
    "of that is a number": (lambda about, _: about.update(of=3), "of is 3; expected a text"),
    "vectors of zeros": (lambda _, arrays: arrays["vectors"].fill(0), "vectors has a row that is not of length 1"),
    "vectors that are no numbers": (lambda _, arrays: arrays["vectors"].fill(np.nan), "not of length 1"),
    "long vectors": (lambda _, arrays: arrays.update(vectors=arrays["vectors"] * 2), "not of length 1"),
    "fewer vectors": (lambda _, arrays: arrays.update(vectors=arrays["vectors"][:1]), "2 videos of"),
    "vectors of words": (lambda _, arrays: arrays.update(vectors=np.array([["a"]])), "vectors is an array of <U1"),
    "vectors in a row": (
        lambda _, arrays: arrays.update(vectors=arrays["vectors"][0]),
        r"shape \(8,\); expected 2 axes",
    ),
    "no vectors": (lambda _, arrays: arrays.pop("vectors"), "vectors is missing; expected an array"),
    "held-out zeros": (lambda _, arrays: arrays["held_out"].fill(0), "held_out has a row that is not of length 1"),
    "cosines in a square": (lambda _, arrays: arrays.update(others0=np.zeros((2, 2))), "others0 is an array of"),
    "cosines beyond 1": (
        lambda _, arrays: arrays.update(others0=np.float32([0.1, 7])),
        "others0 holds what are no cos",
    ),
    "cosines that fall": (lambda _, arrays: arrays.update(nearest_others=np.float32([0.2, 0.1])), "in rising order"),
    "no cosines": (lambda _, arrays: arrays.pop("others0"), "others0 is missing"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_value_of_another_kind_is_refused(folder, what):
    how, problem = WRONG[what]
    change(folder, how)
    with pytest.raises(DataError, match=rf"enrolled\.npz: cannot be read \(.*{problem}") as error:
        read(folder)
    assert "\n" not in str(error.value)


CHANGED = {
    "a vector": lambda _, arrays: arrays.update(vectors=arrays["vectors"][::-1]),
    "a threshold": lambda about, _: about.update(thresholds={"k": 0.26}),
    "a label of a held-out video": lambda about, _: about["calibration"][3][0].__setitem__(2, "b"),
    "a cosine": lambda _, arrays: arrays.update(others0=np.float32([0.1, 0.21])),
    "a path": lambda about, _: about["videos"][0].__setitem__(1, "/videos/9.mp4"),
}


@pytest.mark.parametrize("what", CHANGED)
def test_a_changed_value_is_refused_with_what_to_do(folder, what):
    change(folder, lambda *_: None, sealed=False)
    read(folder)
    change(folder, CHANGED[what], sealed=False)
    with pytest.raises(DataError, match=r"enrolled\.npz: cannot be read \(it is not as it was written: bring it back"):
        read(folder)
