"""Adapt: training on kept tokens is training the encoder, and its weights give the embeddings that it gave."""

import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from torch import Tensor, nn

import framebank as fb
from framebank.extract.adapters.adapted import ADAPTERS, WEIGHTS, Adapted
from framebank.extract.adapters.methods import METHODS, TowerCut, make_live
from framebank.extract.encoders.encoder import Encoder, normalise
from framebank.heads.bank import Bank
from framebank.heads.class_texts import ClassTexts
from framebank.heads.classifiers.text import TextClassifier
from framebank.heads.model import Model
from framebank.heads.temporal.mean import Mean
from framebank.heads.training.loop import fit
from framebank.heads.training.recipe import Recipe
from framebank.library.verification import verify_path
from framebank.store import DataError
from framebank.tests.places import TESTS
from framebank.tests.worlds.trunk import LABELS, NUM_FRAMES, TrunkWorld, noted_at_the_end, write_trunk_world

pytestmark = pytest.mark.usefixtures("one_thread")

QUICK: dict[str, Any] = {"epochs": 2, "batch_size": 6, "lr": 1e-3, "device": "cpu"}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> TrunkWorld:
    return write_trunk_world(tmp_path_factory.mktemp("trunk") / "store")


def encoder(pretrained: str | None = None) -> Encoder:
    return Encoder("demo", pretrained, device="cpu", precision="fp32")


class Whole(nn.Module):
    """The whole image tower on pixels (B, T, S, S, 3), which rounds what enters the last two blocks as a store does."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.visual = encoder._network.visual
        self._preprocessing = encoder.preprocessing
        encoder.trunk(2).blocks[-2].register_forward_pre_hook(lambda _, given: (given[0].half().float(),))
        self.train(False)

    def train(self, mode: bool = True) -> "Whole":
        super().train(False)
        return self

    def forward(self, pixels: Tensor) -> Tensor:
        images = normalise(pixels.flatten(0, 1), mean=self._preprocessing.mean, std=self._preprocessing.std)
        embeddings: Tensor = self.visual(images).unflatten(0, pixels.shape[:2])
        return embeddings


def losses(live: nn.Module, bank: Bank, *, dim: int) -> list[float]:
    """The losses of 20 steps of ActionCLIP's objective, each on the whole bank."""
    torch.manual_seed(0)
    texts = ClassTexts.of_matrix(torch.randn(len(LABELS), dim), logit_scale=20.0)
    model = Model(Mean(dim), TextClassifier(dim, len(LABELS), texts), live=live)
    recipe = Recipe(head="mean", loss="kl", epochs=20, batch_size=len(bank), lr=1e-3)
    return [epoch.loss for epoch in fit(model, recipe, bank, val=None, texts=texts, device=torch.device("cpu"))]


