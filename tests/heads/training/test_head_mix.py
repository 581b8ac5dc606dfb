from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from framebank.heads.bank import load_bank
from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.text import TextClassifier
from framebank.heads.metrics import score_targets
from framebank.heads.model import Model
from framebank.heads.predictions import predict_logits
from framebank.heads.training.head_mix import SHARES, choose_head_mix
from framebank.heads.training.job import TrainingJob
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.store import DataError

CPU = torch.device("cpu")
QUICK = Recipe(head="transformer", loss="ce", epochs=2, batch_size=16, head_options={"num_layers": 1})
LSTM = replace(QUICK, head="lstm", head_options={})

pytestmark = pytest.mark.usefixtures("one_thread")


class Still(nn.Module):
    """A head that gives one embedding for every video: it knows nothing."""

    def __init__(self, embedding):
        super().__init__()
        self.embedding = embedding

    def forward(self, x, mask):
        return self.embedding.expand(len(x), -1)


class Turned(nn.Module):
    """A head that gives the mean the other way round: whatever is mixed in, less than half of it is wrong."""

    def forward(self, x, mask):
        return -x.mean(1)


def job_of(world, recipe):
    prompts = world.prompts if recipe.reads_texts else None
    return TrainingJob(world.store, world.manifest.split("train"), recipe, prompts=prompts, device=CPU)


def model_of(world, head):
    texts = ClassTexts.of(world.prompts, scoring="embeddings")
    return Model(head, TextClassifier(world.prompts.encoder.dim, len(texts), texts))


def bank_of(world, split="val"):
    return load_bank(world.store, world.manifest.split(split), world.prompts.labels, device=CPU)


def test_a_head_that_is_wrong_is_left_out(world):
    found = choose_head_mix(model := model_of(world, Turned()), bank_of(world), device=CPU)
    assert found.share > 0.5
    assert model.head_mix == found.share


def test_the_choice_is_the_best_of_all_shares(world):
    torch.manual_seed(0)
    model, val = model_of(world, Still(F.normalize(torch.randn(16), dim=0))), bank_of(world)
    tried = {}
    for share in SHARES:
        model.head_mix = share
        logits = predict_logits(model, val, device=CPU)
        tried[share] = (score_targets(logits, val.target), -float(F.cross_entropy(logits, val.target)))
    found = choose_head_mix(model, val, device=CPU)
    assert SHARES == (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    assert tried[found.share] == max(tried.values())
    assert found.score == tried[found.share][0]
    assert len(set(tried.values())) > 2


def test_of_equals_the_smallest(world):
    blind = nn.Linear(16, 4)
    nn.init.zeros_(blind.weight)  # every share scores the same
    assert choose_head_mix(Model(Turned(), blind), bank_of(world), device=CPU).share == 0


def test_the_run_has_the_share(world, tmp_path):
    job = job_of(world, QUICK)
    log = list(job.epochs())
    found = job.choose_head_mix()
    run = job.save(tmp_path / "run", log=log)
    assert run.recipe == replace(job.recipe, head_mix=found.share)
    again = Run.read(tmp_path / "run")
    assert again.recipe.head_mix == again.model.head_mix == found.share


def val_score(model, val):
    return score_targets(predict_logits(model, val, device=CPU), val.target)


def test_the_score_of_the_run_is_that_of_its_share(world, tmp_path):
    recipe = replace(LSTM, epochs=1, lr=0.2)  # too much of it: the plain mean knows more
    job = job_of(world, recipe)
    log = list(job.epochs())
    found = job.choose_head_mix()
    run = job.save(tmp_path / "run", log=log)
    assert found.score > log[0].val_score
    assert run.trained_on["val_score"] == found.score == val_score(Run.read(tmp_path / "run").model, job.val)


FITTED = {"knn": {"k": 3}, "ridge": {}, "lda": {}, "tip-adapter": {}}


@pytest.mark.parametrize(("classifier", "options"), FITTED.items())
def test_a_fitted_classifier_is_fitted_to_the_share(world, tmp_path, classifier, options):
    recipe = replace(LSTM, classifier=classifier, classifier_options=options, epochs=0)
    job = job_of(world, recipe)
    found = job.choose_head_mix()
    run = job.save(tmp_path / "run", log=[])
    given = job_of(world, replace(recipe, head_mix=found.share))
    for name, value in given.model.state_dict().items():
        torch.testing.assert_close(run.model.state_dict()[name], value, msg=name)
    assert run.trained_on["val_score"] == found.score == val_score(given.model, given.val)
    tried = [val_score(job_of(world, replace(recipe, head_mix=share)).model, job.val) for share in SHARES]
    assert found.score == max(tried)


def test_after_epochs_a_fitted_classifier_stays_what_the_head_was_trained_under(world, tmp_path):
    job = job_of(world, replace(LSTM, classifier="ridge", epochs=1))
    log = list(job.epochs())
    before = {name: value.clone() for name, value in job.model.classifier.state_dict().items()}
    found = job.choose_head_mix()
    assert all(torch.equal(value, before[name]) for name, value in job.model.classifier.state_dict().items())
    assert job.save(tmp_path / "run", log=log).trained_on["val_score"] == val_score(job.model, job.val) == found.score


def test_the_test_videos_are_never_looked_at(world, monkeypatch):
    job = job_of(world, QUICK)
    seen = []
    monkeypatch.setattr(
        "framebank.heads.training.job.choose_head_mix",
        lambda model, val, **options: seen.extend(val.video_ids) or choose_head_mix(model, val, **options),
    )
    list(job.epochs())
    job.choose_head_mix()
    assert seen
    assert all("-val-" in video_id for video_id in seen)


def test_refused_without_validation_videos(world):
    job = job_of(world, replace(QUICK, shots=2))
    with pytest.raises(DataError, match="there are no validation videos to choose head_mix on; expected a number, or"):
        job.require_head_mix_choice()
