"""Names: one class, one id and one list entry, in whatever Unicode form; names that are hard to read in lists."""

import shutil
import unicodedata
from pathlib import Path

import pytest

from framebank.store import DataError, FeatureStore, LabelSet, Manifest, ShardWriter, Video
from framebank.store.ledger import Failure, Ledger
from framebank.store.upkeep.merge import merge_stores, remove_videos
from framebank.store.upkeep.plan import plan_store
from framebank.store.upkeep.verify import verify_store
from framebank.tests.store.files.test_walk import touch
from framebank.tests.worlds.store import SPEC, embeddings

CAFE, DECOMPOSED = "café", unicodedata.normalize("NFD", "café")


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def splits(manifest: Manifest) -> dict[str, str]:
    return {video.video_id: video.split for video in manifest.videos}


@pytest.mark.parametrize("in_folder", [CAFE, DECOMPOSED])
@pytest.mark.parametrize("in_list", [CAFE, DECOMPOSED])
def test_lists_and_folders_of_two_forms(tmp_path, in_folder, in_list):
    touch(tmp_path, f"v/{in_folder}/1.mp4", f"v/{in_folder}/2.mp4", "v/run/1.mp4")
    manifest = Manifest.read([tmp_path / "v"])
    assert manifest.labels == (CAFE, "run")
    assert [video.video_id for video in manifest.videos if video.label == CAFE] == [f"{CAFE}/1", f"{CAFE}/2"]
    assert all(video.path.exists() for video in manifest.videos)  # each by its own name
    train = write(tmp_path / "trainlist01.txt", f"{in_list}/1.mp4 1\nrun/1.mp4 2\n")
    classes = write(tmp_path / "classInd.txt", f"1 {in_list}\n2 run\n")
    found, _ = manifest.with_splits([train, classes])
    assert splits(found) == {f"{CAFE}/1": "train", f"{CAFE}/2": "", "run/1": "train"}
    assert found.labels == (CAFE, "run")
    LabelSet.read(classes).require_covers(manifest.labels, mine=classes, theirs="the videos")
    assert LabelSet((in_list, "run")).index(in_folder) == 0


def test_one_class_in_two_forms(tmp_path):
    touch(tmp_path, f"{CAFE}/1.mp4", f"{DECOMPOSED}/2.mp4")
    assert Manifest.read([tmp_path]).labels == (CAFE,)


def test_a_csv_of_the_other_form_finds_its_file(tmp_path):
    touch(tmp_path, f"{DECOMPOSED}.mp4")
    path = write(tmp_path / "m.csv", f"video_id,path,label,split,group\n{DECOMPOSED},{CAFE}.mp4,{DECOMPOSED},train,\n")
    assert Manifest.read([path]).videos == (Video(CAFE, tmp_path / f"{DECOMPOSED}.mp4", CAFE, "train"),)


def old_store(folder: Path, *names: str) -> Path:
    """A store as an earlier version wrote it: its names have the form of the files."""
    folder.mkdir()
    with ShardWriter(folder, SPEC) as writer:
        for seed, name in enumerate(names):
            writer.add(name, embeddings(seed=seed), decoder="d")
    rows = "".join(f"{name},/v/{name}.mp4,{name.split('/')[0]},\n" for name in names)
    write(folder / "manifest.csv", f"video_id,path,label,split\n{rows}")
    return folder