@pytest.fixture(scope="module")
def tiny_vit(tmp_path_factory: pytest.TempPathFactory) -> str:
    tower = {"image_size": 32, "patch_size": 8, "width": 32, "head_width": 16, "layers": 3}
    text = {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    path = tmp_path_factory.mktemp("config") / "adapted-vit.json"
    path.write_text(json.dumps({"embed_dim": 24, "vision_cfg": tower, "text_cfg": text}))
    open_clip.add_model_config(path)
    return path.stem


@pytest.mark.parametrize("model", ["demo", "tiny_vit"])
def test_training_on_tokens_is_training_on_pixels(model: str, request: pytest.FixtureRequest) -> None:
    how = (model, None) if model == "demo" else (request.getfixturevalue(model), "none")
    first, second = (Encoder(*how, device="cpu", precision="fp32", streams="frame,trunk:2") for _ in range(2))
    target = torch.arange(8) % len(LABELS)
    pixels = torch.randint(0, 200, (8, 3, *first.preprocessing.size, 3), generator=torch.Generator().manual_seed(0))
    pixels[target == 1, ..., 0] += 55
    pixels = pixels.to(torch.uint8)
    tokens = torch.from_numpy(first.encode_frames(pixels.flatten(0, 1))["trunk"]).half().unflatten(0, (8, 3))
    bank = Bank(tuple("abcdefgh"), tokens, torch.ones(8, 3, dtype=torch.bool), target, 8, num_classes=len(LABELS))
    dim = first.spec.dim
    cached, _ = (make_live("full", TowerCut(each.trunk(2), 2, 2, 3, dim, 8), seed=0) for each in (first, second))
    on_tokens = losses(cached.tail, bank, dim=dim)
    on_pixels = losses(Whole(second), replace(bank, x=pixels), dim=dim)  # the same parameters of it learn
    assert on_tokens[0] - on_tokens[-1] > 0.05  # something was learned
    np.testing.assert_allclose(on_tokens, on_pixels, rtol=0, atol=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_the_weights_give_the_embeddings_and_scores_of_the_adapted_encoder(
    world: TrunkWorld, tmp_path: Path, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def note(job: Any) -> dict[str, Any]:
        scores = job.model(job.train.x, job.train.mask).softmax(1)
        return {"model": job.model, "bank": job.train, "rows": job.model.live(job.train.x), "scores": scores}

    kept = noted_at_the_end(monkeypatch, note)
    made = fb.adapt(world.store, tmp_path / "out", method=method, **QUICK)
    assert made.weights == tmp_path / "out" / WEIGHTS
    assert (made.blocks, made.val_videos, made.epochs) == (2, 4, 2)
    assert made.val_score is not None
    order = [world.store.manifest.ids.index(name) for name in kept["bank"].video_ids]
    pixels = world.pixels[order]
    adapted, before = encoder(str(tmp_path / "out")), encoder()
    assert adapted.spec.weights_hash != before.spec.weights_hash
    if method == "ted":  # a clip becomes the mean of its frames
        assert adapted.clip_frames == made.num_frames == NUM_FRAMES
        found = torch.from_numpy(adapted.encode_frames(pixels)["frame"])[:, None]
        expected = kept["rows"].mean(1, keepdim=True)
    else:
        assert (adapted.clip_frames, made.num_frames) == (1, 0)
        found = torch.from_numpy(adapted.encode_frames(pixels.reshape(-1, *pixels.shape[2:]))["frame"])
        found, expected = found.unflatten(0, pixels.shape[:2]), kept["rows"]
    unit, wanted = (nn.functional.normalize(rows, dim=-1) for rows in (found, expected))
    torch.testing.assert_close(unit, wanted, rtol=0, atol=1e-3)
    model = kept["model"]
    model.live = None
    with torch.no_grad():
        scores = model(found, torch.ones(found.shape[:2], dtype=torch.bool)).softmax(1)
    torch.testing.assert_close(scores, kept["scores"], rtol=0, atol=1e-3)
    old = before.encode_frames(pixels[:, 0])["frame"]
    assert np.abs(old - kept["rows"][:, 0].numpy()).max() > 1e-3  # and it is another encoder
    assert adapted.logit_scale == pytest.approx(model.classifier.logit_scale.item(), rel=1e-5)


def test_adapters_of_a_vision_transformer_come_back_with_its_weights(tiny_vit: str, tmp_path: Path) -> None:
    first = Encoder(tiny_vit, "none", device="cpu", precision="fp32", streams="frame,trunk:2")
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, *first.preprocessing.size, 3), dtype=np.uint8)
    tokens = torch.from_numpy(first.encode_frames(pixels.reshape(-1, *pixels.shape[2:]))["trunk"]).unflatten(0, (2, 3))
    weights = {name: tensor.clone() for name, tensor in first.weights().items()}
    live = make_live("ted", TowerCut(first.trunk(2), 2, 2, 3, first.spec.dim, 8), seed=0)
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in live.tail.parameters():
            if parameter.requires_grad:
                parameter.normal_(std=0.1)
        expected = live.tail(tokens).mean(1)
    Adapted(tiny_vit, "ted", 2, first.spec.preprocessing, num_frames=3).write(tmp_path, weights, live.merge())
    assert all(torch.equal(weights[name], tensor) for name, tensor in first.weights().items())  # the tower is its own
    second = Encoder(tiny_vit, str(tmp_path), device="cpu", precision="fp32")
    assert second.clip_frames == 3
    torch.testing.assert_close(torch.from_numpy(second.encode_frames(pixels)["frame"]), expected, rtol=0, atol=1e-5)


def test_weights_bring_their_preprocessing_and_their_model(tiny_vit: str, tmp_path: Path) -> None:
    first = Encoder(tiny_vit, "none", device="cpu", precision="fp32")
    own = {**json.loads(first.spec.preprocessing), "mean": [0.5] * 3, "std": [0.5] * 3, "resize_mode": "squash"}
    Adapted(tiny_vit, "full", 2, json.dumps(own, sort_keys=True)).write(tmp_path, first.weights(), None)
    second = Encoder(tiny_vit, str(tmp_path), device="cpu", precision="fp32")
    assert json.loads(second.spec.preprocessing) == own != json.loads(first.spec.preprocessing)
    assert (second.preprocessing.mean, second.preprocessing.resize_mode) == ((0.5,) * 3, "squash")
    with pytest.raises(DataError, match=f"was adapted from {tiny_vit}, not from demo; use {tiny_vit}"):
        encoder(str(tmp_path))


def test_fewer_blocks_learn_than_are_kept(world: TrunkWorld, tmp_path: Path) -> None:
    made = fb.adapt(world.store, tmp_path / "out", blocks=1, **{**QUICK, "epochs": 1})
    before, after = (encoder(name)._network.visual.state_dict() for name in (None, str(made.path)))
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"layer4", "attnpool"}


