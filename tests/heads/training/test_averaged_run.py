"""A run that averages several heads is one run like any other, or says in one sentence why it cannot be."""

import json
from dataclasses import replace

import pytest
import torch

import framebank as fb
from framebank.heads.bank import load_bank
from framebank.heads.training.averaged_run import averaged_run
from framebank.heads.training.checkpoint import read_checkpoint, save
from framebank.heads.training.run import Run
from framebank.store import DataError, LabelSet
from framebank.tests.worlds.average import MEMBERS, average_of_runs, runs_of_members
from framebank.tests.worlds.heads import CLASSES, DIM, prompts_of

pytestmark = pytest.mark.usefixtures("one_thread")

X = torch.randn(3, 8, DIM, generator=torch.Generator().manual_seed(0))
MASK = torch.arange(8) < torch.tensor([[8], [5], [1]])
FILE = "checkpoint.safetensors"


@pytest.fixture
def folder(world, tmp_path):
    average_of_runs(world.store.path).write(tmp_path / "run", log=[])
    return tmp_path / "run"


def changed(folder, *, about=None, tensors=None):
    """Write the checkpoint again with changes, and a digest that fits."""
    found = read_checkpoint(folder / FILE, what="a checkpoint")
    values = {**found.about.values, **(about or {})}
    kept = {name: value for name, value in {**found.tensors, **(tensors or {})}.items() if value is not None}
    (folder / FILE).write_bytes(save(values, kept))


def test_round_trip(folder, world):
    written, found = average_of_runs(world.store.path), Run.read(folder)
    assert torch.equal(found.model(X, MASK), written.model(X, MASK))
    assert found.members == MEMBERS
    assert found.recipe == MEMBERS[0].recipe
    assert found.weights_hash == written.weights_hash
    assert replace(found, model=written.model) == written
    other = averaged_run(
        runs_of_members(world.store.path),
        [replace(member, temperature=1.0) for member in MEMBERS],
        val=None,
        device=torch.device("cpu"),
        about={"split": "train"},
    )
    assert other.weights_hash != found.weights_hash


def test_the_facts_are_of_all_members(folder):
    facts = Run.read(folder).trained_on
    assert (facts["texts"], facts["templates"], facts["epochs"]) == ("names", ["{}"], 1)


def test_members_of_other_classes_are_not_averaged():
    first, second = runs_of_members()
    with pytest.raises(ValueError, match="know different classes"):
        averaged_run(
            [first, replace(second, labels=first.labels[::-1])], MEMBERS, val=None, device=torch.device("cpu"), about={}
        )


def test_validation_videos_score_and_calibrate_the_average(world):
    bank = load_bank(world.store, world.manifest.split("train"), LabelSet(CLASSES), device=torch.device("cpu"))
    run = averaged_run(runs_of_members(), MEMBERS, val=bank, device=torch.device("cpu"), about={})
    right = run.model(bank.x, bank.mask).argmax(1) == bank.target
    assert run.trained_on["val_score"] == pytest.approx(float(right.float().mean()))
    assert run.model.scaling.videos == len(bank)


def test_commands_read_it(framebank, folder, world, tmp_path):
    report = json.loads(framebank("evaluate", folder, "--json").stdout)
    assert report["made_by"]["members"][1]["name"] == "zero-shot"
    assert "average" in framebank("evaluate", folder).stdout
    assert "checkpoint.safetensors" in framebank("verify", folder).stdout
    # One video has no embedding, so that both exit with 1.
    framebank("predict", world.store.path, "--run", folder, "--csv", tmp_path / "labels.csv", exit_code=1)
    assert len((tmp_path / "labels.csv").read_text().splitlines()) > 80
    framebank("label-store", world.store.path, "--run", folder, "--out", tmp_path / "named.csv")
    named = (tmp_path / "named.csv").read_text().splitlines()
    assert len(named) == 2 and named[1].startswith("unknown,")
    framebank("report", folder, tmp_path / "card.md")
    assert "average of conv1d + linear, zero-shot" in (tmp_path / "card.md").read_text()
    before = Run.read(folder).model(X, MASK)
    framebank("temperature", folder, "--split", "val", exit_code=1)  # 12 videos are too few
    assert torch.equal(Run.read(folder).model(X, MASK), before)


def test_a_temperature_is_fitted_and_taken_out(folder, world):
    from framebank.heads.evaluation.temperature import fit_run, forget, restore

    run = Run.read(folder)
    found = fit_run(
        run, world.store, world.manifest.split("train"), folder=folder, device=torch.device("cpu"), by_class=False
    )
    assert Run.read(folder).model.scaling == found.run.model.scaling
    forget(Run.read(folder), folder=folder)
    assert Run.read(folder).model.scaling is None
    restore(Run.read(folder), folder=folder)
    assert Run.read(folder).members == MEMBERS


def test_what_needs_one_embedding_or_other_texts_is_refused(framebank, folder, world, tmp_path):
    told = framebank("index", world.store.path, tmp_path / "index", "--run", folder, exit_code=1).stderr
    assert "is an average of several heads (conv1d + linear, zero-shot), which has no single embedding" in told
    assert not (tmp_path / "index" / "spec.json").exists()
    with pytest.raises(DataError, match="serves only its own classes and texts; expected a run of one head"):
        Run.read(folder).with_prompts(prompts_of(("wave", "clap")), where="other.h5")
    with pytest.raises(DataError, match="serves only its own classes and texts"):
        fb.evaluate(folder, split="test", prompts=prompts_of())


def test_onnx_gives_the_same_probabilities(folder, tmp_path):
    pytest.importorskip("onnxruntime")
    from framebank.heads.exchange.export import export_onnx

    assert export_onnx(Run.read(folder), tmp_path / "run.onnx") < 1e-4


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"classifier.weights": None}, "lacks the tensor 'classifier.weights'"),
        ({"classifier.weights": torch.tensor([0.9, 0.9])}, "the weights of 2 models sum to 1.8; expected 1"),
        ({"classifier.models.2.head.x": torch.ones(2)}, "holds the tensor 'classifier.models.2.head.x'"),
        ({"classifier.models.0.head.x": torch.ones(2)}, "holds the tensor 'head.x'"),
        ({"classifier.models.1.classifier.text.scale": None}, ""),
    ],
)
def test_tensors_that_do_not_fit_are_refused(folder, tensors, message):
    if not message:
        name = next(name for name in read_checkpoint(folder / FILE, what="a").tensors if ".models.1." in name)
        tensors, message = {name: None}, "lacks the tensor"
    changed(folder, tensors=tensors)
    with pytest.raises(DataError, match=message):
        Run.read(folder)


def test_members_that_do_not_fit_are_refused(folder):
    said = read_checkpoint(folder / FILE, what="a").about.values["members"]
    one, other = said["models"]
    wrong = {
        "version is 2; expected 1": {**said, "version": 2},
        "expected a list of two members or more": {**said, "models": [one]},
        "its recipe is not that of its first member": {**said, "models": [other, one]},
        "averages models of several labels or of other frames": {
            **said,
            "models": [one, {**other, "recipe": {**other["recipe"], "frames": 4}}],
        },
        "is not known; expected one of": {**said, "models": [one, {**other, "recipe": {"head": "new"}}]},
    }
    for message, members in wrong.items():
        changed(folder, about={"members": members})
        with pytest.raises(DataError, match=message):
            Run.read(folder)
