import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from framebank.heads import MATCHERS
from framebank.heads.bank import load_bank, require_finite
from framebank.heads.fewshot.drawn_episodes import DrawnEpisodes
from framebank.heads.fewshot.episodes import AllWaySampler, EpisodeSampler
from framebank.heads.fewshot.evaluate import evaluate_few_shot, frames_of, measure_episodes
from framebank.heads.fewshot.matcher_name import MatcherName
from framebank.heads.fewshot.scores import EpisodeFrames, score_episodes
from framebank.heads.matchers.gghm import Gghm
from framebank.heads.matchers.ma_clip import MaClip
from framebank.heads.matchers.prepared import PreparesVideos
from framebank.heads.matchers.trx import Trx
from framebank.store import DataError, LabelSet, Manifest
from framebank.tests.largest import LargestTensor
from framebank.tests.worlds.heads import CLASSES, prompts_of, write_groups

CPU = torch.device("cpu")
PREPARING = [name for name in MATCHERS if isinstance(MATCHERS[name](16), PreparesVideos)]
SAMPLER = EpisodeSampler(way=3, shot=2, query=2, episodes=200, seed=0)

pytestmark = pytest.mark.usefixtures("one_thread")


def evaluate(world, *names, sampler=SAMPLER, split="test", num_frames=0, **options):
    options = {"prompts": world.prompts, **options}
    drawn = DrawnEpisodes.of(world.store, world.manifest.split(split), sampler, num_frames=num_frames)
    return evaluate_few_shot(names, drawn, split=split, device=CPU, **options)


def drawn(world, sampler=SAMPLER):
    """EpisodeFrames and episodes of the test videos."""
    manifest = world.manifest.split("test").labelled()
    bank = load_bank(world.store, manifest, LabelSet(manifest.labels), device=CPU)
    episodes = sampler.draw(bank.video_ids, [manifest.labels[target] for target in bank.target.tolist()])
    return unit_frames(bank, episodes, prompts=world.prompts), episodes


def unit_frames(bank, episodes, **options):
    """EpisodeFrames of which each is unit, in float32: what `score_episodes` makes of those of a bank."""
    frames = frames_of(bank, episodes, frame_norm=True, **options)
    return EpisodeFrames(*frames.of(torch.arange(len(frames.x))), frames.text)


def test_report(world):
    report = evaluate(world, "otam")
    assert json.loads(json.dumps(report))["matcher"] == "otam"
    assert [row["matcher"] for row in report["scores"]] == ["otam", "text", "mean"]
    assert [row["baseline"] for row in report["scores"]] == [False, True, True]
    low, high = report["interval"]
    assert 0.9 < low <= report["accuracy"] <= high <= 1
    assert set(report["classes"]) == set(CLASSES)
    facts = report["made_by"]
    assert (facts["way"], facts["shot"], facts["query"], facts["episodes"], facts["seed"]) == (3, 2, 2, 200, 0)
    assert (facts["videos_evaluated"], facts["videos_listed"], facts["classes"]) == (22, 23, 4)
    assert facts["matcher"] == "otam"
    assert "templates" not in facts
    hashes = [row["protocol_hash"] for row in report["scores"]]
    assert hashes[0] == facts["protocol_hash"]
    assert len(set(hashes)) == 3


def test_what_sees_the_order_tells_rise_from_fall(world):
    report = evaluate(world, "otam", "mean")
    otam, mean = report["scores"][:2]
    assert min(otam["classes"].values()) > 0.95
    assert mean["classes"]["wave"] > 0.95
    assert mean["classes"]["rise"] < 0.9


def test_figures_are_of_the_same_episodes_whatever_is_asked_beside(world):
    together = {row["matcher"]: row for row in evaluate(world, "otam", "chamfer")["scores"]}
    alone = {row["matcher"]: row for row in evaluate(world, "mean")["scores"]}
    assert together["mean"]["accuracy"] == alone["mean"]["accuracy"]
    assert together["mean"]["protocol_hash"] == alone["mean"]["protocol_hash"]
    assert evaluate(world, "mean")["made_by"]["episodes_hash"] == evaluate(world, "max")["made_by"]["episodes_hash"]


