"""The map of a report: where its points lie, and marks that tell the classes apart, also without seeing all colours."""

import re
from itertools import combinations

import numpy as np
import pytest

from framebank.library.reporting.map import COLOURS, MARKS, UNLABELLED, EmbeddingMap, MappedVideo, Mark, embedding_map
from framebank.library.reporting.render import HERE

STYLE = (HERE / "page.css").read_text(encoding="utf-8")
LIGHT, DARK = ("@media (prefers-color-scheme: dark)", "@media screen and (prefers-color-scheme: dark)")
# What eyes without one of the three kinds of cones see of linear RGB (Machado et al. 2009, severity 1).
EYES = {
    "all colours": np.eye(3),
    "no red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "no blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}
TO_CONES = [[0.4122215, 0.5363325, 0.051446], [0.2119035, 0.6806995, 0.107397], [0.0883025, 0.2817188, 0.6299787]]
TO_OKLAB = [[0.2104543, 0.7936178, -0.004072], [1.9779985, -2.4285922, 0.4505937], [0.025904, 0.7827718, -0.8086758]]


def map_of(*targets: tuple[int, ...], names: list[str]) -> EmbeddingMap:
    vectors = np.random.default_rng(0).normal(size=(len(targets), 4)).astype(np.float32)
    return embedding_map(vectors, [MappedVideo(own, False, str(own)) for own in targets], names, listed=len(targets))


def test_the_map_keeps_distances_and_is_not_stretched_to_nothing() -> None:
    vectors = np.array([[0, 0, 0], [1, 0, 0], [0, 0, 0.5]], dtype=np.float32)
    videos = [MappedVideo((0,), False, "") for _ in range(3)]
    found = embedding_map(vectors, videos, ["a"], listed=3)
    assert {point.x for point in found.points} >= {0, 1000} and sum(found.explained) == pytest.approx(1)


def test_the_most_common_class_has_the_first_mark_and_lies_below() -> None:
    found = map_of((0,), (1,), (1,), (2,), (UNLABELLED,), (UNLABELLED,), names=["a", "b", "c"])
    assert [(one.name, one.videos, one.mark) for one in found.classes] == [
        ("b", 2, Mark(0, 0)),
        ("a", 1, Mark(1, 0)),
        ("c", 1, Mark(2, 0)),
        ("no label", 2, Mark(-1, 0)),
    ]
    assert [point.targets[0] for point in found.points] == [UNLABELLED, UNLABELLED, 1, 1, 0, 2]


def test_a_label_that_all_videos_have_gives_none_its_mark() -> None:
    found = map_of((0, 1), (0, 1), (2, 0), (0,), names=["a", "b", "c"])
    assert [(point.targets, point.mark.colour) for point in found.points] == [
        ((0,), 0),
        ((1, 0), 1),
        ((1, 0), 1),
        ((2, 0), 2),
    ]


def test_classes_beyond_the_marks_share_theirs() -> None:
    names = [f"class {number:02d}" for number in range(MARKS + 2)]
    assert not map_of(*((place,) for place in range(MARKS)), names=names).repeats
    found = map_of(*((place,) for place in range(MARKS + 2)), (0, MARKS + 1), (MARKS, MARKS + 1), names=names)
    assert found.repeats and len({one.mark for one in found.classes}) == MARKS
    mark_of = {point.video.targets: point.mark for point in found.points}
    ranks = {one.place: rank for rank, one in enumerate(found.classes)}
    assert ranks[MARKS + 1] == 0 and mark_of[(0, MARKS + 1)] == Mark.of_rank(ranks[0])
    assert mark_of[(MARKS - 1,)] == Mark.of_rank(MARKS + 1) == Mark(1, 0)


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize(("begins", "ends"), [(":root", LIGHT), (DARK, "* {")], ids=["light", "dark"])
def test_colours_are_far_apart_and_stand_out(begins: str, ends: str, eyes: str) -> None:
    block = STYLE.partition(begins)[2].partition(ends)[0]
    linear = np.array([linear_of(colour) for _, colour in sorted(re.findall(r"--c(\d): #(\w{6})", block))])
    assert len(linear) == COLOURS
    seen = np.clip(linear @ np.transpose(EYES[eyes]), 0, 1)
    oklab = np.cbrt(seen @ np.transpose(TO_CONES)) @ np.transpose(TO_OKLAB)
    assert min(np.linalg.norm(one - other) for one, other in combinations(oklab, 2)) > 0.11  # 0.01 before
    panel = linear_of(re.findall(r"--panel: #(\w{6})", STYLE)[0 if ends == LIGHT else 1])
    assert all(contrast(one, panel) >= 2.99 for one in linear)


def linear_of(colour: str) -> np.ndarray:
    values = np.array([int(colour[place : place + 2], 16) for place in (0, 2, 4)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    low, high = sorted(float(colour @ [0.2126, 0.7152, 0.0722]) + 0.05 for colour in (one, other))
    return high / low
