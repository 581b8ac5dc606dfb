"""A bank as a model of mteb: its protocol, and real tasks of the package where it is installed."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebank as fb
from framebank.library.exchange.mteb_model import MtebModel
from framebank.store import DataError, FeatureStore

# mteb 2.26, mteb.models.EncoderProtocol: what it calls, by keyword but for the first argument
CALLS = {
    "encode": ("inputs", "task_metadata", "hf_split", "hf_subset", "prompt_type", "kwargs"),
    "similarity": ("embeddings1", "embeddings2"),
    "similarity_pairwise": ("embeddings1", "embeddings2"),
}
TASK: dict[str, Any] = {"task_metadata": None, "hf_split": "test", "hf_subset": "default"}


def test_it_has_the_calls_of_the_protocol() -> None:
    for name, wanted in CALLS.items():
        assert tuple(inspect.signature(getattr(MtebModel, name)).parameters)[1:] == wanted
    assert isinstance(inspect.getattr_static(MtebModel, "mteb_model_meta"), property)


@pytest.mark.slow
def test_videos_are_the_means_of_their_rows_and_texts_those_of_the_tower(bank: FeatureStore) -> None:
    model = fb.mteb_model(bank)
    videos = bank.manifest.split("test").videos[:3]
    made = model.encode([{"video": [video.path for video in videos]}], **TASK)
    assert made.shape == (3, bank.spec.dim) and made.dtype == np.float32
    rows = [bank[video.video_id].data.astype(np.float32) for video in videos]
    means = np.stack([(one / np.linalg.norm(one, axis=1, keepdims=True)).mean(0) for one in rows])
    np.testing.assert_allclose(made, means / np.linalg.norm(means, axis=1, keepdims=True), atol=1e-6)
    texts = model.encode([{"text": ["a person waving"]}, {"text": ["a person jumping"]}], **TASK)
    words = fb.prompts(["waving", "jumping"], bank, templates=["a person {}"]).class_embeddings()
    np.testing.assert_allclose(texts, np.asarray(words), atol=1e-5)
    both = model.encode([{"video": [videos[0].path], "text": ["a person waving"]}], **TASK)
    np.testing.assert_allclose(both[0] * np.linalg.norm(made[0] + texts[0]), made[0] + texts[0], atol=1e-5)
    with pytest.raises(DataError, match="a batch holds 'audio'; expected video or text"):
        model.encode([{"audio": [0]}], **TASK)


@pytest.mark.slow
def test_mteb_evaluates_it(bank: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Zero-shot and MVEB's classification by mteb itself, which opens the videos as the package datasets does."""
    monkeypatch.setenv("MTEB_CACHE", str(tmp_path / "mteb"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    mteb = pytest.importorskip("mteb", reason="mteb is not installed (pip install framebank[mteb])")
    model = fb.mteb_model(bank)
    assert isinstance(model, mteb.models.EncoderProtocol)
    meta = model.mteb_model_meta
    assert meta.name == "framebank/demo-demo" and set(meta.modalities) == {"video", "text"}
    zero_shot, classification = _tasks(bank)
    scores = mteb.evaluate(model, [zero_shot, classification], cache=None, encode_kwargs={"batch_size": 8})
    first, second = (one.scores["test"][0] for one in scores.task_results)
    own = fb.zeroshot(bank, split="test", templates=["a video of {}"], scoring="embeddings")
    assert first["accuracy"] == pytest.approx(own.top1)
    assert 1.5 / len(bank.manifest.labels) < second["accuracy"] <= 1  # above chance


def _tasks(bank: FeatureStore) -> tuple[Any, Any]:
    from datasets import Dataset, DatasetDict, Video
    from mteb.abstasks.classification import AbsTaskClassification
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.abstasks.zeroshot_classification import AbsTaskZeroShotClassification

    names = list(bank.manifest.labels)

    def told(name: str, kind: str, modalities: list[str]) -> Any:
        return TaskMetadata(
            name=name,
            description="clips of the demo",
            reference=None,
            dataset={"path": "none", "revision": "none"},
            type=kind,
            category="v2t" if "text" in modalities else "v2c",
            modalities=modalities,
            eval_splits=["test"],
            eval_langs=["eng-Latn"],
            main_score="accuracy",
        )

    def load() -> Any:
        def part(split: str) -> Any:
            videos = bank.manifest.split(split).videos
            label = [names.index(video.label) for video in videos]
            return Dataset.from_dict({"video": [str(video.path) for video in videos], "label": label})

        made = DatasetDict({split: part(split) for split in ("train", "test")})
        return made.cast_column("video", Video())

    class ZeroShot(AbsTaskZeroShotClassification):  # type: ignore[misc]
        metadata = told("DemoZeroShot", "VideoZeroshotClassification", ["video", "text"])
        input_column_name = "video"

        def load_data(self, **kwargs: Any) -> None:
            self.dataset, self.data_loaded = load(), True

        def get_candidate_labels(self) -> list[str]:
            return [f"a video of {name}" for name in names]

    class Classification(AbsTaskClassification):  # type: ignore[misc]
        metadata = told("DemoClassification", "VideoClassification", ["video"])
        input_column_name = "video"
        samples_per_label = 3

        def load_data(self, **kwargs: Any) -> None:
            self.dataset, self.data_loaded = load(), True

    return ZeroShot(), Classification()
