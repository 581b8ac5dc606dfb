"""Draws by seed: the same as ever where videos are alone, and whole groups where they are not."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from framebank.store import Manifest, Video
from framebank.store.videos.groups import groups_of, undivided_classes


def alone(num_classes: int = 6, each: int = 11) -> Manifest:
    names = [f"c{label}/v{number}" for number in range(each) for label in range(num_classes)]
    return Manifest(tuple(Video(name, Path(f"/v/{name}.mp4"), name.split("/")[0]) for name in names))


def ucf(num_groups: int = 6, clips: int = 4, *, classes: tuple[str, ...] = ("Archery", "Surfing")) -> Manifest:
    names = [
        f"{label}/v_{label}_g{group:02d}_c{clip:02d}"
        for label in classes
        for group in range(1, num_groups + 1)
        for clip in range(1, clips + 1)
    ]
    return Manifest(tuple(Video(name, Path(f"/v/{name}.avi"), name.split("/")[0]) for name in names))


def parts(count: int = 10, *, files: int = 4) -> Manifest:
    return Manifest(
        tuple(
            Video(f"{file}-{part}", Path(f"/v/{file}.mp4"), "xy"[file % 2], "train", part, part + 0.5)
            for file in range(files)
            for part in range(count)
        )
    )


def by_quadratic_few_shot(manifest: Manifest, shots: int, seed: int) -> list[str]:
    """The draw as it was before groups, class by class through all videos."""
    generator = np.random.default_rng(seed)
    chosen = []
    for label in manifest.labels:
        members = [video for video in manifest.videos if video.labels == (label,)]
        chosen += [members[i].video_id for i in sorted(generator.choice(len(members), shots, replace=False))]
    return chosen


def by_quadratic_held_out(manifest: Manifest, fraction: float, seed: int) -> set[str]:
    generator = np.random.default_rng(seed)
    held: set[str] = set()
    for label in manifest.labels:
        members = [video.video_id for video in manifest.videos if video.labels == (label,)]
        share = min(max(1, round(fraction * len(members))), len(members) - 1)
        count = share if len(members) >= 5 and fraction > 0 else 0
        held.update(str(name) for name in generator.choice(members, count, replace=False))
    return held


def by_old_several(manifest: Manifest, count: int, seed: int) -> set[str]:
    generator = np.random.default_rng(seed)
    left = Counter(label for video in manifest.videos for label in video.labels)
    held: set[str] = set()
    for place in generator.permutation(len(manifest)).tolist():
        video = manifest.videos[place]
        if len(held) < count and all(left[label] > 1 for label in video.labels):
            held.add(video.video_id)
            left.subtract(video.labels)
    return held


def ids(manifest: Manifest) -> set[str]:
    return {video.video_id for video in manifest.videos}


@pytest.mark.parametrize("seed", range(5))
def test_videos_without_groups_are_drawn_as_ever(seed):
    manifest = alone()
    shots = [video.video_id for video in manifest.few_shot(3, seed=seed).videos]
    assert shots == by_quadratic_few_shot(manifest, 3, seed)
    for fraction in (0, 0.1, 0.25, 0.9):
        assert ids(manifest.held_out(fraction, seed=seed)[1]) == by_quadratic_held_out(manifest, fraction, seed)
    several = Manifest(tuple(Video(f"v{i}", Path(f"v{i}"), ("x;y", "x", "y;z")[i % 3]) for i in range(40)))
    assert ids(several.held_out(0.2, seed=seed)[1]) == by_old_several(several, 8, seed)


@pytest.mark.parametrize("make", [ucf, parts])
@pytest.mark.parametrize("seed", range(5))
def test_no_group_is_divided(make, seed):
    manifest = make()
    rest, held = manifest.held_out(0.25, seed=seed)
    assert {*rest.videos, *held.videos} == {*manifest.videos}
    group_of = dict(zip((video.video_id for video in manifest.videos), groups_of(manifest.videos), strict=True))
    assert not {group_of[name] for name in ids(rest)} & {group_of[name] for name in ids(held)}
    counts = Counter(video.label for video in held.videos)
    # 24 videos of a class in groups of 4: 6 are asked for, 4 or 8 can be had. 20 in groups of 10: 10 can be had.
    assert all(count in ((4, 8) if make is ucf else (10,)) for count in counts.values())
    assert len(counts) == 2


def test_a_group_column_says_so_for_any_set():
    videos = [Video(f"{i}", Path(f"/v/{i}.mp4"), "xy"[i % 2], group=f"g{i // 4}") for i in range(40)]
    for seed in range(5):
        rest, held = Manifest(tuple(videos)).held_out(0.2, seed=seed)
        assert not {video.group for video in rest.videos} & {video.group for video in held.videos}
        assert Counter(video.label for video in held.videos) == {"x": 4, "y": 4}


def test_groups_of_videos_of_several_labels_stay_together():
    videos = tuple(
        Video(f"v_g{i // 3:02d}_c{i % 3}", Path(f"/v/v_g{i // 3:02d}_c{i % 3}.mp4"), ("x;y", "x", "y")[i % 3])
        for i in range(60)
    )
    rest, held = Manifest(videos).held_out(0.2, seed=0)
    assert len(held) == 12
    assert not {name[:5] for name in ids(rest)} & {name[:5] for name in ids(held)}


def test_a_class_of_one_group_is_held_out_of_nothing():
    manifest = parts(files=2)
    rest, held = manifest.held_out(0.2, seed=0)
    assert (len(rest), len(held)) == (20, 0)
    assert undivided_classes(manifest.videos) == ("x", "y")
    assert undivided_classes(ucf().videos) == ()


@pytest.mark.parametrize("seed", range(5))
def test_shots_are_of_different_groups_as_far_as_there_are(seed):
    manifest = ucf(num_groups=6, clips=4)
    for shots, most in ((1, 1), (4, 1), (6, 1), (8, 2), (24, 4)):
        chosen = manifest.few_shot(shots, seed=seed).videos
        for label in ("Archery", "Surfing"):
            counts = Counter(video.video_id.split("_")[2] for video in chosen if video.label == label)
            assert counts.total() == shots
            assert max(counts.values()) == most
    assert manifest.few_shot(4, seed=seed) == manifest.few_shot(4, seed=seed)


def test_what_is_a_group():
    videos = (
        Video("a", Path("/v/a.mp4")),
        Video("b1", Path("/v/b.mp4"), start=0, end=1),
        Video("b2", Path("/v/b.mp4"), start=1, end=2),
        Video("b", Path("/v/b.mp4")),  # the whole of the file that the parts are of
        Video("x/v_x_g01_c01", Path("/t/1.tar/v_x_g01_c01.avi"), "x"),
        Video("x/v_x_g01_c02", Path("/t/2.tar/v_x_g01_c02.avi"), "x"),  # in another tar
        Video("y/v_x_g01_c02", Path("/t/3.tar/v_x_g01_c02.avi"), "y"),  # of another class
        Video("n/v_z_g01_c01", Path("/f.npz")),
        Video("n/v_z_g01_c02", Path("/f.npz")),
        Video("n/w1", Path("/f.npz")),  # features of one file are no parts of one video
        Video("n/w2", Path("/f.npz")),
        Video("p", Path("/v/p.mp4"), group="one"),
        Video("q", Path("/v/v_q_g01_c01.mp4"), group="one"),
    )
    assert groups_of(videos).tolist() == [0, 1, 1, 1, 2, 2, 3, 4, 4, 5, 6, 7, 7]


def test_groups_are_kept_in_the_csv(tmp_path):
    manifest = Manifest((Video("a", tmp_path / "a.mp4", group="tape 1"), Video("b", tmp_path / "b.mp4")))
    manifest.write(tmp_path / "m.csv")
    assert (tmp_path / "m.csv").read_text().splitlines()[0] == "video_id,path,label,split,group"
    assert Manifest.read_csv(tmp_path / "m.csv") == manifest
    bare = Manifest((Video("a", tmp_path / "a.mp4", "x"),))
    assert manifest.merged(bare).videos[0] == Video("a", tmp_path / "a.mp4", "x", group="tape 1")