def test_adapters_are_refused_where_frames_stand_alone(world: TrunkWorld, tmp_path: Path) -> None:
    made = fb.adapt(world.store, tmp_path / "out", method="ted", **{**QUICK, "epochs": 1})
    with pytest.raises(DataError, match="demo has no stream trunk: its adapters read neighbouring frames"):
        Encoder("demo", str(made.path), device="cpu", streams="frame,trunk:1")
    with pytest.raises(DataError, match="demo has no stream layers: its adapters read neighbouring frames"):
        Encoder("demo", str(made.path), device="cpu", streams="frame,layers:1")
    with pytest.raises(DataError, match="reads clips of 4 frames, and 6 frames of a video are asked for"):
        fb.extract(__file__, tmp_path / "store", model="demo", pretrained=str(made.path), frames=6)
    (made.path / ADAPTERS).unlink()
    with pytest.raises(DataError, match=r"ted.safetensors: is missing; expected the adapters"):
        encoder(str(made.path))


def test_what_cannot_be_adapted_is_one_sentence(world: TrunkWorld, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has no stream trunk.*expected a store extracted with"):
        fb.adapt(TESTS / "made_by" / "0.1.0" / "store", tmp_path / "out")
    with pytest.raises(DataError, match="blocks is 3; expected 1 to 2"):
        fb.adapt(world.store, tmp_path / "out", blocks=3)
    with pytest.raises(DataError, match="head is 'lstm'; expected mean, because ted"):
        fb.adapt(world.store, tmp_path / "out", method="ted", head="lstm")
    with pytest.raises(DataError, match="method is 'adapters'; expected full or lora or ted"):
        fb.adapt(world.store, tmp_path / "out", method="adapters")
    with pytest.raises(DataError, match="which no head reads; expected another stream, or framebank adapt"):
        fb.train(world.store, tmp_path / "out", head="mean", classifier="linear", settings={"stream": "trunk"})
    assert not (tmp_path / "out").exists()
    fb.adapt(world.store, tmp_path / "out", classifier="linear", **{**QUICK, "epochs": 1})
    with pytest.raises(DataError, match="already holds an encoder"):
        fb.adapt(world.store, tmp_path / "out", **QUICK)


def test_the_weights_that_made_the_store_are_not_written_over(world: TrunkWorld, tmp_path: Path) -> None:
    made = fb.adapt(world.store, tmp_path / "out", classifier="linear", **{**QUICK, "epochs": 0})
    again = write_trunk_world(tmp_path / "store", pretrained=str(made.path)).store
    before = made.weights.read_bytes()
    assert again.spec.encoder.startswith(f"demo with {made.weights} (")
    (tmp_path / "link").symlink_to(made.path)
    for place in (made.path, tmp_path / "link"):
        with pytest.raises(DataError, match=r"holds the weights that made .*; expected another folder"):
            fb.adapt(again, place, classifier="linear", overwrite=True, **{**QUICK, "epochs": 0})
    assert made.weights.read_bytes() == before
    fb.adapt(world.store, made.path, classifier="linear", overwrite=True, **{**QUICK, "epochs": 0})


def test_a_flipped_bit_is_found(world: TrunkWorld, tmp_path: Path) -> None:
    made = fb.adapt(world.store, tmp_path / "out", method="ted", classifier="linear", **{**QUICK, "epochs": 0})
    found = verify_path(made.path)
    assert (found.kind, found.faults) == ("adapted encoder", [])
    assert found.checked == [WEIGHTS, ADAPTERS, "their digests", "adapted.json"]
    for name in (ADAPTERS, WEIGHTS):
        whole = (made.path / name).read_bytes()
        (made.path / name).write_bytes(whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:])
        assert [fault.what for fault in verify_path(made.path).faults] == [
            f"{made.path / name}: is not as it was written; bring it back from a copy, or adapt again"
        ]
        (made.path / name).write_bytes(whole)


def test_weights_of_a_later_version_are_refused(world: TrunkWorld, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    made = fb.adapt(world.store, tmp_path / "out", classifier="linear", **{**QUICK, "epochs": 0})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save_file(load_file(made.weights), made.weights, metadata={"framebank-adapted": '{"format": 2}'})
    with pytest.raises(DataError, match="written in the format 2, this framebank reads 1"):
        encoder(str(made.path))