def test_hash_changes_with_what_decides_the_figure(world):
    hashes = [
        evaluate(world, "max", **changes)["made_by"]["protocol_hash"]
        for changes in (
            {},
            {"sampler": replace(SAMPLER, seed=1)},
            {"sampler": replace(SAMPLER, shot=1)},
            {"num_frames": 4},
            {"frame_norm": False},
            {"class_split": "0123"},
        )
    ]
    assert len(set(hashes)) == 6
    others = prompts_of(num_templates=1)
    assert evaluate(world, "max", prompts=others)["made_by"]["protocol_hash"] == hashes[0]
    by_text = [evaluate(world, "text", prompts=prompts)["made_by"] for prompts in (world.prompts, others)]
    assert by_text[0]["protocol_hash"] != by_text[1]["protocol_hash"]


def test_accuracy_by_a_loop(world):
    frames, episodes = drawn(world)
    matcher = MATCHERS["mean"](frames.x.shape[2])
    right, asked = np.zeros(4), np.zeros(4)
    each = []
    for e in range(len(episodes)):
        support, query = (torch.from_numpy(part[e]) for part in (episodes.support, episodes.query))
        scores = matcher(
            frames.x[query][None], frames.x[support][None], None, frames.mask[query][None], frames.mask[support][None]
        )[0]
        hits = scores.argmax(1).numpy() == episodes.target[e]
        each.append(hits.mean())
        for hit, target in zip(hits, episodes.target[e], strict=True):
            right[episodes.classes[e, target]] += hit
            asked[episodes.classes[e, target]] += 1
    report = evaluate(world, "mean")
    assert report["accuracy"] == pytest.approx(np.mean(each))
    half = 1.96 * np.std(each, ddof=1) / np.sqrt(200)
    assert report["interval"] == pytest.approx((np.mean(each) - half, min(1, np.mean(each) + half)), abs=1e-4)
    assert list(report["classes"].values()) == pytest.approx(list(right / asked))


@pytest.mark.parametrize(
    "build",
    [
        lambda dim: Trx(dim, width=512),
        lambda dim: MaClip(dim, metric="trx"),
        lambda dim: Gghm(dim, width=512),
        lambda dim: MATCHERS["otam"](dim),
    ],
)
@pytest.mark.parametrize("max_values", [1 << 22, 1 << 23])
def test_no_tensor_is_larger_than_a_chunk(world, build, max_values):
    frames, episodes = drawn(world, replace(SAMPLER, episodes=60))
    frames = replace(frames, text=torch.ones(len(episodes.labels), frames.x.shape[2]))
    with LargestTensor() as largest:
        score_episodes(
            build(frames.x.shape[2]).eval(), frames, episodes, device=CPU, max_values=max_values, max_prepared=0
        )
    assert max_values / 100 < largest.numel <= max_values


@pytest.mark.parametrize("name", PREPARING)
@pytest.mark.parametrize("max_values", [1, 1 << 23])
def test_videos_are_prepared_once(world, name, max_values, monkeypatch):
    monkeypatch.setattr("framebank.heads.fewshot.scores.CHUNK", 1000)  # one video or a few
    frames, episodes = drawn(world, replace(SAMPLER, episodes=3))
    matcher = MATCHERS[name](frames.x.shape[2]).eval()
    whole, seen = matcher.prepare, []
    monkeypatch.setattr(matcher, "prepare", lambda x, mask: seen.append(mask[..., 0].numel()) or whole(x, mask))
    scores = score_episodes(matcher, frames, episodes, device=CPU, max_values=max_values)
    of_episodes = np.union1d(episodes.support, episodes.query)
    assert len(of_episodes) < len(frames.x)
    assert sum(seen) == len(of_episodes) + 1  # one shows how large they get
    assert len(seen) > 2
    seen.clear()
    each = score_episodes(matcher, frames, episodes, device=CPU, max_values=max_values, max_prepared=0)
    assert sum(seen) == episodes.support.size + episodes.query.size + 1
    torch.testing.assert_close(scores, each)
    support, query = (torch.from_numpy(part) for part in (episodes.support, episodes.query))
    expected = matcher(frames.x[query], frames.x[support], None, frames.mask[query], frames.mask[support])
    torch.testing.assert_close(scores, expected)


