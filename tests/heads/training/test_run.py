import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import framebank as fb
from framebank.heads.training.build import build_model
from framebank.heads.training.loop import Epoch
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.store import DataError, FeatureStore
from framebank.tests.worlds.heads import (
    CLASSES,
    DIM,
    FRAME_HEADS,
    SPEC,
    World,
    prompts_of,
    texts_of,
    write_world,
)

LOG = [Epoch(1, 0.5, 1e-4, 0.25, 1.5), Epoch(2, 0.25, 0.0, float("nan"), 1.5)]
X = torch.randn(3, 8, DIM, generator=torch.Generator().manual_seed(0))
MASK = torch.arange(8) < torch.tensor([[8], [5], [1]])


def run_of(recipe, *, classes=CLASSES):
    model = build_model(recipe, dim=DIM, num_classes=len(classes), texts=texts_of(prompts_of(classes))).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    facts = (
        {"texts": "names", "templates": ["{}"]} if recipe.classifier == "text" else {"texts": None, "templates": None}
    )
    return Run(recipe, SPEC, classes, model, "/some/store", facts)


@pytest.mark.parametrize("head", FRAME_HEADS)
@pytest.mark.parametrize("classifier", ["text", "linear"])
@pytest.mark.parametrize("scoring", ["probabilities", "embeddings"])
def test_round_trip(tmp_path, head, classifier, scoring):
    run = run_of(Recipe(head=head, classifier=classifier, loss="ce", scoring=scoring, frame_norm=False, seed=3))
    run.write(tmp_path / "run", log=LOG)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    found = Run.read(tmp_path / "run")
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(found.model(X, MASK), run.model(X, MASK))
    assert not found.model.training
    assert replace(found, model=run.model) == run


@pytest.mark.parametrize(
    ("classifier", "options", "frozen"),
    [
        ("text", {"learn_scale": False}, {"log_scale"}),
        ("text", {}, set()),
        ("text-linear", {}, {"weight"}),
        ("lda", {"learn_weights": True}, set()),
        ("lda", {}, {"weight", "bias"}),
        ("tip-adapter", {}, {"zero_shot.log_scale", "keys"}),
        ("tip-adapter-f", {}, {"cache.zero_shot.log_scale"}),
    ],
)
def test_what_was_frozen_stays_frozen(tmp_path, classifier, options, frozen):
    run_of(Recipe(classifier=classifier, classifier_options=options, loss="ce")).write(tmp_path, log=LOG)
    found = Run.read(tmp_path).model.classifier
    assert {name for name, parameter in found.named_parameters() if not parameter.requires_grad} == frozen


def test_files(tmp_path):
    run = run_of(Recipe(head="mean"))
    run.write(tmp_path, log=LOG)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint.safetensors", "log.csv", "recipe.toml"]
    assert Recipe.read(tmp_path / "recipe.toml") == run.recipe
    with (tmp_path / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "number": "1",
        "loss": "0.5",
        "lr": "0.0001",
        "val_score": "0.25",
        "seconds": "1.5",
        "val_loss": "nan",
    }
    assert rows[1]["val_score"] == "nan"


def test_no_run(tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DataError, match=r"holds no checkpoint.safetensors; expected a folder made by"):
            Run.read(folder)


@pytest.mark.parametrize("damage", ["empty", "cut", "garbage", "foreign", "not ours", "other head"])
def test_corrupt_checkpoint(tmp_path, damage):
    run_of(Recipe(head="conv1d")).write(tmp_path, log=LOG)
    path = tmp_path / "checkpoint.safetensors"
    whole = path.read_bytes()
    if damage == "foreign":
        save_file({"a": torch.zeros(2)}, path)
    elif damage == "not ours":
        save_file({"a": torch.zeros(2)}, path, metadata={"framebank": json.dumps({"version": 1})})
    elif damage == "other head":
        path.write_bytes(whole.replace(b"conv1d", b"lstm  ").replace(b'\\"lstm  \\"', b'  \\"lstm\\"'))
    else:
        path.write_bytes({"empty": b"", "cut": whole[:-100], "garbage": b"\x00" * 5000}[damage])
    with pytest.raises(DataError) as caught:
        Run.read(tmp_path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_with_prompts_keeps_head_and_scale():
    run = run_of(Recipe(head="conv1d"))
    others = run.with_prompts(prompts_of(("rise", "wave")), where="prompts.h5")
    assert others.labels == ("rise", "wave")
    torch.testing.assert_close(others.model.embed(X, MASK), run.model.embed(X, MASK))
    torch.testing.assert_close(others.model.classifier.logit_scale, run.model.classifier.logit_scale)
    assert others.model(X, MASK).shape == (3, 2)
    assert others.model.classifier.embeddings.shape == (3, 2, DIM)
    mean = run.with_prompts(prompts_of(("rise", "wave")), where="prompts.h5", scoring="embeddings")
    assert mean.model.classifier.embeddings.shape == (1, 2, DIM)


def test_with_the_same_classes_their_order_stays():
    run = run_of(Recipe(head="conv1d"))
    turned = run.with_same_classes(prompts_of().select(CLASSES[::-1]), where="prompts.h5")
    assert turned.labels == CLASSES
    torch.testing.assert_close(turned.model(X, MASK), run.model(X, MASK), rtol=1e-4, atol=1e-4)
    assert turned.trained_on["templates"] == list(prompts_of().templates)


def test_classes_that_differ():
    run = run_of(Recipe(head="conv1d"), classes=CLASSES[:3])
    with pytest.raises(DataError, match=r"^the run has 3 classes without 'fall', a label of prompts.h5$"):
        run.with_same_classes(prompts_of(), where="prompts.h5")
    with pytest.raises(DataError, match=r"^prompts.h5 has 2 classes without 'rise', a label of the run$"):
        run.with_same_classes(prompts_of(CLASSES[:2]), where="prompts.h5")


def test_linear_run_knows_no_texts():
    run = run_of(Recipe(head="mean", classifier="linear", loss="ce"))
    with pytest.raises(DataError, match=r"run: the run's classifier is 'linear' and knows only its own 4 classes"):
        run.with_prompts(prompts_of(), where="run")


def test_texts_of_another_encoder():
    run = run_of(Recipe(head="mean"))
    strange = prompts_of(spec=replace(SPEC, weights_hash="fedcba"))
    with pytest.raises(DataError, match=r"the run was made with weights_hash '0123456789abcdef', prompts.h5 with"):
        run.with_prompts(strange, where="prompts.h5")


def test_a_run_knows_its_videos_in_its_store_alone(world: World, tmp_path: Path) -> None:
    run = fb.train(world.store, tmp_path / "run", recipe="ridge", shots=1).run
    drawn = set(run.videos_in(world.store))
    assert len(drawn) == len(CLASSES) and drawn < set(world.store.split("train").ids)
    earlier = replace(run, seen="")  # it kept the split alone
    assert set(earlier.videos_in(world.store)) == set(world.store.split("train").ids)
    assert replace(earlier, trained_on={}).videos_in(world.store) == []
    (tmp_path / "link").symlink_to(world.store.path)
    assert set(run.videos_in(FeatureStore(tmp_path / "link"))) == drawn
    other = write_world(tmp_path / "other", seed=3).store
    assert run.videos_in(other) == earlier.videos_in(other) == []
