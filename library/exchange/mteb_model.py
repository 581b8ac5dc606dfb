"""MTEB: a bank as a model of the package mteb, whose benchmark of videos is MVEB."""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from framebank.library.checks import typed
from framebank.library.exchange.given_videos import GivenVideos
from framebank.library.reporting.rows import pooled_videos
from framebank.library.stores import open_store
from framebank.store.errors import DataError
from framebank.store.lazy import require
from framebank.store.vectors import unit

if TYPE_CHECKING:
    from framebank.extract.encoders.encoder import Encoder
    from framebank.store import FeatureStore

MODALITIES = ("video", "text")


class MtebModel:
    """A bank that answers as an encoder of mteb (`mteb.models.EncoderProtocol`).

    A video is the mean of its rows as unit vectors, which are read and not decoded; a text is embedded by the text
    tower of the encoder that made the bank. Where an input has both, it is their sum.
    """

    def __init__(self, store: "FeatureStore", *, name: str, device: str = "auto") -> None:
        self._store = store
        self._name = name
        self._device = device
        self._given = GivenVideos(store)

    @property
    def mteb_model_meta(self) -> Any:
        """What mteb writes beside the scores: an `mteb.models.ModelMeta`. Its revision is that of the bank's spec."""
        meta = require("mteb.models", extra="mteb", what="mteb_model").ModelMeta
        spec = self._store.spec
        return meta(
            loader=None,
            name=self._name,
            revision=_revision(self._store),
            release_date=None,
            languages=None,
            n_parameters=None,
            memory_usage_mb=None,
            max_tokens=None,
            embed_dim=spec.dim,
            license=None,
            open_weights=None,
            public_training_code=None,
            public_training_data=None,
            framework=["PyTorch"],
            similarity_fn_name="cosine",
            use_instructions=False,
            training_datasets=None,
            modalities=list(MODALITIES),
        )

    def encode(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: Any = None,
        **kwargs: Any,
    ) -> np.ndarray:
        """Return a unit vector of each input, (N, D) float32, for batches with `video`, `text`, or both.

        DataError if a video is not in the bank, or if a batch has neither.
        """
        return np.concatenate([self._encode(batch) for batch in inputs])

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Return the cosine of each of the first with each of the second, (N, M)."""
        return _similarities().cos_sim(embeddings1, embeddings2)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Return the cosine of each of the first with the one at its place, (N,)."""
        return _similarities().pairwise_cos_sim(embeddings1, embeddings2)

    def __repr__(self) -> str:
        return f"MtebModel({self._name!r}, {len(self._store)} videos)"

    @cached_property
    def _encoder(self) -> "Encoder":
        from framebank.extract.encoders.encoder import encoder_like

        return encoder_like(self._store.spec, device=self._device)

    def _encode(self, batch: Mapping[str, Any]) -> np.ndarray:
        parts = []
        if "video" in batch:
            parts.append(self._videos(self._given.ids_of(batch)))
        if "text" in batch:
            parts.append(unit(self._encoder.encode_texts(list(batch["text"]))))
        if not parts:
            held = ", ".join(map(repr, batch)) or "nothing"
            raise DataError(f"{self._store.path}: a batch holds {held}; expected {' or '.join(MODALITIES)}")
        return unit(np.sum(parts, axis=0))

    def _videos(self, ids: list[str]) -> np.ndarray:
        pooled = pooled_videos(self._store, ids)
        if len(pooled.places) < len(ids):
            lost = sorted(set(range(len(ids))) - set(pooled.places.tolist()))[0]
            raise DataError(f"{self._store.path}: no row of {ids[lost]!r} has a direction; extract it again")
        return pooled.vectors


@typed
def mteb_model(bank: "FeatureStore | str | Path", *, name: str | None = None, device: str = "auto") -> MtebModel:
    """Return a bank as a model that the package mteb evaluates (`pip install framebank[mteb]`).

    Nothing is decoded: each video of a task is looked for in the bank, by a column `video_id`, by the path, by the
    content or by the name of its file, and last by a column `id`. `name` is what mteb calls the model; without it, that
    of the bank's encoder. `device` is that of the text tower, which is loaded at the first text. DataError in `encode`
    for a video that the bank does not have.

    >>> import framebank as fb, mteb
    >>> task = mteb.get_task("UCF101VideoZeroShotClassification")                             # doctest: +SKIP
    >>> mteb.evaluate(fb.mteb_model("bank"), task)                                            # doctest: +SKIP
    """
    store = open_store(bank)
    spec = store.spec
    weights = Path(spec.pretrained).parts[-2:] if Path(spec.pretrained).is_absolute() else (spec.pretrained,)
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(filter(None, (spec.model, *weights)))).strip("-")
    return MtebModel(store, name=name or f"framebank/{plain}", device=device)


def _revision(store: "FeatureStore") -> str:
    """A hash of the encoder and of how the bank was made: mteb keeps scores by name and revision."""
    words = json.dumps(store.spec.to_dict(), sort_keys=True, default=str)
    return hashlib.blake2b(words.encode(), digest_size=6).hexdigest()


def _similarities() -> Any:
    return require("mteb.similarity_functions", extra="mteb", what="mteb_model")
