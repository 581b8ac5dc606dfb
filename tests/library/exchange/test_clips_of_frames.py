"""A store of frames gives the clips of the PE-Video whose picture tower made it, as decoding its videos again would."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch

from framebank.extract.encoders.makers.made import RowSide
from framebank.library.exchange import clips_of_frames as clips_module
from framebank.library.exchange.clips_of_frames import _clips, clips_of_frames
from framebank.store import DataError, FeatureStore, Manifest
from framebank.store.shard import Embeddings
from framebank.tests.worlds.tiny_models import save_model, save_tokenizer

pytest.importorskip("transformers")
pytestmark = pytest.mark.usefixtures("one_thread")

TOWER = "video_encoder.embedder.vision_model.timm_model."
TINY = {"embed_dim": 24, "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}}
FRAMES = {"timm_model_name": "test_vit", "timm_pool": "map", "timm_proj": "", "image_size": 160}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Any]:
    """A tiny PE-Video, a checkpoint of open_clip with its picture tower, and that model of open_clip."""
    folder = tmp_path_factory.mktemp("models")
    video = save_model("pe-video", folder / "video")
    save_tokenizer(folder / "video")
    (folder / "tiny-frames.json").write_text(json.dumps({**TINY, "vision_cfg": FRAMES}))
    open_clip.add_model_config(folder / "tiny-frames.json")
    frames = open_clip.create_model("tiny-frames")
    tower = {name.removeprefix(TOWER): value for name, value in video.state_dict().items() if name.startswith(TOWER)}
    frames.visual.trunk.load_state_dict(tower)
    torch.save(frames.state_dict(), folder / "frames.pt")
    told = {"size": {"height": 160, "width": 160}, "resample": 3}  # as open_clip prepares frames for that model
    told |= {"image_mean": open_clip.OPENAI_DATASET_MEAN, "image_std": open_clip.OPENAI_DATASET_STD}
    told["size"] = {"shortest_edge": 160}
    (folder / "video" / "preprocessor_config.json").write_text(json.dumps(told))
    return folder / "video", folder / "frames.pt", frames


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory, clips: Path, models: Any, framebank: Any) -> Path:
    """A few videos, embedded frame by frame."""
    folder = tmp_path_factory.mktemp("banks")
    Manifest(Manifest.read([clips / "manifest.csv"]).videos[:4]).write(folder / "few.csv")
    arguments = ("--model", "tiny-frames", "--pretrained", models[1], "--frames", 32, "--view", "centre+flip")
    framebank("extract", folder / "few.csv", folder / "bank", *arguments, "--precision", "fp32", "--device", "cpu")
    return folder / "bank"


def test_its_rows_are_those_of_an_extraction(bank: Path, models: Any, framebank: Any, tmp_path: Path) -> None:
    video = f"hf:{models[0]}"
    told = json.loads(framebank("store", "import", bank, tmp_path / "clips", "--clips-by", video, "--json").stdout)
    assert (told["imported"], told["failed"], told["rows"]) == (4, 0, 4 * 2 * 2)  # views, windows of 16 frames
    arguments = ("--model", video, "--frames", 32, "--view", "centre+flip", "--precision", "fp32", "--device", "cpu")
    framebank("extract", bank.parent / "few.csv", tmp_path / "decoded", *arguments)
    made, decoded = FeatureStore(tmp_path / "clips"), FeatureStore(tmp_path / "decoded")
    assert made.spec == decoded.spec
    assert sorted(made.ids) == sorted(decoded.ids)
    for name in decoded.ids:
        own, other = made[name], decoded[name]
        for place in ("timestamps", "indices", "views", "clips", "windows"):
            np.testing.assert_array_equal(getattr(own, place), getattr(other, place), err_msg=place)
        np.testing.assert_allclose(own.data, other.data, atol=0.02 * np.abs(other.data).max())  # frames in 16 bits
    again = framebank("store", "import", bank, tmp_path / "clips", "--clips-by", video).stdout
    assert "4 already there" in again
    framebank("extract", bank.parent / "few.csv", tmp_path / "clips", *arguments)  # one may go on with the other
    framebank("zeroshot", tmp_path / "clips", "--split", "all")  # by the texts of the video model


def test_another_tower_is_refused(bank: Path, models: Any, store: Path, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"embedded by demo.*not the picture tower of hf:.* of its \d+ weights are others"
    ):
        clips_of_frames(store, f"hf:{models[0]}", device="cpu")
    weights = torch.load(models[1], weights_only=True)
    weights["visual.trunk.norm.weight"] += 0.1
    other = tmp_path / "bank"
    torch.save(weights, tmp_path / "frames.pt")
    moved = FeatureStore(bank).spec
    assert replace(moved, pretrained="x") != moved
    from framebank.extract.encoders.encoder import Encoder
    from framebank.library.exchange.clips_of_frames import _require_same_tower

    encoder = Encoder("tiny-frames", str(tmp_path / "frames.pt"), device="cpu", precision="fp32")
    side = Encoder(f"hf:{models[0]}", device="cpu", precision="fp32").rows
    with pytest.raises(DataError, match=r"1 of its \d+ weights are others, such as norm.weight"):
        _require_same_tower(side.tower(), encoder.spec, model="hf:video", where=other)


def test_frames_that_were_prepared_otherwise_are_refused(bank: Path, models: Any) -> None:
    path = models[0] / "preprocessor_config.json"
    before = path.read_text()
    path.write_text(json.dumps({**json.loads(before), "resample": 2}))
    try:
        with pytest.raises(DataError, match=r"the interpolation of its frames is bicubic; hf:.* takes bilinear"):
            clips_of_frames(bank, f"hf:{models[0]}", device="cpu")
    finally:
        path.write_text(before)


def test_other_models_have_no_such_side(bank: Path, tmp_path: Path, framebank: Any) -> None:
    save_model("videomae", tmp_path / "mae")
    with pytest.raises(DataError, match=r"does not embed frames one by one; expected .* PE-Video"):
        clips_of_frames(bank, f"hf:{tmp_path / 'mae'}", device="cpu")
    with pytest.raises(DataError, match=r"ViT-B-32 does not embed frames one by one; expected .* hf:FOLDER"):
        clips_of_frames(bank, "ViT-B-32", device="cpu")
    told = framebank("store", "import", bank, tmp_path / "c", "--clips-by", "hf:x/y", "--array", "a", exit_code=2)
    assert "--clips-by reads a store" in told.stderr
    assert not (tmp_path / "c").exists()


def test_too_few_frames_are_told_for_each_video(
    store: Path, clips: Path, models: Any, framebank: Any, tmp_path: Path
) -> None:
    Manifest(Manifest.read([clips / "manifest.csv"]).videos[:1]).write(tmp_path / "one.csv")
    arguments = ("--model", "tiny-frames", "--pretrained", models[1], "--frames", 8, "--precision", "fp32")
    framebank("extract", tmp_path / "one.csv", tmp_path / "short", *arguments, "--device", "cpu")
    call = ("store", "import", tmp_path / "short", tmp_path / "out", "--clips-by", f"hf:{models[0]}")
    assert "has 8 of the 16 frames that one clip" in framebank(*call, exit_code=1).stderr


def test_a_short_video_whose_frames_are_repeated_is_refused_as_an_extraction_refuses_it() -> None:
    """A store of 32 frames has rows of a video of 10 frames too, each several times."""

    def rows_of(distinct: int) -> Embeddings:
        data = np.arange(32, dtype=np.float16)[:, None]
        indices = np.arange(32) * distinct // 32
        return Embeddings(data, timestamps=indices / 2, indices=indices)

    side = RowSide(lambda rows: rows.mean(1), dict)
    given: dict[str, Any] = {"size": 16, "device": torch.device("cpu")}
    for count in (2, 15):
        with pytest.raises(DataError, match=f"has {count} of the 16 frames that one clip of the encoder needs"):
            _clips(rows_of(count), side, **given)
    for count in (1, 16):  # a picture is shown again and again
        assert _clips(rows_of(count), side, **given).values.tolist() == [[7.5], [23.5]]


def test_a_long_video_is_embedded_a_part_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clips_module, "CLIPS", 3)
    rows = np.random.default_rng(0).normal(size=(4 * 7, 2)).astype(np.float16)
    seen: list[int] = []

    def embed(clips: torch.Tensor) -> torch.Tensor:
        seen.append(len(clips))
        return clips.mean(1)

    bank = Embeddings(rows, timestamps=np.arange(28.0), indices=np.arange(28))
    found = _clips(bank, RowSide(embed, dict), size=4, device=torch.device("cpu"))
    assert seen == [3, 3, 1]
    np.testing.assert_allclose(found.values, rows.astype(np.float32).reshape(7, 4, 2).mean(1), rtol=1e-5)
