import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from framebank.heads.training.job import TrainingJob
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.store import DataError, FeatureStore, LabelSet, Manifest, ShardWriter, Video
from framebank.tests.worlds.heads import CLASSES, SPEC, SPLITS, frames_of, row

CPU = torch.device("cpu")
QUICK = Recipe(head="conv1d", loss="ce", epochs=2, batch_size=16)
LINEAR = replace(QUICK, head="mean", classifier="linear")


pytestmark = pytest.mark.usefixtures("one_thread")


def job_of(world, recipe=QUICK, *, split="train", **options):
    options = {"prompts": world.prompts, **options}
    return TrainingJob(world.store, world.manifest.split(split), recipe, device=CPU, **options)


def without_val(world, tmp_path):
    """The same store, whose manifest has no split "val"."""
    world.manifest  # noqa: B018 (read before it is replaced)
    for path in world.store.path.glob("*.h5"):
        (tmp_path / path.name).symlink_to(path)
    videos = tuple(replace(v, split="train" if v.split == "val" else v.split) for v in world.manifest.videos)
    Manifest(videos).write(tmp_path / "manifest.csv")
    return replace(world, store=FeatureStore(tmp_path))


def test_a_video_of_several_labels_is_refused(world, tmp_path):
    for path in world.store.path.glob("*.h5"):
        (tmp_path / path.name).symlink_to(path)
    first, *rest = world.manifest.split("train").videos
    Manifest((replace(first, label="wave;clap"), *rest)).write(tmp_path / "manifest.csv")
    with pytest.raises(DataError, match="has 2 labels, 'wave;clap'; expected one for each video"):
        job_of(replace(world, store=FeatureStore(tmp_path)))


def test_split_val_chooses_the_epoch(world):
    job = job_of(world)
    assert len(job.train) == 4 * SPLITS["train"]
    assert set(job.val.video_ids) == {f"{label}-val-{n}" for label in CLASSES for n in range(SPLITS["val"])}


def test_a_part_is_held_out_where_there_is_no_such_split(world, tmp_path):
    world = without_val(world, tmp_path)
    job = job_of(world)
    assert len(job.val) == 4 * 2  # a tenth of 15, rounded
    assert len(job.train) + len(job.val) == 4 * 15
    assert not set(job.train.video_ids) & set(job.val.video_ids)
    assert job_of(world).val.video_ids == job.val.video_ids
    assert job_of(world, replace(QUICK, seed=1)).val.video_ids != job.val.video_ids
    assert job_of(world, replace(QUICK, val_fraction=0.0)).val is None


@pytest.mark.parametrize(
    ("classifier", "epochs", "held"),
    [("knn", 0, 0), ("lda", 0, 0), ("ridge", 0, 8), ("tip-adapter", 0, 0), ("tip-adapter-f", 2, 8), ("linear", 2, 8)],
)
def test_what_chooses_nothing_holds_nothing_out(world, tmp_path, classifier, epochs, held):
    world = without_val(world, tmp_path)
    recipe = Recipe(head="mean", classifier=classifier, loss="ce", epochs=epochs)
    prompts = world.prompts if recipe.reads_texts else None
    job = job_of(world, recipe, prompts=prompts)
    assert len(job.train) == 60 - held
    assert (len(job.val) if job.val else 0) == held
    if classifier == "knn":
        assert len(job_of(world, recipe, prompts=prompts, chooses_head_mix=True).val) == 8
    if classifier == "tip-adapter":  # without folds it searches on validation videos
        for changes in ({"classifier_options": {"wide": False}}, {"form": 1}):
            assert len(job_of(world, replace(recipe, **changes), prompts=prompts).val) == 8


@pytest.mark.parametrize("shots", [1, 4])
def test_shots(world, shots):
    job = job_of(world, replace(QUICK, shots=shots))
    assert job.train.target.bincount().tolist() == [shots] * 4
    assert job.val is None
    assert job_of(world, replace(QUICK, shots=shots)).train.video_ids == job.train.video_ids
    assert job_of(world, replace(QUICK, shots=shots, seed=1)).train.video_ids != job.train.video_ids
    assert all("train" in video_id for video_id in job.train.video_ids)


def test_shots_are_drawn_after_the_validation_videos_are_taken_out(world):
    job = job_of(world, replace(QUICK, shots=12), split="all", val_split="val")
    assert job.train.target.bincount().tolist() == [12] * 4
    assert not set(job.train.video_ids) & set(job.val.video_ids)


def test_too_many_shots(world):
    with pytest.raises(DataError, match="13 shots of each class wanted, but 'clap' has 12 training videos"):
        job_of(world, replace(QUICK, shots=13))


def test_shots_are_of_videos_that_have_an_embedding(world):
    # "clap" lists 7 test videos, of which "lost" has no embedding
    with pytest.raises(DataError, match="7 shots of each class wanted, but 'clap' has 6"):
        job_of(world, replace(QUICK, shots=7), split="test")


