import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from framebank.heads import CLASSIFIERS, SCORERS
from framebank.heads.class_texts import ClassTexts
from framebank.heads.exchange.export import export_onnx
from framebank.heads.scorers.attributes import Attributes
from framebank.heads.training.build import build_model
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.lexicon import Lexicon
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.store import DataError, LabelSet, PromptBank
from framebank.tests.worlds.cli import sentence
from framebank.tests.worlds.formulas import attributes_by_a_loop
from framebank.tests.worlds.heads import CLASSES, DIM, SPEC, prompts_of, texts_of

CPU = torch.device("cpu")
PHRASES = ("a hand in the air", "two hands", "a raised arm", "a lowered arm", "a chair", "a cat", "grass")
RECIPE = Recipe(head="mean", classifier="attributes", loss="ce", epochs=3, batch_size=16, lr=0.01)

pytestmark = pytest.mark.usefixtures("one_thread")


def phrases_of(phrases=PHRASES, *, spec=SPEC, num_templates=2, seed=3):
    """Prompts whose classes are phrases, each a direction of its own and drawn."""
    rng = np.random.default_rng(seed)
    rows = len(phrases) * num_templates
    return PromptBank(
        labels=LabelSet(tuple(phrases)),
        texts=tuple(f"{phrase} {number}" for phrase in phrases for number in range(num_templates)),
        embeddings=rng.normal(size=(rows, spec.dim)).astype(np.float32),
        template=np.tile(np.arange(num_templates), len(phrases)),
        end=num_templates * np.arange(1, len(phrases) + 1),
        templates=tuple(f"{{}} {number}" for number in range(num_templates)),
        kind="names",
        encoder=replace(spec, sampling="", decoder=""),
        logit_scale=20.0,
    )


@pytest.fixture
def path(tmp_path):
    phrases_of().write(tmp_path / "lexicon.h5")
    return tmp_path / "lexicon.h5"


def texts_with(num_classes=4, *, dim=8, seed=7):
    return ClassTexts.of_matrix(torch.randn(num_classes, dim, generator=torch.Generator().manual_seed(seed)))


def lexicon_with(size=5, *, dim=8):
    return F.normalize(torch.randn(size, dim, generator=torch.Generator().manual_seed(9)), dim=-1)


def shaken(module):
    with torch.no_grad():
        for number, parameter in enumerate(module.parameters()):
            generator = torch.Generator().manual_seed(number)
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return module.eval()


def batch(size=3, *, num_frames=6, dim=8):
    generator = torch.Generator().manual_seed(5)
    frames = F.normalize(torch.randn(size, num_frames, dim, generator=generator), dim=-1)
    mask = torch.arange(num_frames) < torch.tensor([num_frames, 3, 1]).repeat(size)[:size, None]
    return frames, mask, torch.randn(size, dim, generator=generator)


def test_read(path):
    lexicon = Lexicon.read(path, spec=SPEC, where="bank")
    rows = F.normalize(torch.from_numpy(phrases_of().embeddings), dim=-1)
    expected = F.normalize(rows.unflatten(0, (7, 2)).sum(1), dim=-1)
    torch.testing.assert_close(lexicon.embeddings, expected)
    assert lexicon.about() == {
        "file": str(path),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "phrases": 7,
    }


@torch.no_grad()
@pytest.mark.parametrize("share", [0.3, 1.0])
def test_attributes_by_the_formula(share):
    texts, lexicon = texts_with(), lexicon_with()
    scorer = shaken(Attributes(8, 4, texts, share=share, lexicon=lexicon))
    frames, mask, pooled = batch()
    found = scorer(frames, mask, pooled)
    expected = attributes_by_a_loop(scorer, frames, mask, pooled, lexicon, texts.matrix[0], share)
    assert found.flatten().tolist() == pytest.approx(expected, rel=1e-3, abs=1e-3)


def test_padding_changes_nothing():
    scorer = shaken(Attributes(8, 4, texts_with(), lexicon=lexicon_with()))
    frames, mask, pooled = batch()
    other = frames.masked_fill(~mask.unsqueeze(-1), 1e3)
    torch.testing.assert_close(scorer(other, mask, pooled), scorer(frames, mask, pooled))