@pytest.mark.parametrize("max_values", [1, 20_000, 1 << 30])
def test_chunks_change_nothing(world, max_values):
    frames, episodes = drawn(world, replace(SAMPLER, episodes=7))
    matcher = MatcherName.parse("otam").build(frames.x.shape[2])
    scores = score_episodes(matcher, frames, episodes, device=CPU, max_values=max_values)
    assert scores.shape == (7, 6, 3)
    torch.testing.assert_close(scores, score_episodes(matcher, frames, episodes, device=CPU))


def test_random_scores_are_right_by_chance_and_the_interval_has_it():
    labels = [f"c{number % 10}" for number in range(300)]
    episodes = EpisodeSampler(5, 1, 3, 2000, 0).draw([f"v{number:03}" for number in range(300)], labels)
    scores = torch.rand(2000, 15, 5, generator=torch.Generator().manual_seed(0))
    report = measure_episodes(scores, episodes)
    low, high = report["interval"]
    assert low < 0.2 < high
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.2 * 0.8 / 15 / 2000), rel=0.05)


def test_few_episodes_have_no_interval_but_each_figure(world):
    report = evaluate(world, "mean", sampler=replace(SAMPLER, episodes=4))
    assert report["interval"] is None
    assert np.mean(report["accuracies"]) == pytest.approx(report["accuracy"])
    assert len(report["accuracies"]) == 4


def test_a_class_that_is_never_drawn_has_no_figure(world):
    report = evaluate(world, "mean", sampler=EpisodeSampler(2, 1, 1, 1, 0))
    assert sorted(value is None for value in report["classes"].values()) == [False, False, True, True]


def test_all_ways(world):
    train = world.manifest.split("train")
    support = frozenset(video.video_id for video in train.videos)
    manifest = Manifest((*train.videos, *world.manifest.split("test").videos))
    drawn = DrawnEpisodes.of(world.store, manifest, AllWaySampler(support, shot=3))
    report = evaluate_few_shot(["otam"], drawn, split="test", prompts=world.prompts, device=CPU)
    assert len(report["accuracies"]) == 3
    assert report["accuracy"] > 0.95
    assert (report["made_by"]["way"], report["made_by"]["classes"]) == (0, 4)


def test_without_texts_their_baseline_is_left_out(world):
    report = evaluate(world, "max", prompts=None)
    assert [row["matcher"] for row in report["scores"]] == ["max", "mean"]
    for name in ("text", "combine", "combine:max"):
        with pytest.raises(DataError, match=f"the matcher '{name}' needs the texts of the classes, and there are none"):
            evaluate(world, name, prompts=None)


def test_text_scores_are_those_of_the_classes_drawn(world):
    """The axes of "rise" and "fall" in the prompts are none of the videos', so only wave and clap are surely known."""
    report = evaluate(world, "text", sampler=replace(SAMPLER, way=4))
    assert report["classes"]["wave"] > 0.95
    assert report["classes"]["clap"] > 0.95
    swapped = prompts_of(("clap", "wave", "rise", "fall"))
    renamed = replace(swapped, labels=LabelSet(CLASSES))  # wave's texts now stand for clap
    assert evaluate(world, "text", sampler=replace(SAMPLER, way=4), prompts=renamed)["classes"]["wave"] < 0.05


