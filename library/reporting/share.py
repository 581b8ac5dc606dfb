"""Shares: how many of some videos are right."""

from dataclasses import dataclass
from typing import Any

from framebank.heads.metrics import wilson_interval


@dataclass(frozen=True)
class RightShare:
    """Of `videos` videos, `right` are recognised. `name` says which videos, or how they are seen; `note` adds to it."""

    name: str
    videos: int
    right: int
    note: str = ""

    @property
    def title(self) -> str:
        """What stands before its figures."""
        return f"{self.name}: {self.note}" if self.note else self.name

    @property
    def accuracy(self) -> float:
        """The share of the videos that are right."""
        return self.right / self.videos

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of `accuracy`."""
        return wilson_interval(self.right, self.videos)

    def to_dict(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return {"name": self.title, "videos": self.videos, "accuracy": self.accuracy}