def test_a_lexicon_of_the_classes_texts_is_what_there_is_without():
    texts = texts_with()
    plain = shaken(Attributes(8, 4, texts))
    same = shaken(Attributes(8, 4, texts, lexicon=texts.rows[:, 0]))
    assert torch.equal(same(*batch()), plain(*batch()))


def test_other_texts_of_the_same_classes():
    texts, other = texts_with(), texts_with(seed=8)
    scorer = shaken(Attributes(8, 4, texts, lexicon=lexicon_with()))
    fresh = shaken(Attributes(8, 4, other, lexicon=lexicon_with()))
    before = scorer(*batch())
    scorer.set_texts(other)
    assert torch.equal(scorer(*batch()), fresh(*batch()))
    assert not torch.equal(scorer(*batch()), before)
    with pytest.raises(ValueError, match="the attributes were learned of 4 classes and can serve no others"):
        scorer.set_texts(texts_with(5))


def job_of(world, lexicon, **options):
    train = world.manifest.split("train")
    return TrainingJob(world.store, train, RECIPE, prompts=world.prompts, lexicon=lexicon, device=CPU, **options)


def test_a_run_brings_its_lexicon(world, tmp_path, path):
    lexicon = Lexicon.read(path, spec=world.store.spec, where=world.store.path)
    path.unlink()
    job = job_of(world, lexicon)
    log = list(job.epochs())
    assert log[-1].loss < log[0].loss
    run = job.save(tmp_path / "run", log=log)
    again = Run.read(tmp_path / "run")
    assert torch.equal(again.model.classifier.lexicon, lexicon.embeddings)
    assert again.trained_on["lexicon"] == lexicon.about()
    frames, mask, _ = batch(dim=DIM)
    expected = run.model(frames, mask)
    assert torch.equal(again.model(frames, mask), expected)
    turned = again.with_prompts(prompts_of().select(CLASSES[::-1]), where="there")
    assert turned.labels == CLASSES
    torch.testing.assert_close(turned.model(frames, mask), expected, atol=1e-4, rtol=1e-4)
    fewer_templates = again.with_same_classes(prompts_of(num_templates=1), where="there")
    assert fewer_templates.trained_on["lexicon"] == lexicon.about()
    assert not torch.equal(fewer_templates.model(frames, mask), expected)


def test_a_run_serves_no_other_classes(world, tmp_path, path):
    lexicon = Lexicon.read(path, spec=SPEC, where="bank")
    job_of(world, lexicon).save(tmp_path / "run", log=[])
    run = Run.read(tmp_path / "run")
    with pytest.raises(DataError, match="there: the attributes were learned of 4 classes and can serve no others"):
        run.with_prompts(prompts_of(CLASSES[:2]), where="there")
    others = replace(prompts_of(), labels=LabelSet(("run", "jump", "sit", "stand")))
    with pytest.raises(DataError, match="there: the run has learned weights for its own 4 classes and cannot se"):
        run.with_prompts(others, where="there")


def test_without_a_lexicon_nothing_is_said_of_it(world, tmp_path):
    job_of(world, None).save(tmp_path / "run", log=[])
    run = Run.read(tmp_path / "run")
    assert "lexicon" not in run.trained_on
    assert run.model.classifier.lexicon.shape == (12, DIM)  # three texts of each class
    with pytest.raises(DataError, match="were learned of 12 texts of 4 classes and can serve no others"):
        run.with_same_classes(prompts_of(num_templates=1), where="there")


def test_a_model_that_reads_none_is_built_without():
    with pytest.raises(ValueError, match="the classifier 'text' reads no lexicon"):
        build_model(Recipe(), dim=DIM, num_classes=4, texts=texts_of(prompts_of()), lexicon=lexicon_with(dim=DIM))


@pytest.mark.slow
def test_onnx(world, tmp_path, path):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    job = job_of(world, Lexicon.read(path, spec=SPEC, where="bank"))
    job.save(tmp_path / "run", log=list(job.epochs()))
    assert export_onnx(Run.read(tmp_path / "run"), tmp_path / "head.onnx") < 1e-3


