"""What is wrong with the inputs is told before a training: each recipe here cannot be trained, which would be told."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import framebank as fb
from framebank.heads.fewshot.episodes import EpisodeSampler
from framebank.heads.training.recipe import Recipe
from framebank.store import Manifest, Video
from framebank.tests.worlds.heads import CLASSES, SPEC, World, write_world
from framebank.tests.worlds.protocol import write_protocol
from framebank.tests.worlds.several import write_several

pytestmark = pytest.mark.usefixtures("one_thread")

NEVER: dict[str, Any] = {"epochs": 3, "lr": 1e38, "val_fraction": 0.0, "batch_size": 16}
LINEAR = Recipe(head="mean", classifier="linear", loss="ce", **NEVER)
TEXT = Recipe(head="transformer", classifier="text", loss="kl", **NEVER)


def test_these_recipes_cannot_be_trained(world: World, tmp_path: Path) -> None:
    for recipe in (LINEAR, TEXT):
        with pytest.raises(fb.DataError, match="the loss became nan"):
            fb.train(world.store, tmp_path / "run", recipe=recipe, prompts=world.prompts if recipe is TEXT else None)


def test_a_list_of_the_second_split_that_does_not_fit(world: World, tmp_path: Path) -> None:
    write_protocol(tmp_path, world)
    test = tmp_path / "test2.txt"
    listed = test.read_text()
    given: dict[str, Any] = {"lists": tmp_path, "recipe": LINEAR, "results": None}
    test.write_text(listed.replace("\n", "\nwave-train-0.mp4\n", 1))
    with pytest.raises(fb.DataError, match=r"test2.txt: lists 9 videos for test; the protocol says 8"):
        fb.evaluate_protocol(world.store, tmp_path / "two.toml", **given)
    train = tmp_path / "train2.txt"
    text = (tmp_path / "two.toml").read_text()
    rows = [row for row in train.read_text().splitlines(keepends=True) if "clap" not in row]
    lacking = text.rsplit("train_videos = ", 1)[0] + f"train_videos = {len(rows)}\n"
    lacking += text.rsplit("train_videos = ", 1)[1].split("\n", 1)[1]
    train.write_text("".join(rows))
    test.write_text(listed)
    (tmp_path / "two.toml").write_text(lacking)
    with pytest.raises(
        fb.DataError, match=r"the training videos has 3 classes without 'clap', a label of the test vid"
    ):
        fb.evaluate_protocol(world.store, tmp_path / "two.toml", **given)


def labelled(tmp_path: Path, **labels: str) -> Path:
    """A world in which the test videos have other labels: by split."""
    made = write_world(tmp_path / "store")
    videos = [Video(v.video_id, v.path, labels.get(v.split, v.label), v.split) for v in made.manifest.videos]
    Manifest(tuple(videos)).write(tmp_path / "store" / "manifest.csv")
    return tmp_path / "store"


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("", "none of the 24 videos of the split 'test' has a label"),
        ("jump", "without 'jump', a label of"),
        (";".join(CLASSES[:2]), "has 2 labels, 'wave;clap'; expected one for each video"),
    ],
)
def test_a_test_split_that_gives_no_figure(tmp_path: Path, label: str, told: str) -> None:
    store = labelled(tmp_path, test=label)
    with pytest.raises(fb.DataError, match=told):
        fb.evaluate_protocol(store, "supervised", recipe=LINEAR, results=None)
    if ";" in label:  # of several recipes some could serve it
        found = fb.compare_recipes(store, tmp_path / "table", {"never": LINEAR}, seeds=1)
        assert told in found.refused["never"]
    else:
        with pytest.raises(fb.DataError, match=told):
            fb.compare_recipes(store, tmp_path / "table", {"never": LINEAR}, seeds=1)


def test_a_test_video_without_an_embedding_may_have_several_labels(tmp_path: Path) -> None:
    made = write_world(tmp_path / "store")
    videos = [v for v in made.manifest.videos if v.video_id != "lost"]
    videos.append(Video("lost", tmp_path / "lost.mp4", ";".join(CLASSES[:2]), "test"))
    Manifest(tuple(videos)).write(tmp_path / "store" / "manifest.csv")
    found = fb.compare_recipes(
        tmp_path / "store", tmp_path / "table", {"ridge": replace(LINEAR, classifier="ridge", epochs=0)}, seeds=1
    )
    assert not found.refused


def test_a_run_that_cannot_be_measured_is_told_before_copies_are_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = write_world(tmp_path / "first")
    run = fb.train(world.store, tmp_path / "run", head="mean", classifier="ridge", loss="ce", epochs=0)
    store = labelled(tmp_path, test="jump")
    monkeypatch.setattr("framebank.library.evaluation.warn_of_copies", lambda *given, **more: pytest.fail("looked for"))
    with pytest.raises(fb.DataError, match="without 'jump', a label of"):
        fb.evaluate(run, store)
    monkeypatch.undo()
    (tmp_path / "run" / "metrics.json").mkdir()
    with pytest.raises(fb.DataError, match=r"metrics.json: is a folder; expected a file"):
        fb.evaluate(run, world.store)


def test_shots_that_cannot_be_drawn_are_told_before_others_are_scored(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    shots: list[int] = []
    draw = EpisodeSampler.draw
    monkeypatch.setattr(EpisodeSampler, "draw", lambda own, *videos: shots.append(own.shot) or draw(own, *videos))
    given: dict[str, Any] = {"matchers": "mean", "split": "train", "way": 2, "episodes": 5}
    with pytest.raises(fb.DataError, match="each class needs 50 support videos and 1 query, but"):
        fb.fewshot_compare(world.store, shots=(1, 50), tell=lambda done, total: told.append(done), **given)
    assert not told
    assert shots == [1, 50]
    fb.fewshot_compare(world.store, shots=(1, 2), tell=lambda done, total: told.append(done), **given)
    assert told
    assert shots == [1, 50, 1, 2]  # each is drawn once


def test_an_unknown_split_is_told_before_the_texts_are_embedded(tmp_path: Path) -> None:
    world = write_world(tmp_path / "store")  # whose encoder is not here
    for keys in ({}, {"head": "mean", "classifier": "text"}):
        with pytest.raises(fb.DataError, match="'later'"):
            fb.train(world.store, tmp_path / "run", val_split="later", **keys)  # type: ignore[arg-type]


def test_videos_of_several_labels_are_told_before_the_texts_are_embedded(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    world = write_several(tmp_path / "store")  # whose encoder is not here
    text: dict[str, Any] = {"head": "mean", "classifier": "text", "loss": "ce"}
    for call in (lambda: fb.zeroshot(world.store), lambda: fb.train(world.store, tmp_path / "run", **text)):
        with pytest.raises(fb.DataError, match=r"has \d labels, .* expected one for each video"):
            call()


def test_a_run_that_reads_no_texts_is_told_before_they_are_embedded(tmp_path: Path) -> None:
    world = write_world(tmp_path / "store")  # whose encoder is not here
    run = fb.train(world.store, tmp_path / "run", head="mean", classifier="ridge", loss="ce", epochs=0)
    with pytest.raises(fb.DataError, match="the run's classifier is 'ridge' and knows only its own 4 classes"):
        fb.zeroshot(world.store, run=run)
    other = write_world(tmp_path / "other", spec=replace(SPEC, model="other"))
    with pytest.raises(fb.DataError, match=r"model 'tiny', .* with model 'other'; they cannot be mixed"):
        fb.zeroshot(other.store, run=run)


def test_a_file_that_cannot_be_written_is_told_before_the_work(world: World, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    place = tmp_path / "file" / "out.h5"
    calls: tuple[Any, ...] = (
        lambda: fb.label_store(world.store, prompts=world.prompts, everything=True, csv=place),
        lambda: fb.build_labels(place, ["no such list"], like=world.store),
        lambda: fb.report(tmp_path / "nothing", out=place.with_suffix(".html")),
    )
    for call in calls:
        with pytest.raises(fb.DataError, match=r"cannot be written: .*file is a file; expected a folder"):
            call()
