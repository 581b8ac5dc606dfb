"""Labelling a store at a time gives what each video gives alone, and what evaluation scores."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch

from framebank.heads.evaluation.evaluate import evaluate_run, require_labels
from framebank.heads.evaluation.zeroshot import zero_shot_model
from framebank.heads.labelling import table as labelled
from framebank.heads.labelling.answers import Answer
from framebank.heads.labelling.labellers import IndexLabeller, ModelLabeller
from framebank.heads.labelling.neighbours import index_store
from framebank.heads.labelling.table import Labelled, label_store, write_table
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.store import DataError, FeatureStore, Manifest, ShardWriter
from framebank.store.indexes.index import Index
from framebank.store.ledger import Failure
from framebank.store.memory import MemoryStore, StorePart
from framebank.tests.heads.one_at_a_time import label_by_model
from framebank.tests.worlds.heads import CLASSES, SPEC, prompts_of, write_world

CPU = torch.device("cpu")


def texts(top=4):
    return ModelLabeller.of_texts(prompts_of(), where="p.h5", top=top, device=CPU)


@pytest.mark.parametrize("at_once", [1, 7, 4096])
def test_a_store_at_a_time_is_one_video_at_a_time(world, monkeypatch, at_once):
    monkeypatch.setattr(labelled, "AT_ONCE", at_once)
    found = list(label_store(world.store, world.manifest, [texts()]))
    assert [getattr(one, "video_id", None) or one.video.video_id for one in found] == [
        video.video_id for video in world.manifest.videos
    ]  # in the order of the input
    (lost,) = [one for one in found if isinstance(one, Failure)]
    assert lost.video_id == "lost"
    assert f"lost.mp4: has no embedding in {world.store.path}; extract it" in lost.reason
    model = zero_shot_model(prompts_of(), scoring="probabilities")
    for one in found:
        if isinstance(one, Labelled):
            alone = label_by_model(model, CLASSES, world.store[one.video.video_id])
            assert [name for name, _ in one.answers[0].ranked] == [name for name, _ in alone]
            assert dict(one.answers[0].ranked) == pytest.approx(dict(alone), abs=1e-5)


def test_rows_in_memory_are_read_as_those_of_a_store(world):
    ids = ("ragged", "wave-test-0", "short", "wave-test-1")
    held = MemoryStore(world.store.path, SPEC, {name: world.store[name] for name in ids})
    part = StorePart(world.store, ids)
    for ours, theirs in zip(held.read_packed(), part.read_packed(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    everything = StorePart(world.store, world.store.ids)
    for ours, theirs in zip(everything.read_packed(), world.store.read_packed(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for source in (held, part):
        with pytest.raises(DataError, match="has no stream 'regions'; it has frame"):
            source.read_packed("regions")


def test_other_encoders_are_refused(world, tmp_path):
    other = write_world(tmp_path / "other", spec=replace(SPEC, weights_hash="fedcba"))
    with pytest.raises(DataError, match=r"p\.h5 was made with weights_hash '0123456789abcdef'"):
        next(label_store(other.store, other.manifest, [texts()]))


def index_of(world):
    return index_store(world.store, world.manifest.labelled(), run=None, run_path=None, device=CPU)


def test_a_video_of_the_index_does_not_vote_on_itself(world):
    index = index_of(world)
    wrong = [replace(v, label="fall") if v.video_id == "wave-test-0" else v for v in index.videos]
    index = Index(index.vectors, wrong, spec=index.spec, made_by=index.made_by)
    asked = Manifest(tuple(v for v in world.manifest.videos if v.video_id == "wave-test-0"))
    (one,) = label_store(world.store, asked, [IndexLabeller(index, where=world.store.path, k=1)])
    assert (one.label, one.by) == ("wave", "neighbours")
    known = IndexLabeller(index, where=world.store.path, k=1, knows_itself=True)
    assert next(label_store(world.store, asked, [known])).label == "fall"
    # the same seconds of the same file under another name are the same video
    renamed = [replace(v, video_id=f"old/{v.video_id}") for v in wrong]
    index = Index(index.vectors, renamed, spec=index.spec, made_by=index.made_by)
    assert next(label_store(world.store, asked, [IndexLabeller(index, where=world.store.path, k=1)])).label == "wave"


def test_votes_of_nobody_are_unknown(world):
    index = index_of(world)
    bare = Index(index.vectors, [replace(v, label="") for v in index.videos], spec=index.spec, made_by=index.made_by)
    one = next(label_store(world.store, world.manifest, [IndexLabeller(bare, where=world.store.path)]))
    assert (one.label, one.by, one.unsure, one.top(3)) == ("unknown", None, True, [("unknown", None)])


def test_the_table(world, tmp_path):
    videos = [replace(world.manifest.videos[0], start=0.5, end=2.0), *world.manifest.videos[1:3]]
    answers = [
        Answer("run", (("a, b", 0.75), ("c", 0.25))),
        Answer("neighbours", (("c", 1.0),), passes=False),
        Answer("texts", (("c", 0.2),), doubt="so"),
    ]
    write_table(tmp_path / "t.csv", [Labelled.of(v, [a]) for v, a in zip(videos, answers, strict=True)], top=2)
    rows = list(csv.DictReader((tmp_path / "t.csv").open(newline="")))
    assert list(rows[0]) == [
        "video_id", "path", "start", "end", "label", "confidence", "label_2", "confidence_2", "unsure", "by"
    ]  # fmt: skip
    told = [tuple(row.values())[2:] for row in rows]
    assert told == [
        ("0.5", "2.0", "a, b", "0.75", "c", "0.25", "false", "run"),
        ("", "", "unknown", "", "c", "1", "true", ""),
        ("", "", "c", "0.2", "", "", "true", "texts"),
    ]


def test_an_untrained_run_is_unsure_of_every_video(world, tmp_path):
    from framebank.heads.training.build import build_model

    recipe = Recipe(head="mean", classifier="linear", loss="ce")
    model = build_model(recipe, dim=SPEC.dim, num_classes=len(CLASSES), texts=None)
    for parameter in model.parameters():
        parameter.data.zero_()
    run = Run(recipe, SPEC, CLASSES, model.eval(), str(world.store.path), {"texts": None, "templates": None})
    labeller = ModelLabeller.of_run(run, where="r", top=2, device=CPU)
    found = [one for one in label_store(world.store, world.manifest, [labeller]) if isinstance(one, Labelled)]
    assert all(one.unsure for one in found)
    assert {one.label for one in found} == {CLASSES[0]}  # the first of equals
    report = evaluate_run(
        run, world.store, world.store.split("test"), split="test", device=CPU, folder=tmp_path / "run"
    )
    assert report["top5"] >= report["top1"]
    truth = [v.label for v in world.store.split("test").videos if v.label and v.video_id in world.store]
    assert report["top1"] == pytest.approx(truth.count(CLASSES[0]) / len(truth))
    assert report["videos_without_label"] == 1
    for parameter in run.model.parameters():
        parameter.data.fill_(float("nan"))
    with pytest.raises(DataError, match="are no numbers"):
        list(label_store(world.store, world.manifest, [labeller]))


def test_a_video_whose_rows_are_no_numbers_does_not_stop_the_others(world, tmp_path):
    (tmp_path / "s").mkdir()
    with ShardWriter(tmp_path / "s", world.store.spec) as writer:
        for number, name in enumerate(world.store):
            rows = world.store[name]
            data = np.full_like(rows.data, np.nan) if number == 3 else rows.data
            writer.add(name, replace(rows, data=data))
    world.manifest.write(tmp_path / "s" / "manifest.csv")
    found = list(label_store(FeatureStore(tmp_path / "s"), world.manifest, [texts()]))
    failed = {one.video_id: one.reason for one in found if isinstance(one, Failure)}
    odd = next(iter(set(failed) - {"lost"}))
    assert list(world.store).index(odd) == 3 and "holds values that are not numbers" in failed[odd]
    whole = {
        one.video.video_id: one.label
        for one in label_store(world.store, world.manifest, [texts()])
        if isinstance(one, Labelled)
    }
    del whole[odd]
    assert {one.video.video_id: one.label for one in found if isinstance(one, Labelled)} == whole


def test_a_split_without_labels_says_what_is_missing(world):
    bare = Manifest(tuple(replace(video, label="") for video in world.manifest.videos))
    with pytest.raises(DataError) as told:
        require_labels(world.store, bare, split="test", hint="framebank predict S --run R --csv out.csv")
    assert f"none of the {len(bare)} videos of the split 'test' has a label" in str(told.value)
    assert "framebank store relabel" in str(told.value)
    assert "framebank predict S --run R" in str(told.value)
    assert require_labels(world.store, world.manifest, split="all", hint="") == 1


def test_a_run_is_read_by_the_name_of_its_folder(run):
    assert Run.read(str(run)).weights_hash == Run.read(run).weights_hash