def test_options_stand_in_the_report(world):
    report = evaluate(world, "otam(smoothing=9)", "otam")
    names = [row["matcher"] for row in report["scores"]]
    assert names == ["otam(smoothing=9.0)", "otam", "text", "mean"]
    assert report["made_by"]["matcher_options"] == {"smoothing": 9.0}
    plain = evaluate(world, "otam")["made_by"]
    assert "matcher_options" not in plain
    assert report["scores"][1]["protocol_hash"] == plain["protocol_hash"] != report["made_by"]["protocol_hash"]
    by_text, text, _ = evaluate(world, "combine(text_share=1)")["scores"]
    assert by_text["classes"] == text["classes"] != report["classes"]


def test_one_class_is_told_from_no_other(world):
    videos = tuple(video for video in world.manifest.split("test").videos if video.label == "rise")
    with pytest.raises(DataError, match="all videos to recognise are of one class, 'rise'; expected two or more"):
        DrawnEpisodes.of(world.store, Manifest(videos), AllWaySampler(frozenset([videos[0].video_id]), 1))


def test_scores_that_are_no_numbers(world):
    with pytest.raises(DataError, match=r"the matcher 'otam\(smoothing=1e-300\)' gives scores that are not numbers"):
        evaluate(world, "otam(smoothing=1e-300)")


def test_features_that_are_no_numbers(tmp_path):
    world = write_groups(tmp_path, num_views=2, num_clips=1)
    manifest = world.manifest.split("test").labelled()
    bank = load_bank(world.store, manifest, LabelSet(manifest.labels), device=CPU)
    require_finite(bank, where="here")
    bank.x[2 * 3 + 1, 0, 0] = torch.inf  # the second view of the fourth video
    with pytest.raises(DataError, match=f"here: the embedding of '{bank.video_ids[3]}' holds values that are no"):
        require_finite(bank, where="here")


def test_too_few_videos_name_the_store(world):
    with pytest.raises(DataError, match=rf"{world.store.path}: each class needs 4 support videos and 2 queries, but"):
        evaluate(world, "mean", sampler=replace(SAMPLER, shot=4))


def test_first_of_several_views_is_used(tmp_path):
    world = write_groups(tmp_path, num_views=2, num_clips=2)
    manifest = world.manifest.split("test")
    drawn = DrawnEpisodes.of(world.store, manifest, SAMPLER)
    report = evaluate_few_shot(["otam"], drawn, split="test", prompts=world.prompts, device=CPU)
    assert report["accuracy"] > 0.9
    assert report["made_by"]["groups"] == "first of 4"


@pytest.mark.parametrize("name", ["otam", "tuple"])
def test_repeated_frames_are_not_read(world, name):
    """The video "short" is a wave of three frames, each several times in the store: it scores as those three alone."""
    manifest = world.manifest.split("test").labelled()
    bank = load_bank(world.store, manifest, LabelSet(manifest.labels), device=CPU)
    place = bank.video_ids.index("short")
    assert bank.mask[place].sum() == 3
    sampler = EpisodeSampler(4, 1, 1, 50, 0)
    episodes = sampler.draw(bank.video_ids, [manifest.labels[target] for target in bank.target.tolist()])
    frames = unit_frames(bank, episodes, prompts=None)
    garbled = EpisodeFrames(torch.where(bank.mask[..., None], frames.x, torch.tensor(7.0)), frames.mask)
    matcher = MatcherName.parse(name).build(16)
    torch.testing.assert_close(
        score_episodes(matcher, garbled, episodes, device=CPU), score_episodes(matcher, frames, episodes, device=CPU)
    )


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("name", [name for name in MATCHERS if name != "linear"])
def test_cuda_scores_as_the_cpu_does(world, name):
    frames, episodes = drawn(world)
    matcher = MATCHERS[name](frames.x.shape[2]).eval()
    expected = score_episodes(matcher, frames, episodes, device=CPU)
    there = score_episodes(matcher, frames, episodes, device=torch.device("cuda"))
    torch.testing.assert_close(there, expected, rtol=1e-3, atol=1e-3)
