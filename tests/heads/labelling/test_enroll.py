from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from framebank.heads.labelling import enroll as enrolling
from framebank.heads.labelling.answers import Answer, answers_of_index, decide
from framebank.heads.labelling.calibrate import calibrate
from framebank.heads.labelling.enroll import describe, label_in, prototypes, unenroll
from framebank.store import DataError, Embeddings, Video
from framebank.store.indexes.enrolment import Calibration
from framebank.store.indexes.index import Index
from framebank.store.vectors import unit
from framebank.tests.worlds.store import SPEC

FLAT = replace(SPEC, dim=2)
MEAN = {"head": "mean", "classifier": "text", "run": None}


def on_circle(degrees):
    return np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], axis=-1).astype(np.float32)


def save_index(folder, angles, labels):
    """An index of vectors in the plane, so that every cosine is that of an angle."""
    rows = [Video(f"v{n}", Path(f"/v{n}.mp4"), label) for n, label in enumerate(labels)]
    Index(on_circle(np.array(angles)), rows, spec=FLAT, made_by=MEAN).save(folder)
    return folder


def enroll(folder, label, examples):
    return describe(enrolling.enroll(folder, label, examples, index=Index.load(folder)), label)


def example(name, degrees):
    return Video(name, Path(f"/{name}.mp4")), on_circle(np.array(degrees))


def rows_at(degrees):
    return Embeddings(on_circle(np.array([degrees])), np.zeros(1), np.zeros(1, dtype=np.int64))


@pytest.fixture
def folder(tmp_path):
    """Twenty videos "left" from 100 to 119 degrees, and twenty "down" from 200 to 219."""
    return save_index(tmp_path / "i", [*range(100, 120), *range(200, 220)], ["left"] * 20 + ["down"] * 20)


def test_enroll_by_hand(folder):
    made = enroll(folder, "right", [example("a", 30), example("b", 50)])
    assert (made.num_enrolled, made.num_own, made.num_others) == (2, 0, 40)
    index = Index.load(folder)
    np.testing.assert_allclose(prototypes(index), on_circle(np.array([40])), atol=1e-6)
    # of 40 others, the 39th by cosine to 40 degrees: 100 degrees is the nearest, 101 the next
    assert made.threshold == pytest.approx(np.cos(np.radians(61)), abs=1e-6)
    # without its own class, each "left" has 200 nearest and each "down" 119: those two themselves at 81 degrees
    assert index.enrolment.nearest == pytest.approx(np.cos(np.radians(81)), abs=1e-6)
    assert [video.video_id for video in index.videos[40:]] == ["right/a", "right/b"]
    assert index.num_own == 40


def test_answers(folder):
    enroll(folder, "right", [example("a", 30), example("b", 50)])
    index = Index.load(folder)

    def label(degrees):
        return decide(answers_of_index(index, rows_at(degrees), k=3))

    name, (enrolled, votes) = label(45)
    assert (name, enrolled.by, votes.by, votes.passes) == ("right", "enrolled", "neighbours", True)
    assert enrolled.ranked[0][1] == pytest.approx(np.cos(np.radians(5)), abs=1e-3)
    name, (votes, enrolled) = label(105)
    assert (name, votes.by, enrolled.passes) == ("left", "neighbours", False)
    name, answers = label(310)
    assert (name, [answer.passes for answer in answers]) == ("unknown", [False, False])


def rival(folder, degrees):
    """The label of a video at an angle, and what the enrolled classes and the votes say."""
    name, answers = decide(answers_of_index(Index.load(folder), rows_at(degrees), k=3))
    by = {answer.by: answer for answer in answers}
    return name, by["enrolled"], by["neighbours"]


def test_the_rarer_match_counts_where_both_pass(tmp_path):
    angles = [*range(60, 100), *range(200, 240)]
    folder = save_index(tmp_path / "i", angles, ["wide"] * 40 + ["down"] * 40)
    enroll(folder, "right", [example("a", 30), example("b", 50)])
    calibrate(folder, Calibration(0.2))
    name, right, votes = rival(folder, 64.5)  # 60 to 64 degrees are as near to 40; none is as near to another class
    assert right.similarity > right.threshold == pytest.approx(np.cos(np.radians(35)), abs=1e-6)
    assert (right.share, votes.share) == (5 / 80, 0)
    assert (name, right.passes, votes.passes) == ("wide", False, True)
    name, right, votes = rival(folder, 55)  # nothing is as near to either
    assert (name, right.share, votes.share, votes.passes) == ("right", 0, 0, True)


def test_an_own_video_of_the_class_is_no_rival_to_it(tmp_path):
    angles = [0, 60, 40, *range(70, 110), *range(200, 220)]
    folder = save_index(tmp_path / "i", angles, ["right"] * 2 + ["between"] + ["wide"] * 40 + ["down"] * 20)
    enroll(folder, "right", [example("a", 30)])
    calibrate(folder, Calibration(0.2))
    name, right, votes = rival(folder, 60)
    assert (name, right.passes, votes.share) == ("right", True, 0)
    assert right.share == pytest.approx(1 / 61)


def test_own_videos_of_the_label_are_examples_too(folder):
    made = enroll(folder, "left", [example("a", 130)])
    assert (made.num_enrolled, made.num_own, made.num_others) == (1, 20, 20)
    expected = unit(on_circle(np.array([*range(100, 120), 130])).mean(0))
    np.testing.assert_allclose(prototypes(Index.load(folder))[0], expected, atol=1e-6)


def test_copies_of_an_example_set_no_threshold(folder):
    made = enroll(folder, "mine", [(Video("v0", Path("/v0.mp4")), on_circle(np.array(100)))])
    assert made.num_others == 39
    other = enroll(folder, "rest", [(Video("v1", Path("/v1.mp4")), on_circle(np.array(300)))])
    assert other.num_others == 41  # the file's name is the same, what it shows is not; and "mine" is another class


