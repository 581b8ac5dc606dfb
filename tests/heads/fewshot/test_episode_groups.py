"""Support and queries of one episode have no group in common, and videos without groups are drawn as ever."""

import numpy as np
import pytest

from framebank.heads.fewshot.episodes import AllWaySampler, EpisodeSampler


def world(num_classes: int, num_groups: int, each: int) -> tuple[list[str], list[str], np.ndarray]:
    names = [(c, g, v) for c in range(num_classes) for g in range(num_groups) for v in range(each)]
    ids = [f"c{c}/g{g}/{v}" for c, g, v in names]
    return ids, [f"c{c}" for c, _, _ in names], np.array([c * num_groups + g for c, g, _ in names])


def sides_share(episodes, groups) -> np.ndarray:
    support = groups[episodes.support].reshape(len(episodes), -1, 1)
    return (support == groups[episodes.query][:, None]).any((1, 2))


@pytest.mark.parametrize(("shot", "query", "num_groups", "each"), [(1, 1, 5, 4), (5, 5, 3, 6), (1, 12, 3, 6)])
def test_support_and_queries_share_no_group(shot, query, num_groups, each):
    ids, labels, groups = world(6, num_groups, each)
    sampler = EpisodeSampler(5, shot, query, 200)
    assert sides_share(sampler.draw(ids, labels), groups).any()
    episodes = sampler.draw(ids, labels, groups)
    assert not sides_share(episodes, groups).any()
    assert episodes.undivided == ()
    assert episodes.hash == sampler.draw(ids, labels, groups).hash
    for support, queries, classes, target in zip(
        episodes.support, episodes.query, episodes.classes, episodes.target, strict=True
    ):
        assert len({*support.ravel(), *queries}) == 5 * (shot + query)
        assert [[labels[video] for video in own] for own in support] == [[f"c{c}"] * shot for c in classes]
        assert [labels[video] for video in queries] == [f"c{classes[column]}" for column in target]


def test_videos_of_groups_of_their_own_are_drawn_as_ever():
    ids, labels, _ = world(6, 1, 9)
    for sampler in (EpisodeSampler(5, 1, 2, 50), AllWaySampler(frozenset(ids[::2]), 1)):
        assert sampler.draw(ids, labels).hash == sampler.draw(ids, labels, np.arange(len(ids))).hash


def test_only_episodes_that_share_a_group_are_drawn_again():
    ids, labels, groups = world(6, 5, 4)
    sampler = EpisodeSampler(5, 1, 1, 200)
    before, after = sampler.draw(ids, labels), sampler.draw(ids, labels, groups)
    same = (before.support == after.support).all((1, 2)) & (before.query == after.query).all(1)
    assert (same == ~sides_share(before, groups)).all()


def test_a_class_of_one_group_is_drawn_all_the_same_and_named():
    ids, labels, groups = world(5, 4, 3)
    groups[[label == "c2" for label in labels]] = 99
    episodes = EpisodeSampler(5, 1, 1, 100).draw(ids, labels, groups)
    assert episodes.undivided == ("c2",)
    shared = groups[episodes.support].reshape(100, -1, 1) == groups[episodes.query][:, None]
    assert set(groups[episodes.support].reshape(100, -1, 1).repeat(5, 2)[shared]) == {99}


def test_a_group_of_two_classes_is_on_one_side_only():
    ids, labels, groups = world(2, 6, 2)
    groups %= 6  # both classes are of the same six recordings
    episodes = EpisodeSampler(2, 1, 1, 200).draw(ids, labels, groups)
    assert not sides_share(episodes, groups).any()


def test_all_way_support_shares_no_group_with_any_query():
    ids, labels, groups = world(3, 4, 4)
    queries = {video for video in ids if "/g0/" in video} | {"c0/g1/0"}
    sampler = AllWaySampler(frozenset(ids) - queries, 2, draws=20)
    episodes = sampler.draw(ids, labels, groups)
    assert episodes.undivided == ()
    assert not sides_share(episodes, groups).any()
    everything = AllWaySampler(frozenset(video for video in ids if video.endswith("0")), 2, draws=2)
    assert everything.draw(ids, labels, groups).undivided == ("c0", "c1", "c2")
