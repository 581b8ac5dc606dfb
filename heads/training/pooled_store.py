"""PooledStore: a store as the mean of the frames sees it, one row for each view and clip of a video."""

from collections.abc import Sequence

import numpy as np
import torch

from framebank.heads.bank import BankParts
from framebank.heads.model import Model
from framebank.heads.predictions import pool_bank
from framebank.heads.temporal.mean import Mean
from framebank.heads.training.recipe import Recipe
from framebank.store.features import FeatureStore
from framebank.store.videos.manifest import Manifest


class PooledStore(FeatureStore):
    """A store in which each view and clip of a video is one row: the mean of its frames as a recipe reads them, (D,).

    A row is float32, is made when it is first read, and is kept. So several trainings that read the mean alone read the
    frames once. All else, such as path, list of videos and spec, is that of the store.
    """

    def __init__(self, store: FeatureStore, recipe: Recipe, *, device: torch.device) -> None:
        _ = store.manifest.videos  # made once, as the rows are
        self.__dict__ |= store.__dict__
        self._store = store
        self._recipe = recipe
        self._device = device
        self._pooled: dict[str, np.ndarray] = {}  # (G, D) by video_id

    def num_rows_of(self, video_ids: Sequence[str]) -> np.ndarray:
        """Return how many rows each of these videos has, one for each view and clip: (V,)."""
        return np.array([self._store[video_id].num_groups for video_id in video_ids[:1]]).repeat(len(video_ids))

    def read_some(self, video_ids: Sequence[str], stream: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return data (R, D) float32, frame indices (R,), which are 0, and end rows (V,) of these videos in order."""
        missing = [video_id for video_id in video_ids if video_id not in self._pooled]
        if missing:
            self._pool(missing, stream)
        each = [self._pooled[video_id] for video_id in video_ids]
        ends = np.cumsum([len(rows) for rows in each], dtype=np.int64)
        return np.concatenate(each), np.zeros(ends[-1], dtype=np.int64), ends

    def _pool(self, video_ids: Sequence[str], stream: str) -> None:
        videos = Manifest(self.manifest.of_ids(video_ids))
        parts = BankParts(self._store, videos, None, num_frames=self._recipe.frames, stream=stream)
        mean = Model(Mean(self.spec.dim), torch.nn.Identity(), frame_norm=self._recipe.frame_norm)
        for bank in parts.read(device=self._device):
            self._pooled |= zip(bank.video_ids, pool_bank(mean, bank, device=self._device).numpy(), strict=True)
