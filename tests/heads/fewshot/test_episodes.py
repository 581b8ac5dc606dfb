import numpy as np
import pytest

from framebank.heads.fewshot.episode_groups import draw_distinct
from framebank.heads.fewshot.episodes import AllWaySampler, EpisodeSampler
from framebank.store import DataError

IDS = tuple(f"video {number:03}" for number in range(60))
LABELS = tuple(f"class {number % 6}" for number in range(60))  # ten of each


def draw(ids=IDS, labels=LABELS, **changes):
    return EpisodeSampler(**{"way": 3, "shot": 2, "query": 4, "episodes": 500, **changes}).draw(ids, labels)


def names(episodes, ids=IDS):
    """The episodes in names."""
    ids = np.array(ids)
    return np.array(episodes.labels)[episodes.classes], ids[episodes.support], ids[episodes.query]


def test_shapes_and_what_belongs_to_what():
    episodes = draw()
    assert len(episodes) == 500
    assert (episodes.classes.shape, episodes.support.shape, episodes.query.shape) == ((500, 3), (500, 3, 2), (500, 12))
    label = np.array([int(name.split()[1]) for name in LABELS])
    assert (label[episodes.support] == episodes.classes[:, :, None]).all()
    assert (label[episodes.query] == np.take_along_axis(episodes.classes, episodes.target, 1)).all()
    assert (np.bincount(episodes.target.ravel()) == 500 * 4).all()


def test_no_class_and_no_video_is_twice_in_an_episode():
    episodes = draw()
    assert all(len(set(row)) == 3 for row in episodes.classes.tolist())
    videos = np.concatenate([episodes.support.reshape(500, -1), episodes.query], axis=1)
    assert all(len(set(row)) == 18 for row in videos.tolist())


def test_every_class_and_video_has_its_chance():
    episodes = draw(episodes=5000)
    classes = np.bincount(episodes.classes.ravel(), minlength=6)
    assert np.abs(classes / 2500 - 1).max() < 0.06
    for part in (episodes.support, episodes.query):
        counts = np.bincount(part.ravel(), minlength=60)
        assert np.abs(counts / counts.mean() - 1).max() < 0.2


def test_all_of_a_class_may_be_drawn():
    episodes = draw(shot=6)
    videos = np.concatenate([episodes.support, episodes.query.reshape(500, 3, 4)], axis=2)
    assert (np.sort(videos, axis=2) == np.arange(0, 60, 6) + episodes.classes[:, :, None]).all()


def test_same_seed_same_episodes_whatever_the_order_of_the_videos():
    order = np.random.default_rng(1).permutation(60)
    ids, labels = tuple(np.array(IDS)[order]), tuple(np.array(LABELS)[order])
    first, again, shuffled, other = draw(), draw(), draw(ids, labels), draw(seed=1)
    assert all((a == b).all() for a, b in zip(names(first), names(again), strict=True))
    assert all((a == b).all() for a, b in zip(names(first), names(shuffled, ids), strict=True))
    assert first.hash == again.hash == shuffled.hash
    assert (first.query != other.query).any()
    assert first.hash != other.hash


def test_hash_changes_with_what_is_drawn_and_with_the_videos():
    renamed = (*IDS[:-1], "video 999")
    hashes = {draw(**change).hash for change in ({}, {"shot": 1}, {"query": 1}, {"way": 2}, {"episodes": 499})}
    assert len(hashes | {draw(ids=renamed).hash}) == 6
    assert draw().labels_hash == draw(shot=1).labels_hash == draw(labels=tuple(map(str.title, LABELS))).labels_hash
    assert draw().labels_hash != draw(labels=tuple(name.replace("5", "7") for name in LABELS)).labels_hash


def test_videos_without_a_label_are_never_drawn():
    labels = ("", *LABELS[1:])
    episodes = draw(labels=labels, shot=5)
    assert 0 not in episodes.support
    assert 0 not in episodes.query


def test_too_few_classes_or_videos():
    with pytest.raises(DataError, match="an episode needs 7 classes, but the videos have 6 classes"):
        draw(way=7)
    with pytest.raises(
        DataError,
        match="each class needs 7 support videos and 4 queries, but 'class 0' has 10 videos, "
        "and 5 other classes too few; expected 11 or more",
    ):
        draw(shot=7)
    with pytest.raises(DataError, match="but 'class 2' has 5 videos; expected 6"):
        draw(labels=tuple("" if number in (2, 8, 14, 20, 26) else name for number, name in enumerate(LABELS)))
    with pytest.raises(ValueError, match="shot is 0"):
        EpisodeSampler(shot=0)


def test_draws_are_uniform_over_ordered_choices():
    drawn = draw_distinct(np.random.default_rng(0), np.full(24_000, 4), 3)
    counts = np.unique(drawn @ [16, 4, 1], return_counts=True)[1]
    assert len(counts) == 24  # 4 * 3 * 2
    assert np.abs(counts / 1000 - 1).max() < 0.15


def all_way(num_support, *, labels=LABELS, shot=4):
    return AllWaySampler(frozenset(IDS[:num_support]), shot=shot).draw(IDS, labels)


def test_all_way_has_every_query_and_draws_the_support_alone():
    episodes = all_way(36)  # six of each class
    assert (episodes.classes == np.arange(6)).all()
    assert episodes.support.shape == (3, 6, 4)
    assert episodes.support.max() < 36
    assert (np.sort(episodes.query, axis=1) == np.arange(36, 60)).all()
    label = np.array([int(name.split()[1]) for name in LABELS])
    assert (label[episodes.query] == episodes.target).all()
    assert (label[episodes.support] == np.arange(6)[:, None]).all()
    assert all(len(set(row)) == 4 for row in episodes.support.reshape(-1, 4).tolist())
    assert (episodes.support[0] != episodes.support[1]).any()


def test_all_way_matches_classes_by_their_text():
    """Support and queries spell their classes differently, and one class has support alone."""
    labels = tuple(
        "other" if number == 0 else name.title() if number < 36 else name for number, name in enumerate(LABELS)
    )
    episodes = all_way(36, labels=labels)
    assert episodes.labels == tuple(f"class {number}" for number in range(6))
    assert 0 not in episodes.support


def test_all_way_with_too_little():
    with pytest.raises(DataError, match=r"each class needs 4 support videos, but 'class 0' has 1 video, and "):
        all_way(6)
    with pytest.raises(DataError, match="beside the support videos there is no labelled video"):
        all_way(60)


def test_only_drawn_videos_are_counted():
    ids = [f"{label}{number}" for label in "abc" for number in range(50)]
    whole = EpisodeSampler(way=2, episodes=3).draw(ids, [name[0] for name in ids])
    drawn, episodes = whole.of_drawn()
    assert len(drawn) < len(ids) and drawn.tolist() == sorted({*whole.support.ravel(), *whole.query.ravel()})
    assert np.array_equal(drawn[episodes.support], whole.support) and np.array_equal(drawn[episodes.query], whole.query)
    assert episodes.hash == whole.hash
