"""Extracted stores: a store that an extraction filled, and what became of each video."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.library.drift import drift_lines
from framebank.store.counts import counted
from framebank.store.errors import DataError

if TYPE_CHECKING:
    from framebank.extract.extraction import Tally
    from framebank.store.upkeep.plan import Choices
    from framebank.store.videos.intake import Intake

SHOWN = 5  # damaged and failed videos in the notes


@dataclass(frozen=True, repr=False)
class ExtractedStore:
    """A store that was filled with videos: the counts, what became of each, and what is worth knowing beside them.

    `counts` are those of `Tally.report` when the extraction ended, and `damaged` says what was left out of each video
    of which only the good frames were used. `rounding` is the error of each stream that is kept in 8 bits, as a share
    of its size.
    """

    path: Path
    num_videos: int
    tally: "Tally"
    counts: Mapping[str, Any]
    intake: "Intake"
    choices: "Choices"
    damaged: Mapping[str, str]
    encoder: str
    rounding: Mapping[str, float]

    @property
    def without_embedding(self) -> int:
        """How many of the given videos have no embedding."""
        return self.tally.without_embedding

    @property
    def is_whole(self) -> bool:
        """Whether every video has its embedding, and none failed when it was embedded again."""
        return not (self.without_embedding or self.tally.failed)

    def require_some(self) -> None:
        """Raise DataError if no video has an embedding."""
        if self.num_videos and self.without_embedding == self.num_videos:
            raise DataError(f"{self.path}: none of the {self.num_videos} videos could be embedded")

    def to_dict(self) -> dict[str, Any]:
        """Return the counts as plain values: the contract for scripts."""
        return {
            "store": str(self.path),
            **self.counts,
            "damaged": len(self.damaged),
            "not_taken": self.intake.counts,
            "model": self.encoder,
            "not_taken_files": self.intake.files,
            **({"rounding": dict(self.rounding)} if self.rounding else {}),
        }

    def lines(self) -> list[str]:
        """Return what the command prints."""
        found = self.counts
        rate = found["frames"] / max(found["seconds"], 1e-9)
        again = f" ({found['refreshed']} again)" if found["refreshed"] else ""
        return [
            f"{counted(found['videos'], 'video')}: {found['embedded']} embedded{again}, {found['failed']} failed, "
            f"{found['already_there']} already there",
            f"{counted(found['frames'], 'frame')} in {found['seconds']:.1f} s ({rate:.0f} frames/s) -> {self.path}",
            f"by {self.encoder}",
            *[f"{name} in 8 bits: an error of {share:.2%} of its size" for name, share in self.rounding.items()],
            *self.drift_lines(),
        ]

    def drift_lines(self, *, refresh: str = "--refresh", prune: str = "--prune") -> list[str]:
        """Return a line for each kind of change of the files; the two words are what a reader can give then."""
        refreshed, pruned = self.choices.refresh, self.choices.prune
        return drift_lines(self.counts["drift"], refreshed=refreshed, pruned=pruned, refresh=refresh, prune=prune)

    def notes(self) -> list[str]:
        """Return lines on the videos that are damaged, that failed, or that have no embedding."""
        notes = [f"damaged: {video_id}: {what}" for video_id, what in list(self.damaged.items())[:SHOWN]]
        if self.damaged:
            told = f"of {counted(len(self.damaged), 'damaged video')} the good frames were used"
            notes.append(f"{told}; {self.path} keeps for each what was left out")
        notes += [f"failed: {outcome.error}" for outcome in self.tally.failed[:SHOWN]]
        if self.without_embedding:
            before = len(self.tally.plan.failed_before)
            again = f"; {before} failed before, --retry-failed tries them again" if before else ""
            share = f"{self.without_embedding} of {self.num_videos} videos have no embedding"
            notes.append(f"{share}: {self.path / 'failed.csv'}{again}")
        return notes

    def __repr__(self) -> str:
        return "\n".join(self.lines())
