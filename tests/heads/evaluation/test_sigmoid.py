"""Zero-shot with an encoder that was trained with a sigmoid: its bias is kept, and a score is its own probability."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from framebank.heads.class_texts import ClassTexts
from framebank.heads.evaluation.zeroshot import zero_shot_model
from framebank.heads.labelling.labellers import ModelLabeller
from framebank.heads.training.build import COSINE_THRESHOLD, build_model
from framebank.heads.training.recipe import Recipe
from framebank.store import DataError, Embeddings, LabelSet, PromptBank, Video
from framebank.store.formats.sealed import write_datasets
from framebank.store.memory import MemoryStore
from framebank.store.vectors import unit
from framebank.tests.worlds.store import DIM, SPEC

SCALE, BIAS = 100.0, -12.5


def prompts_of(bias: float | None, *, templates: int = 2) -> PromptBank:
    names = ("waving", "jumping", "bowing")
    rows = np.random.default_rng(4).normal(size=(len(names) * templates, DIM)).astype(np.float32)
    return PromptBank(
        labels=LabelSet(names),
        texts=tuple(f"{name} {place}" for name in names for place in range(templates)),
        embeddings=rows,
        template=np.tile(np.arange(templates), len(names)),
        end=templates * np.arange(1, len(names) + 1),
        templates=tuple("{}" for _ in range(templates)),
        kind="names",
        encoder=SPEC,
        logit_scale=SCALE,
        logit_bias=bias,
    )


def logits_of(frame: np.ndarray, prompts: PromptBank) -> np.ndarray:
    """SigLIP's formula by hand: scale * cosine + bias, the mean over templates."""
    cosines = unit(frame[None])[0] @ prompts.per_template().transpose(0, 2, 1)  # (P, C)
    return (SCALE * cosines + BIAS).mean(0)


def test_a_score_is_the_probability_that_the_text_fits() -> None:
    frame = np.random.default_rng(5).normal(size=DIM).astype(np.float32)
    prompts = prompts_of(BIAS)
    model = zero_shot_model(prompts, scoring="probabilities")
    found = model(torch.from_numpy(frame)[None, None], torch.ones(1, 1, dtype=torch.bool))[0]
    np.testing.assert_allclose(found.detach().numpy(), logits_of(frame, prompts), rtol=1e-4)
    store = MemoryStore(Path("videos"), SPEC, {"a": Embeddings(frame[None], np.zeros(1), np.zeros(1, dtype=np.int64))})
    labeller = ModelLabeller.of_texts(prompts, where="the texts", top=3, device=torch.device("cpu"))
    (answer,) = labeller.answers([Video("a", Path("/a.mp4"))], store)[0]
    expected = 1 / (1 + np.exp(-logits_of(unit(frame[None])[0], prompts)))
    assert [score for _, score in answer.ranked] == pytest.approx(sorted(expected, reverse=True), rel=1e-2)
    softmax = ModelLabeller.of_texts(prompts_of(None), where="the texts", top=3, device=torch.device("cpu"))
    (answer,) = softmax.answers([Video("a", Path("/a.mp4"))], store)[0]
    assert sum(score for _, score in answer.ranked) == pytest.approx(1)


def test_labels_judged_one_by_one_start_at_the_encoder_s_threshold() -> None:
    recipe = Recipe(head="mean", classifier="text", loss="bce")
    for bias, threshold in ((BIAS, 0.125), (None, COSINE_THRESHOLD)):
        texts = ClassTexts.of(prompts_of(bias), scoring="embeddings")
        model = build_model(recipe, dim=DIM, num_classes=3, texts=texts)
        assert float(model.classifier.threshold.detach()) == pytest.approx(threshold)
    without_bias = zero_shot_model(prompts_of(0.0), scoring="probabilities")
    assert float(without_bias.classifier.threshold.detach()) == pytest.approx(0, abs=1e-6)


def test_the_bias_is_kept_with_the_prompts(tmp_path: Path) -> None:
    for name, bias in (("siglip", BIAS), ("clip", None)):
        prompts_of(bias).write(tmp_path / name)
        read = PromptBank.read(tmp_path / name)
        assert read.logit_bias == bias
        assert read.select(("bowing",)).logit_bias == bias
    kept = prompts_of(BIAS)
    assert replace(kept, logit_bias=None).logit_bias is None
    strange = {"kind": "names", "logit_scale": 1.0, "logit_bias": "much", "encoder": "{}"}
    datasets = {
        "label": ["a"], "text": ["a"], "embeddings": np.ones((1, DIM), dtype=np.float32), "templates": ["{}"],
        "template": np.zeros(1, dtype=np.int64), "end": np.ones(1, dtype=np.int64),
    }  # fmt: skip
    write_datasets(tmp_path / "odd", datasets, strange)
    with pytest.raises(DataError, match="its logit_bias is 'much'"):
        PromptBank.read(tmp_path / "odd")
