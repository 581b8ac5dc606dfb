from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from framebank.heads.labelling import enroll as enrolling
from framebank.heads.labelling.answers import answers_of_index, decide
from framebank.heads.labelling.calibrate import calibrate, conformal_threshold, fewest, source_of
from framebank.heads.labelling.enroll import describe, unenroll
from framebank.store import DataError, Embeddings, Video
from framebank.store.indexes.enrolment import Calibration
from framebank.store.indexes.index import Index
from framebank.tests.worlds.store import SPEC

FLAT = replace(SPEC, dim=2)
MEAN = {"head": "mean", "classifier": "text", "run": None}


def on_circle(degrees):
    return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], axis=-1).astype(np.float32)


def cosine(degrees):
    return pytest.approx(np.cos(np.radians(degrees)), abs=1e-6)


def held_out(angles, labels, *, share=0.05):
    rows = tuple(Video(f"h{n}", Path(f"/h{n}.mp4"), label) for n, label in enumerate(labels))
    return Calibration(share, "/bank", "val", rows, on_circle(np.array(angles)))


def enroll(folder, label, degrees, *, path="/example.mp4"):
    examples = [(Video("e", Path(path)), on_circle(np.array(degrees)))]
    return describe(enrolling.enroll(folder, label, examples, index=Index.load(folder)), label)


def answer(index, degrees):
    rows = Embeddings(on_circle(np.array([degrees])), np.zeros(1), np.zeros(1, dtype=np.int64))
    return decide(answers_of_index(index, rows, k=1))[0]


@pytest.fixture
def folder(tmp_path):
    """Three videos in the plane: "left" at 170 and 190 degrees, "up" at 90; cosines are those of angles."""
    rows = [Video(f"v{n}", Path(f"/v{n}.mp4"), label) for n, label in enumerate(("left", "left", "up"))]
    Index(on_circle(np.array([170, 190, 90])), rows, spec=FLAT, made_by=MEAN).save(tmp_path / "i")
    return tmp_path / "i"


def test_threshold_by_hand():
    assert conformal_threshold(np.arange(18.0), share=0.05) is None
    assert conformal_threshold(np.arange(19.0), share=0.05) == 18  # of 20 draws, the last exceeds the rest once
    assert conformal_threshold(np.arange(39.0)[::-1], share=0.05) == 37
    assert conformal_threshold(np.arange(9.0), share=0.1) == 8


def test_threshold_keeps_its_promise():
    generator = np.random.default_rng(0)
    passing = []
    for _ in range(2000):
        scores = generator.normal(size=41)
        passing.append(scores[0] > conformal_threshold(scores[1:], share=0.05))
    assert 0.03 < np.mean(passing) < 0.06  # 2 of 41 is 4.9 %


@pytest.mark.parametrize("share", [0.01, 0.05, 0.1, 0.3, 0.5, 0.9])
def test_fewest_is_where_a_threshold_begins(share):
    assert conformal_threshold(np.arange(fewest(share), dtype=float), share=share) is not None
    assert conformal_threshold(np.arange(fewest(share) - 1, dtype=float), share=share) is None


def test_held_out_videos_alone_set_the_thresholds(folder):
    assert enroll(folder, "right", 0).threshold is None  # three videos are too few
    index = calibrate(folder, held_out([*range(100, 118), 60], ["left"] * 18 + ["up"]))
    made = describe(index, "right")
    assert (made.num_others, made.threshold) == (19, cosine(60))
    # asked as if their own class were not there: each "left" has "up" at 90 degrees, "up" has 170 degrees
    assert index.enrolment.nearest == cosine(10)
    assert (answer(index, 59), answer(index, 61), answer(index, 99)) == ("right", "unknown", "up")
    assert (source_of(index).num_videos, source_of(index).split) == (19, "val")


def test_share_by_hand(folder):
    enroll(folder, "right", 0)
    index = calibrate(folder, held_out(range(100, 118), ["left"] * 18, share=0.5))
    # the 10th smallest of 18: nine are nearer
    assert describe(index, "right").threshold == cosine(108)
    assert index.enrolment.nearest == cosine(18)  # the 10th smallest of the cosines to 90 degrees


def test_a_label_that_is_written_otherwise_is_the_same_class(folder):
    enroll(folder, "right", 0)
    calibration = held_out([*range(100, 119), 5, 6], ["left"] * 19 + ["Right", "up;RIGHT"])
    assert describe(calibrate(folder, calibration), "right").num_others == 19


def test_copies_of_an_example_set_no_threshold(folder):
    enroll(folder, "mine", 100, path="/h0.mp4")
    index = calibrate(folder, held_out(range(100, 120), ["left"] * 20))
    assert describe(index, "mine").num_others == 19  # the first is the example itself


def test_a_calibration_stays_with_later_enrolments_and_without_any(folder):
    calibration = held_out(range(100, 120), ["left"] * 20)
    alone = calibrate(folder, calibration).enrolment.nearest
    made = enroll(folder, "right", 0)
    assert (made.num_others, made.threshold) == (20, cosine(100))
    unenroll(folder, "right")
    again = Index.load(folder)
    assert (again.enrolment.nearest, len(again.enrolment)) == (alone, 0)
    assert source_of(again).store == "/bank"
    assert calibrate(folder, Calibration()).enrolment.is_empty
    assert not (folder / "enrolled.npz").exists()


def test_enrolled_examples_set_no_threshold_of_others_where_videos_are_held_out(folder):
    calibrate(folder, held_out(range(100, 120), ["left"] * 20))
    enroll(folder, "right", 0)
    enroll(folder, "near", 10)
    assert describe(Index.load(folder), "right").num_others == 20


def test_a_share_of_its_own_without_held_out_videos(folder):
    index = calibrate(folder, Calibration(0.5))
    # "up" and "left" ask each other: 80, 80 and 100 degrees; the second smallest of three
    assert index.enrolment.nearest == cosine(80)
    assert source_of(index) == source_of(Index.load(folder))
    assert (source_of(index).num_videos, source_of(index).share, source_of(index).store) == (3, 0.5, None)


def test_too_few_videos_change_nothing(folder):
    enroll(folder, "right", 0)
    before = (folder / "enrolled.npz").read_bytes()
    for calibration in (held_out(range(100, 118), ["left"] * 18), Calibration(0.1)):
        with pytest.raises(DataError, match=r"are too few to set a threshold that \d+ % of the others pass"):
            calibrate(folder, calibration)
    assert (folder / "enrolled.npz").read_bytes() == before
    # enough for the votes, but not for a class that most of them are of
    index = calibrate(folder, held_out(range(100, 120), ["right"] * 10 + ["left"] * 10))
    assert (describe(index, "right").threshold, index.enrolment.nearest) == (None, cosine(10))


def test_embeddings_that_are_no_numbers(folder, tmp_path):
    rows = [Video(name, Path(f"/{name}.mp4"), "left") for name in ("a", "b")]
    for bad in ([np.nan, 1], [0, 0], [np.inf, 0]):
        with pytest.raises(DataError, match="the embedding of 'b' is all zeros, or holds values that are not numbers"):
            Index(np.array([[1, 0], bad]), rows, spec=FLAT, made_by=MEAN)
        with pytest.raises(DataError, match=r"/e\.mp4: its embedding is all zeros, or holds"):
            example = (Video("e", Path("/e.mp4")), np.array(bad, dtype=np.float32))
            enrolling.enroll(folder, "right", [example], index=Index.load(folder))
    assert Index.load(folder).enrolment.is_empty
