"""Prepared: what a matcher makes of each video separately, before it compares videos."""

from abc import abstractmethod
from typing import Protocol, TypeAlias, runtime_checkable

from torch import Tensor

# What a matcher makes of videos: tensors whose first axes are those of the videos.
Prepared: TypeAlias = tuple[Tensor, ...]


@runtime_checkable
class PreparesVideos(Protocol):
    """A matcher that does its first part once for each video, in however many episodes the video is.

    A call of the whole matcher gives the same: match(prepare(query, query_mask), prepare(support, support_mask), text).
    """

    @abstractmethod
    def prepare(self, x: Tensor, mask: Tensor) -> Prepared:
        """Return what `match` reads of videos x (..., T, D), mask (..., T): tensors (..., and further axes)."""
        ...

    @abstractmethod
    def match(self, query: Prepared, support: Prepared, text: Tensor | None) -> Tensor:
        """Score prepared queries (E, Q, ...) against prepared supports (E, N, K, ...) -> (E, Q, N)."""
        ...
