"""Prepared: what a matcher that first sees each video by itself makes of it, before it compares."""

from abc import abstractmethod
from typing import Protocol, TypeAlias, runtime_checkable

from torch import Tensor

# What a matcher makes of videos: tensors that all begin with the axes of the videos.
Prepared: TypeAlias = tuple[Tensor, ...]


@runtime_checkable
class PreparesVideos(Protocol):
    """A matcher that does its first part once for each video, however many episodes the video is in.

    Called as a whole it gives the same: match(prepare(query, query_mask), prepare(support, support_mask), text).
    """

    @abstractmethod
    def prepare(self, x: Tensor, mask: Tensor) -> Prepared:
        """Return what `match` reads of videos x (..., T, D), mask (..., T): tensors (..., and axes of their own)."""
        ...

    @abstractmethod
    def match(self, query: Prepared, support: Prepared, text: Tensor | None) -> Tensor:
        """Score what was prepared of queries (E, Q, ...) against that of supports (E, N, K, ...) -> (E, Q, N)."""
        ...