# through the commands


@pytest.fixture
def prompts(world, tmp_path):
    world.prompts.write(tmp_path / "prompts.h5")
    return tmp_path / "prompts.h5"


def test_train_and_evaluate(framebank, world, tmp_path, path, prompts):
    run, own = tmp_path / "run", ("--prompts", prompts, "--classifier", "attributes")
    quick = ("--head", "mean", "--epochs", 2, "--json")
    told = framebank("train", world.store.path, run, *own, "--lexicon", path, *quick)
    report = json.loads(told.stdout)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert report["lexicon"] == {"file": str(path), "sha256": sha256, "phrases": 7}
    path.unlink()
    scored = json.loads(framebank("evaluate", run, "--json").stdout)
    assert scored["videos_evaluated"] == 22
    prompts_of(num_templates=1).write(tmp_path / "other.h5")
    again = json.loads(framebank("evaluate", run, "--prompts", tmp_path / "other.h5", "--json").stdout)
    assert again["made_by"]["templates"] == ["{} 0"]
    without = framebank("train", world.store.path, tmp_path / "plain", *own, *quick)
    assert "lexicon" not in json.loads(without.stdout)


def test_compare(framebank, world, tmp_path, path, prompts):
    recipe = tmp_path / "phrases.toml"
    recipe.write_text('head = "mean"\nclassifier = "attributes"\nloss = "ce"\nepochs = 1\n')
    options = ("--prompts", prompts, "--seeds", 1, "--set", "epochs=1", "--lexicon", path, "--json")
    table = tmp_path / "table"
    told = framebank("compare", world.store.path, table, "--recipes", f"{recipe},linear-probe", *options)
    refused = {trial["recipe"]: trial["refused"] for trial in json.loads(told.stdout)["trials"]}
    assert refused == {"phrases": "", "linear-probe": ""}
    assert Run.read(table / "phrases" / "seed-0").trained_on["lexicon"]["phrases"] == 7
    assert "lexicon" not in Run.read(table / "linear-probe" / "seed-0").trained_on
    again = framebank("compare", world.store.path, tmp_path / "t", "--recipes", "knn", *options, exit_code=2)
    assert "none of the recipes reads a lexicon; --lexicon is for the classifier attributes" in sentence(again)
    assert not (tmp_path / "t").exists()


@pytest.mark.parametrize("name", [name for name in (*CLASSIFIERS, *SCORERS) if name != "attributes"])
def test_every_other_classifier_refuses(framebank, world, tmp_path, path, prompts, name):
    options = ("--prompts", prompts, "--classifier", name, "--lexicon", path)
    told = framebank("train", world.store.path, tmp_path / "run", *options, exit_code=2)
    assert sentence(told) == f"Error: the classifier {name!r} reads no lexicon; --lexicon is for attributes"
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: None, "{path}: no such file"),
        (lambda path: path.write_text("a cat\n"), "{path}: is not a readable HDF5 file"),
        (
            lambda path: phrases_of(PHRASES[:1]).write(path),
            "{path}: is a lexicon of one phrase, 'a hand in the air'; e",
        ),
        (
            lambda path: phrases_of(spec=replace(SPEC, model="other")).write(path),
            "{store} was made with model 'tiny', {path} with model 'other'; they cannot be mixed",
        ),
        (
            lambda path: phrases_of(spec=replace(SPEC, weights_hash="fedcba9876543210")).write(path),
            "{store} was made with weights_hash '0123456789abcdef', {path} with weights_hash 'fedcba9876543210'",
        ),
    ],
)
def test_refuses_the_file(framebank, world, tmp_path, prompts, write, message):
    path, store = tmp_path / "phrases.h5", world.store.path
    write(path)
    options = ("--prompts", prompts, "--classifier", "attributes", "--lexicon", path)
    told = framebank("train", store, tmp_path / "run", *options, exit_code=1)
    assert sentence(told).startswith(f"Error: {message.format(path=path, store=store)}")
    assert not (tmp_path / "run").exists()