def test_a_store_of_the_other_form_knows_its_videos(tmp_path):
    folder = old_store(tmp_path / "old", f"{DECOMPOSED}/1", f"{DECOMPOSED}/2", "run/1")
    Ledger(folder / "failed.csv").add(Failure(f"{DECOMPOSED}/3", "/v/3.mp4", "damaged"))
    store = FeatureStore(folder)
    assert store.ids == (f"{CAFE}/1", f"{CAFE}/2", "run/1")
    assert store.manifest.labels == (CAFE, "run")
    for name in (f"{CAFE}/1", f"{DECOMPOSED}/1"):
        assert name in store
        assert (store[name].data == embeddings(seed=0).data).all()
        assert store.read_video(name).data.shape == store[name].data.shape
    manifest = Manifest(tuple(Video(f"{CAFE}/{n}", Path(f"/v/{DECOMPOSED}/{n}.mp4"), CAFE) for n in (1, 2, 3, 4)))
    plan = plan_store(folder, manifest, SPEC)
    assert [video.video_id for video in plan.missing] == [f"{CAFE}/4"]
    assert [video.video_id for video in plan.failed_before] == [f"{CAFE}/3"]
    assert not verify_store(folder).faults
    shutil.copytree(folder, tmp_path / "copy")
    assert remove_videos(folder, [f"{DECOMPOSED}/1", f"{CAFE}/2"]) == 2
    assert FeatureStore(folder).ids == ("run/1",)
    merge_stores([folder, tmp_path / "copy"], tmp_path / "merged")
    assert set(FeatureStore(tmp_path / "merged").ids) == {f"{CAFE}/1", f"{CAFE}/2", "run/1"}


def test_a_store_that_holds_both_forms_still_opens(tmp_path):
    store = FeatureStore(old_store(tmp_path / "old", f"{DECOMPOSED}/1", f"{CAFE}/1"))
    assert set(store.ids) == {f"{DECOMPOSED}/1", f"{CAFE}/1"} == {video.video_id for video in store.manifest.videos}
    assert (store[f"{DECOMPOSED}/1"].data == embeddings(seed=0).data).all()
    assert (store[f"{CAFE}/1"].data == embeddings(seed=1).data).all()


def test_a_second_file_of_a_stem_does_not_move_the_first(tmp_path):
    touch(tmp_path, "v/run/IMG_1.mp4", "v/run/b.mp4")
    manifest = Manifest.read([tmp_path / "v"])
    folder = tmp_path / "bank"
    folder.mkdir()
    with ShardWriter(folder, SPEC) as writer:
        for video in manifest.videos:
            writer.add(video.video_id, embeddings(), decoder="d")
    manifest.write(folder / "manifest.csv")
    touch(tmp_path, "v/run/IMG_1.mov")
    plan = plan_store(folder, Manifest.read([tmp_path / "v"]), SPEC)
    assert [(video.video_id, video.path.name) for video in plan.missing] == [("run/IMG_1.mov", "IMG_1.mov")]
    assert {video.video_id: video.path.name for video in plan.manifest.videos} == {
        "run/IMG_1": "IMG_1.mp4",
        "run/IMG_1.mov": "IMG_1.mov",
        "run/b": "b.mp4",
    }
    with ShardWriter(folder, SPEC) as writer:
        writer.add("run/IMG_1.mov", embeddings(), decoder="d")
    plan.manifest.write(folder / "manifest.csv")
    (tmp_path / "v/run/IMG_1.mp4").unlink()  # the one that is left keeps its id too
    again = plan_store(folder, Manifest.read([tmp_path / "v"]), SPEC)
    assert again.missing == ()
    assert {video.video_id: video.path.name for video in again.manifest.videos}["run/IMG_1.mov"] == "IMG_1.mov"


@pytest.mark.parametrize("names", [("a", "a.mp4"), ("a.mp4.avi", "a.mp4", "a.mov"), ("A.MP4", "A.mp4")])
def test_ids_of_one_stem_are_never_one(tmp_path, names):
    from framebank.store.videos.spelling import ids_of_files

    assert len(set(ids_of_files([Path(name) for name in names]))) == len(names)