def test_a_validation_split_that_is_none(world):
    with pytest.raises(DataError) as caught:
        job_of(world, val_split="bogus")
    assert str(caught.value).startswith(f"{world.store.path}: no video is in the split 'bogus'; the splits are: test (")


def test_nothing_is_left_to_train_on(world):
    with pytest.raises(DataError, match="every training video is a validation video too"):
        job_of(world, split="val")


def test_nothing_to_train_on(world):
    lost = Manifest(tuple(v for v in world.manifest.videos if v.video_id == "lost"))
    with pytest.raises(DataError, match="of the 1 video asked for, none has both an embedding and a label"):
        TrainingJob(world.store, lost, QUICK, prompts=world.prompts, device=CPU)


def test_classes(world):
    assert job_of(world).labels.names == CLASSES
    assert job_of(world, LINEAR, prompts=None).labels.names == tuple(sorted(CLASSES))
    given = LabelSet(CLASSES[::-1])
    assert job_of(world, LINEAR, prompts=None, labels=given).labels == given


def test_class_without_a_training_video(world):
    with pytest.raises(DataError, match="the class 'none of these' has no training video"):
        job_of(world, LINEAR, prompts=None, labels=LabelSet(("none of these", *CLASSES)))


def test_class_that_is_not_among_those_given(world):
    with pytest.raises(DataError, match="the set of classes has 3 classes without 'fall', a label of"):
        job_of(world, prompts=world.prompts.select(CLASSES[:3]))


@pytest.mark.parametrize("recipe", [QUICK, LINEAR, replace(QUICK, shots=2)])
def test_save(world, tmp_path, recipe):
    job = job_of(world, recipe, prompts=world.prompts if recipe.classifier == "text" else None)
    log = list(job.epochs())
    job.save(tmp_path / "run", log=log)
    found = Run.read(tmp_path / "run").trained_on
    assert found["train_videos"] == len(job.train)
    assert found["val_videos"] == (0 if recipe.shots else 12)
    assert found["classes"] == 4
    if recipe.shots:
        assert found["val_score"] is None
        assert math.isnan(log[0].val_score)
    else:
        assert found["val_score"] == max(epoch.val_score for epoch in log)
    assert found["texts"] == ("names" if recipe.classifier == "text" else None)


@pytest.mark.parametrize("classifier", ["knn", "ridge", "tip-adapter"])
def test_with_jitter_a_classifier_is_fitted_to_the_frames_it_is_asked_with(world, classifier):
    """A head of two frames sees other sums than one of all eight: only the centres are what is asked with."""
    recipe = replace(LINEAR, head="lstm", classifier=classifier, frames=2, epochs=0)
    prompts = world.prompts if recipe.reads_texts else None
    still, drawn = (job_of(world, replace(recipe, jitter=jitter), prompts=prompts) for jitter in (False, True))
    assert (still.train.x.shape[1], drawn.train.x.shape[1], drawn.val.x.shape[1]) == (2, 8, 2)
    for name, value in still.model.state_dict().items():
        assert torch.equal(drawn.model.state_dict()[name], value), name


def test_an_option_that_the_loss_does_not_read_is_refused(world):
    with pytest.raises(DataError, match=r"label_smoothing is 0\.1, which the loss 'kl' does not read"):
        job_of(world, replace(QUICK, loss="kl", label_smoothing=0.1))
    assert job_of(world, replace(QUICK, loss="kl", label_smoothing=0.1, epochs=0)).recipe.epochs == 0


def test_mixup_is_refused_where_a_loss_learns_one_class_of_each_video(world):
    with pytest.raises(DataError, match=r"mixup is 0\.8, and the loss 'kl' takes a mixed video for one of the class"):
        job_of(world, replace(QUICK, loss="ce + 0.5 kl", mixup=0.8))
    assert len(list(job_of(world, replace(QUICK, loss="ce + froster", mixup=0.8, epochs=1)).epochs())) == 1


@pytest.mark.parametrize("classifier", ["linear", "ridge"])
def test_rows_that_are_no_numbers_are_refused_with_the_video(tmp_path, classifier):
    rng = np.random.default_rng(0)
    videos = [Video(f"{label}-{place}", tmp_path / "a.mp4", label, "train") for label in CLASSES for place in range(4)]
    Manifest(tuple(videos)).write(tmp_path / "manifest.csv")
    with ShardWriter(tmp_path, SPEC) as writer:
        for place, video in enumerate(videos):
            frames = frames_of(video.label, rng)
            frames[1, 0] = np.nan if place == 5 else frames[1, 0]
            writer.add(video.video_id, row(frames))
    store = FeatureStore(tmp_path)
    with pytest.raises(DataError, match=f"the embedding of '{videos[5].video_id}' holds values that are not numbers"):
        TrainingJob(store, store.manifest, replace(LINEAR, classifier=classifier), device=CPU)