def test_enrolled_classes_are_others_to_each_other(folder):
    first = enroll(folder, "right", [example("a", 20)])
    enroll(folder, "near", [example(f"n{n}", 40 + n) for n in range(5)])
    index = Index.load(folder)
    assert describe(index, "right").num_others == 45
    assert describe(index, "right").threshold > first.threshold
    unenroll(folder, "near")
    assert describe(Index.load(folder), "right") == first


def test_the_nearest_of_those_that_pass_comes_first(folder):
    enroll(folder, "right", [example("a", 0)])
    enroll(folder, "up", [example("b", 45)])
    (enrolled, _) = answers_of_index(Index.load(folder), rows_at(30), k=1)
    assert [name for name, _ in enrolled.ranked] == ["up", "right"]


def test_the_same_names_twice_get_ids_of_their_own(folder):
    enroll(folder, "right", [(Video("a", Path("/x/a.mp4")), on_circle(np.array(5))), example("a", 10)])
    assert [video.video_id for video in Index.load(folder).videos[40:]] == ["right/a", "right/a-2"]


def test_nothing_is_known_of_videos_without_labels(tmp_path):
    folder = save_index(tmp_path / "i", range(60), [""] * 60)
    made = enroll(folder, "right", [example("a", 10)])
    assert (made.num_others, made.threshold) == (0, None)
    (answer,) = answers_of_index(Index.load(folder), rows_at(200), k=3)
    assert (answer.by, answer.passes, answer.threshold) == ("enrolled", True, None)  # nobody else has a name to give


def test_without_a_threshold_the_nearer_one_wins(tmp_path):
    folder = save_index(tmp_path / "i", [90, 91, 92], ["up"] * 3)
    enroll(folder, "right", [example("a", 0)])
    index = Index.load(folder)
    assert decide(answers_of_index(index, rows_at(40), k=3))[0] == "right"
    assert decide(answers_of_index(index, rows_at(50), k=3))[0] == "up"
    assert answers_of_index(index, rows_at(40), k=400) == answers_of_index(index, rows_at(40), k=3)  # all there are


def test_prototypes_are_made_once_for_an_index(folder):
    enroll(folder, "right", [example("a", 30)])
    index = Index.load(folder)
    assert prototypes(index) is prototypes(index)
    more = enrolling.enroll(folder, "right", [example("b", 50)], index=index)
    np.testing.assert_allclose(prototypes(more), on_circle(np.array([40])), atol=1e-6)
    np.testing.assert_allclose(prototypes(index), on_circle(np.array([30])), atol=1e-6)


def test_an_index_is_loaded_once(folder, monkeypatch):
    index = Index.load(folder)
    monkeypatch.setattr("framebank.store.indexes.index.map_flat", None)  # the vectors are not read again
    index = enrolling.enroll(folder, "right", [example("a", 30)], index=index)
    index = enrolling.enroll(folder, "near", [example("b", 50)], index=index)
    assert calibrate(folder, Calibration(0.2), index=index).enrolment.calibration.share == 0.2
    assert describe(index, "right").num_others == 41
    monkeypatch.undo()
    assert Index.load(folder).enrolment.labels == ("near", "right")


def test_several_labels_of_a_video(tmp_path):
    angles = [*range(100, 120), *range(200, 220)]
    folder = save_index(tmp_path / "i", angles, ["left;far"] * 20 + ["down; far"] * 20)
    made = enroll(folder, "far", [example("a", 0)])
    assert (made.num_own, made.num_others, made.threshold) == (40, 0, None)
    assert Index.load(folder).enrolment.nearest is None  # no two of its own videos are of quite other classes


def test_order_of_answers():
    run, texts = Answer("run", (("a", 0.4),)), Answer("texts", (("b", 0.9),))
    votes, enrolled = Answer("neighbours", (("c", 1.0),)), Answer("enrolled", (("d", 0.7),))
    far = replace(enrolled, passes=False)
    assert decide([votes, texts, run, enrolled]) == ("d", [enrolled, run, texts, votes])
    assert decide([votes, texts, run, far]) == ("a", [run, texts, votes, far])
    assert decide([far, votes])[0] == "c"
    assert decide([far])[0] == "unknown"


def test_labels_that_are_refused(folder):
    index = Index.load(folder)
    for label in ("", " x", "a;b", "UNKNOWN", "Left"):
        with pytest.raises(DataError):
            label_in(index, label)
    assert label_in(index, "left") == "left"


def test_a_label_in_another_unicode_form_is_the_same_class(folder):
    composed, divided = "caf\u00e9", "cafe\u0301"
    enroll(folder, composed, [example("a", 30)])
    made = describe(enrolling.enroll(folder, divided, [example("b", 50)], index=Index.load(folder)), composed)
    assert made.num_enrolled == 2 and Index.load(folder).enrolment.labels == (composed,)
    assert unenroll(folder, divided) == 2
    old = save_index(folder.parent / "old", range(5), [divided] * 5)  # an earlier version kept what a list had
    assert label_in(Index.load(old), composed) == divided


def test_nothing_to_unenroll(folder):
    with pytest.raises(DataError, match="has no enrolled class, and so no 'left'"):
        unenroll(folder, "left")


def test_an_index_that_was_made_again_meanwhile(folder):
    index = Index.load(folder)
    save_index(folder, range(5), ["other"] * 5)
    with pytest.raises(DataError, match="was made again since it was read"):
        enrolling.enroll(folder, "right", [example("a", 10)], index=index)
    assert len(Index.load(folder)) == 5
