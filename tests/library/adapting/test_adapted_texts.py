"""AdaptedTexts: an adapted text tower comes back from its weights with the embeddings that it gave in training."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
import torch.nn.functional as F

import framebank as fb
from framebank.extract.adapters.adapted import Adapted
from framebank.extract.adapters.low_rank import LowRank
from framebank.extract.adapters.methods import TowerCut, make_live
from framebank.extract.adapters.text_adapters import both_towers
from framebank.extract.adapters.text_methods import TEXT_METHODS
from framebank.extract.encoders.encoder import Encoder
from framebank.heads.classifiers.text import TextClassifier
from framebank.heads.training.recipe import Recipe
from framebank.library.adapting.adapted_texts import AdaptedTexts
from framebank.library.texts import embed_texts
from framebank.store import DataError, LabelSet
from framebank.tests.worlds.trunk import LABELS, TrunkWorld, noted_at_the_end, write_trunk_world

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore:the demo model knows only", "ignore:.*learned nothing"),
]

QUICK: dict[str, Any] = {"epochs": 2, "batch_size": 6, "lr": 1e-3, "device": "cpu", "text_adapter": True}
SENTENCES = ["waving", "a person clapping"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TrunkWorld:
    return write_trunk_world(tmp_path_factory.mktemp("trunk") / "store")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    tower = {"image_size": 16, "patch_size": 8, "width": 16, "head_width": 8, "layers": 2}
    text = {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 3}
    path = tmp_path_factory.mktemp("config") / "adapted-texts.json"
    path.write_text(json.dumps({"embed_dim": 24, "vision_cfg": tower, "text_cfg": text}))
    open_clip.add_model_config(path)
    return path.stem


def encoder(model: str, pretrained: str | None) -> Encoder:
    return Encoder(model, pretrained, device="cpu", precision="fp32")


@pytest.mark.parametrize("method", TEXT_METHODS)
def test_the_weights_give_the_texts_of_the_adapted_tower(
    world: TrunkWorld, tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def note(job: Any) -> dict[str, Any]:
        return {"matrix": job.model.classifier.class_embeddings(), "prompts": job.prompts}

    alone = fb.adapt(world.store, tmp_path / "alone", method=method, **{**QUICK, "text_adapter": False, "epochs": 0})
    kept = noted_at_the_end(monkeypatch, note)
    out = str(tmp_path / "out")
    made = fb.adapt(world.store, out, method=method, **QUICK)
    assert made.text_adapter
    assert made.trained_parameters > alone.trained_parameters
    prompts = kept["prompts"]
    found = encoder("demo", out).encode_texts(prompts.texts)
    rows = F.normalize(torch.from_numpy(found), dim=-1)
    rows = rows.unflatten(0, (len(LABELS), -1)).transpose(0, 1)  # (P, C, D)
    torch.testing.assert_close(rows, kept["matrix"], rtol=0, atol=1e-5)
    assert np.abs(found - prompts.embeddings).max() > 1e-3  # and it is another tower
    if method != "ted":  # which makes one row of a clip
        better = write_trunk_world(tmp_path / "better", each=1, pretrained=out).store
        made_like = fb.prompts(prompts.labels, better, device="cpu")
        np.testing.assert_allclose(made_like.embeddings, found, rtol=0, atol=1e-5)


@pytest.mark.parametrize("method", TEXT_METHODS)
def test_a_tiny_tower_comes_back_with_its_texts(tiny: str, tmp_path: Path, method: str) -> None:
    first = encoder(tiny, "none")
    before = first.encode_texts(SENTENCES)
    live = make_live(method, TowerCut(first.trunk(2), 2, 2, 3, first.spec.dim, 4), seed=0)
    side = AdaptedTexts.of(first, method=method, blocks=2, rank=4, seed=0)
    bank = embed_texts(LabelSet(LABELS), first, templates=["{}", "the {}"], texts="names")
    texts = side.embed(bank, Recipe()).eval()
    torch.testing.assert_close(texts(torch.empty(0), torch.arange(2)), torch.from_numpy(bank.per_template()))
    pairs = side.embed(bank, Recipe(scoring="embeddings")).eval()
    torch.testing.assert_close(pairs(torch.empty(0), torch.arange(2))[0], torch.from_numpy(bank.class_embeddings()))
    torch.manual_seed(0)
    learned = [parameter for parameter in side.live.tail.parameters() if parameter.requires_grad]
    assert learned
    with torch.no_grad():
        for parameter in learned:
            parameter.add_(0.1 * torch.randn(parameter.shape))
        texts.eval()
        expected = texts(torch.empty(0), torch.arange(2))
        one = texts.sentences(torch.tensor([1, 0]), torch.tensor([0, 1]))  # "clapping", "the waving"
    torch.testing.assert_close(one, torch.stack([expected[0, 1], expected[1, 0]]), rtol=0, atol=1e-6)
    adapters = both_towers(live.merge(), side.live.merge())
    assert not any(isinstance(each, LowRank) for each in first._network.modules())
    num_frames = 3 if method == "ted" else 0
    Adapted(tiny, method, 2, first.spec.preprocessing, num_frames=num_frames).write(tmp_path, first.weights(), adapters)
    second = encoder(tiny, str(tmp_path))
    again = embed_texts(LabelSet(LABELS), second, templates=["{}", "the {}"], texts="names")
    np.testing.assert_allclose(again.per_template(), expected.numpy(), rtol=0, atol=1e-5)
    assert np.abs(second.encode_texts(SENTENCES) - before).max() > 1e-2


@pytest.mark.parametrize("loss", ["kl", "ce"])
def test_the_text_tower_learns_by_each_kind_of_loss(world: TrunkWorld, tmp_path: Path, loss: str) -> None:
    made = fb.adapt(world.store, tmp_path / "out", method="lora", loss=loss, **QUICK)
    before, after = (encoder("demo", name).encode_texts(SENTENCES) for name in (None, str(made.path)))
    assert np.abs(after - before).max() > 1e-4


def test_without_the_option_the_texts_stay(world: TrunkWorld, tmp_path: Path) -> None:
    made = fb.adapt(world.store, tmp_path / "out", method="full", **{**QUICK, "text_adapter": False})
    assert not made.text_adapter
    before, after = (encoder("demo", name).encode_texts(SENTENCES) for name in (None, str(made.path)))
    np.testing.assert_array_equal(after, before)


def test_a_classifier_scores_by_the_texts_of_the_tower(tiny: str) -> None:
    own = encoder(tiny, "none")
    bank = embed_texts(LabelSet(LABELS), own, templates=["{}"], texts="names")
    texts = AdaptedTexts.of(own, method="full", blocks=1, rank=1, seed=0).embed(bank, Recipe())
    from framebank.heads.class_texts import ClassTexts

    scorer = TextClassifier(24, 2, ClassTexts.of(bank, scoring="probabilities"), text=texts)
    scorer(torch.randn(3, 24)).sum().backward()
    assert own._network.text_projection.grad.abs().max() > 0
    with pytest.raises(ValueError, match="the sentences of 2 classes are here, not those of 3"):
        texts.require_classes(3)


def test_what_cannot_be_adapted_is_one_sentence(world: TrunkWorld, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="text_adapter is for a classifier that reads texts"):
        fb.adapt(world.store, tmp_path / "out", classifier="linear", **QUICK)
    for loss in ("kl + masked-text", "kl+masked-text", "kl + 0.5 masked-text"):
        with pytest.raises(DataError, match="the loss masked-text reads the texts before they are adapted"):
            fb.adapt(world.store, tmp_path / "out", loss=loss, **QUICK)
    assert not (tmp_path / "out").exists()
