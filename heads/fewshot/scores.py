"""Scores of episodes: prepare each video once if the matcher can, then score as many episodes at a time as fit."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.fewshot.episodes import Episodes
from framebank.heads.matchers.matcher import traits_of
from framebank.heads.matchers.prepared import Prepared, PreparesVideos
from framebank.heads.matchers.trx import TupleTransformer
from framebank.heads.progress import Tell, tell_nobody

MAX_PREPARED = 1 << 29  # numbers, 2 GB: what is prepared for all videos is kept up to this size
CHUNK = 1 << 23  # numbers that are prepared at a time


@dataclass(frozen=True)
class EpisodeFrames:
    """The frames that episodes point into: x (V, T, D), mask (V, T) true for real frames, text (C, D) or None.

    x may be float16, as it is stored. The videos of a chunk are converted to float32, and with `frame_norm` each of
    their frames is made unit.
    """

    x: Tensor
    mask: Tensor
    text: Tensor | None = None
    frame_norm: bool = False

    def of(self, videos: Tensor) -> tuple[Tensor, Tensor]:
        """Return the frames of videos (...), (..., T, D) float32, and which of them are real (..., T)."""
        x = self.x[videos].float()
        return F.normalize(x, dim=-1) if self.frame_norm else x, self.mask[videos]


@torch.inference_mode()
def score_episodes(
    matcher: nn.Module,
    frames: EpisodeFrames,
    episodes: Episodes,
    *,
    device: torch.device,
    max_values: int | None = None,
    max_prepared: int = MAX_PREPARED,
    tell: Tell = tell_nobody,
) -> Tensor:
    """Return the scores of every query of every episode, (E, Q, N) on the CPU.

    Episodes are scored in chunks of about `max_values` numbers. The default fits the caches of a CPU; on CUDA it is
    much larger. A larger episode is scored in parts of its queries, because a matcher scores each query separately. A
    matcher that fits the support compares no pairs of frames, so its parts are larger. What a matcher prepares for a
    video is made once for all episodes, or for each chunk if it would be over `max_prepared` numbers for all drawn
    videos. `tell` reports how many queries are scored.
    """
    matcher = matcher.to(device)
    videos = _Videos.of(matcher, frames, episodes, device=device, max_prepared=max_prepared)
    num_ways, num_shots = episodes.support.shape[1:]
    num_frames = frames.x.shape[1]
    pairs = 1 if traits_of(matcher).fits_support else 2 * num_frames**3  # of frames, and of tuples of them
    # Some matchers change the support for each query. Then its tuples are made for each query too.
    compared = num_shots * (pairs + _compared_values(matcher, num_frames)) + _tuple_values(matcher, num_frames)
    per_query = videos.values + num_ways * compared
    per_episode = num_ways * num_shots * videos.values + episodes.query.shape[1] * per_query
    max_values = max_values or (1 << 27 if device.type == "cuda" else 1 << 21)
    at_once = max(1, max_values // per_episode)
    queries_at_once = max(1, max_values // per_query)
    chunks, done = [], 0
    for start in range(0, len(episodes), at_once):
        rows = slice(start, start + at_once)
        support = videos.of_videos(episodes.support[rows])
        text = None
        if frames.text is not None:
            text = frames.text[torch.from_numpy(episodes.classes[rows])].to(device)  # (E, N, D)
        parts = []
        for first in range(0, episodes.query.shape[1], queries_at_once):
            query = videos.of_videos(episodes.query[rows, first : first + queries_at_once])
            parts.append(_match(matcher, query, support, text).cpu())
            done += len(parts[-1]) * parts[-1].shape[1]
            tell(done, episodes.query.size)
        chunks.append(torch.cat(parts, dim=1))
    return torch.cat(chunks)


def _match(matcher: nn.Module, query: Prepared, support: Prepared, text: Tensor | None) -> Tensor:
    if isinstance(matcher, PreparesVideos):
        return matcher.match(query, support, text)
    scores: Tensor = matcher(query[0], support[0], text, query[1], support[1])
    return scores


@dataclass(frozen=True)
class _Videos:
    """parts (V, ...) of videos, `prepare`, the work still to do on them, and `values`, the size of a prepared video.

    The parts are the frames and their mask, or after preparation what the matcher made of the videos `drawn`, which are
    given by their places among all videos.
    """

    parts: Prepared | EpisodeFrames
    prepare: Callable[[Tensor, Tensor], Prepared] | None
    values: int
    device: torch.device
    drawn: np.ndarray | None = None

    @classmethod
    def of(
        cls, matcher: nn.Module, frames: EpisodeFrames, episodes: Episodes, *, device: torch.device, max_prepared: int
    ) -> "_Videos":
        whole = cls(frames, None, frames.x[0].numel(), device)
        if not isinstance(matcher, PreparesVideos):
            return replace(whole, values=whole.values + _tuple_values(matcher, frames.x.shape[1]))
        whole = replace(whole, prepare=matcher.prepare)
        drawn = np.unique(np.concatenate([episodes.support.ravel(), episodes.query.ravel()]))
        first = whole.of_videos(drawn[:1])
        values = sum(part.numel() for part in first)
        if len(drawn) * values > max_prepared:
            return replace(whole, values=values)
        parts = tuple(part.new_empty(len(drawn), *part.shape[1:]) for part in first)
        step = max(1, CHUNK // values)
        for start in range(0, len(drawn), step):
            rows = slice(start, start + step)
            for part, made in zip(parts, whole.of_videos(drawn[rows]), strict=True):
                part[rows] = made
        return cls(parts, None, values, device, drawn)

    def of_videos(self, videos: np.ndarray) -> Prepared:
        """Return what a matcher compares for videos (...): each part has the axes (...) and then further ones."""
        chosen = torch.from_numpy(videos if self.drawn is None else np.searchsorted(self.drawn, videos))
        if isinstance(self.parts, EpisodeFrames):
            found: Prepared = self.parts.of(chosen.to(self.parts.x.device))
        else:
            found = tuple(part[chosen.to(part.device)] for part in self.parts)
        parts = tuple(part.to(self.device) for part in found)
        return self.prepare(*parts) if self.prepare else parts


def _tuple_values(matcher: nn.Module, num_frames: int) -> int:
    """Return how many numbers TRX, if the matcher contains it, makes of a video: keys and values of its frames."""
    return sum(2 * part.value.out_features * part.cardinality * num_frames for part in _tuple_parts(matcher))


def _compared_values(matcher: nn.Module, num_frames: int) -> int:
    """Return how many numbers TRX makes of two videos: four tables of the frames of one and the tuples of the other."""
    sizes = [part.cardinality for part in _tuple_parts(matcher)]
    return sum(4 * size * num_frames * math.comb(num_frames, size) for size in sizes)


def _tuple_parts(matcher: nn.Module) -> list[TupleTransformer]:
    return [part for part in matcher.modules() if isinstance(part, TupleTransformer)]
