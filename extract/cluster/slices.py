"""Slices: the missing videos, divided among workers, and the state of each slice."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from framebank.extract.pipeline import Outcome
from framebank.store.errors import DataError
from framebank.store.upkeep.adoption import SIGN, Adopted, part_name
from framebank.store.videos.manifest import Video
from framebank.store.videos.tars import tar_and_member

# How many workers may lose a slice before that counts as a fault of the slice.
ATTEMPTS = 3

# Small enough that every worker gets several, and large enough that starting one costs little beside doing it.
SLICES_PER_WORKER = 4
MIN_SLICE, MAX_SLICE = 16, 4096


@dataclass(frozen=True)
class Slice:
    """Some videos for a worker to embed into a part store of their own.

    `sign` is a file that is there while the run goes on. `witness` is a file that whoever gave the slice can see.
    """

    part: Path
    videos: tuple[Video, ...]
    sign: Path
    witness: Path | None


@dataclass(eq=False)
class Piece:
    """A slice until it is done: its remaining videos, and the reported ones, each with whether it failed."""

    number: int
    videos: tuple[Video, ...]
    attempt: int = 0
    part: Path = Path()
    told: dict[str, bool] = field(default_factory=dict)

    def start(self, sign: Path) -> Slice:
        """Return what the next worker is given: a new part, should one that was given up live on and write."""
        self.attempt += 1
        self.part = sign.parent / part_name(sign.name.removeprefix(SIGN), self.number, self.attempt)
        files = (tar_and_member(video.path)[0] for video in self.videos)
        return Slice(self.part, self.videos, sign, witness=next((file for file in files if file.exists()), None))

    def news(self, outcomes: Sequence[Outcome]) -> Iterator[Outcome]:
        """Yield the outcomes that were not reported before, or reported differently."""
        for outcome in outcomes:
            name, failed = outcome.video.video_id, bool(outcome.error)
            if self.told.get(name) is not failed:
                self.told[name] = failed
                yield outcome

    def settle(self, adopted: Adopted) -> Iterator[Outcome]:
        """Remove the videos that were taken in, and yield those that were not reported yet."""
        found = [outcome for video in self.videos if (outcome := _outcome(video, adopted))]
        done = {outcome.video.video_id for outcome in found}
        self.videos = tuple(video for video in self.videos if video.video_id not in done)
        yield from self.news(found)

    def require_attempts_left(self, lost: str) -> None:
        """Refuse to go on with a slice that no worker finishes: DataError with the reason that the last was lost."""
        if self.attempt >= ATTEMPTS:
            first, last = self.videos[0].video_id, self.videos[-1].video_id
            raise DataError(
                f"slice {self.number} ({len(self.videos)} videos, {first!r} to {last!r}) was given to {ATTEMPTS} "
                f"workers, and none finished it: {lost or 'its part store lacks them'}; what was embedded is kept"
            )


def cut(videos: Sequence[Video], size: int) -> Iterator[Piece]:
    """Yield slices of `size` videos, their paths made to hold in any working folder."""
    for number, start in enumerate(range(0, len(videos), size)):
        part = videos[start : start + size]
        yield Piece(number, tuple(replace(video, path=video.path.absolute()) for video in part))


def slice_length(num_videos: int, num_workers: int) -> int:
    """Return how many videos a slice should have."""
    return min(max(-(-num_videos // (SLICES_PER_WORKER * num_workers)), MIN_SLICE), MAX_SLICE)


def _outcome(video: Video, adopted: Adopted) -> Outcome | None:
    if video.video_id in adopted.rows:
        return Outcome(video, num_frames=adopted.rows[video.video_id])
    reason = adopted.reason(video.video_id)
    return Outcome(video, error=reason) if reason else None
