"""DrawnEpisodes: the episodes that a sampler draws from videos of a store, before an embedding is read."""

from dataclasses import dataclass
from typing import Any

from framebank.heads.bank import BankParts
from framebank.heads.fewshot.episodes import AllWaySampler, Episodes, EpisodeSampler
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.videos.groups import groups_of
from framebank.store.videos.labels import LabelSet
from framebank.store.videos.manifest import Manifest


@dataclass(frozen=True)
class DrawnEpisodes:
    """Episodes over the videos of `parts`, of which `num_frames` frames are used (0 is all).

    `facts` are what the sampler says of itself.
    """

    store: FeatureStore
    parts: BankParts
    episodes: Episodes
    facts: dict[str, Any]
    num_frames: int = 0

    @classmethod
    def of(
        cls,
        store: FeatureStore,
        manifest: Manifest,
        sampler: EpisodeSampler | AllWaySampler,
        *,
        num_frames: int = 0,
    ) -> "DrawnEpisodes":
        """Draw the episodes. DataError if they cannot be drawn, or if all videos to recognise are of one class."""
        labels = LabelSet.of(manifest.labelled().labels)
        parts = BankParts(store, manifest.labelled(), labels, num_frames=num_frames)
        try:
            names_of_videos = [labels.names[target] for target in parts.target.tolist()]
            drawn = sampler.draw(parts.video_ids, names_of_videos, groups_of(manifest.of_ids(parts.video_ids)))
        except DataError as error:
            raise DataError(f"{store.path}: {error}") from error
        if len(drawn.labels) < 2:
            raise DataError(
                f"{store.path}: all videos to recognise are of one class, {drawn.labels[0]!r}; expected two or more"
            )
        return cls(store, parts, drawn, sampler.facts, num_frames)