@pytest.mark.parametrize(
    ("files", "lines", "expected"),
    [
        (("run/a.mp4", "wave/b.mp4"), "run\\a.mp4 0\nwave\\b.mp4 1\n", ("run/a", "wave/b")),
        (("run/a.mp4", "wave/b.mp4"), "run/a.mp4,0\nwave/b.mp4,1\n", ("run/a", "wave/b")),
        (("run/a.mp4", "wave/b.mp4"), "run/a.mp4;0\nwave/b.mp4;1\n", ("run/a", "wave/b")),
        (("run/a.mp4", "wave/b.mp4"), "run/a, 300, 0\nwave/b, 200, 1\n", ("run/a", "wave/b")),
        (("run/clip 1.mp4", "wave/clip 2.mp4"), "run/clip 1\nwave/clip 2\n", ("run/clip 1", "wave/clip 2")),
        (("run/clip 1.mp4", "wave/clip 2.mp4"), "run/clip 1 0\nwave/clip 2 1\n", ("run/clip 1", "wave/clip 2")),
        (("run/clip 1.mp4", "wave/clip 2.mp4"), "run/clip 1 99 0\nwave/clip 2 88 1\n", ("run/clip 1", "wave/clip 2")),
        (
            ("run/clip.mp4", "run/clip 1.mp4", "run/clip 2.mp4"),
            "run/clip 1\nrun/clip 2\n",
            ("run/clip 1", "run/clip 2"),
        ),
        (("run/a,1.mp4", "wave/b.mp4"), "run/a,1.mp4 0\nwave/b.mp4 1\n", ("run/a,1", "wave/b")),
        (("run/a,1.mp4", "wave/b,2.mp4"), "run/a,1\nwave/b,2\n", ("run/a,1", "wave/b,2")),
        (("run/2.mp4", "wave/7.mp4"), "run/2\nwave/7\n", ("run/2", "wave/7")),
        (("run/a b.mp4",), '"run/a b.mp4" 0\n', ("run/a b",)),
        (("run/a.mp4", "run/a.mov"), "run/a.mov 0\n", ("run/a.mov",)),
    ],
)
def test_names_that_are_hard_to_read(tmp_path, files, lines, expected):
    touch(tmp_path, *(f"v/{name}" for name in files))
    found, _ = Manifest.read([tmp_path / "v"]).with_splits([write(tmp_path / "train.txt", lines)])
    assert {name for name, split in splits(found).items() if split} == set(expected)


def test_a_name_that_may_be_read_in_two_ways(tmp_path):
    touch(tmp_path, "v/run/clip.mp4", "v/run/clip 1.mp4")
    with pytest.raises(DataError, match=r"'run/clip 1' may name 'run/clip' or 'run/clip 1', and both are videos"):
        Manifest.read([tmp_path / "v"]).with_splits([write(tmp_path / "train.txt", "run/clip 1\n")])


def test_a_list_of_other_videos_shows_one_of_each(tmp_path):
    touch(tmp_path, "v/run/a.mp4")
    with pytest.raises(
        DataError, match=r"none of its 1 videos is among the 1 given; the first in the list is 'x/z.mp4'"
    ):
        Manifest.read([tmp_path / "v"]).with_splits([write(tmp_path / "train.txt", "x/z.mp4 0\n")])


def test_a_csv_with_backslashes_finds_its_files(tmp_path):
    touch(tmp_path, f"clips/{DECOMPOSED}/a.mp4", "clips/b\\c.mp4")
    path = write(tmp_path / "m.csv", f"video_id,path\na,clips\\{CAFE}\\a.mp4\nb,clips/b\\c.mp4\nc,x\\y.mp4\n")
    assert [video.path.relative_to(tmp_path).as_posix() for video in Manifest.read([path]).videos] == [
        f"clips/{DECOMPOSED}/a.mp4",
        "clips/b\\c.mp4",
        "x\\y.mp4",
    ]


def test_a_list_of_equal_numbers_is_no_table_with_a_column_twice(tmp_path):
    touch(tmp_path, "v/run/a.mp4", "v/wave/b.mp4")
    lines = write(tmp_path / "train.txt", "run/a.mp4,0,0\nwave/b.mp4,1,1\n")
    found, _ = Manifest.read([tmp_path / "v"]).with_splits([lines])
    assert set(splits(found).values()) == {"train"}
    assert LabelSet.read(write(tmp_path / "classes.txt", "jump, jump\nrun\n")).names == ("jump, jump", "run")


def test_one_class_in_two_forms_with_files_of_one_name(tmp_path):
    touch(tmp_path, f"{CAFE}/1.mp4", f"{DECOMPOSED}/1.mp4", f"{DECOMPOSED}/2.mp4")
    manifest = Manifest.read([tmp_path])
    assert manifest.labels == (CAFE,)
    assert {video.video_id for video in manifest.videos} == {f"{CAFE}/1.mp4", f"{DECOMPOSED}/1.mp4", f"{CAFE}/2"}
    assert all(video.path.exists() for video in manifest.videos)
