"""Few-shot recognition over a store: every matcher on the same episodes, beside the two baselines."""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.bank import Bank, load_bank
from framebank.heads.episodes import AllWaySampler, Episodes, EpisodeSampler
from framebank.heads.fewshot_run import FewshotRun
from framebank.heads.fewshot_tasks import require_finite
from framebank.heads.matcher_name import TRAINED, MatcherName, reads_text
from framebank.heads.matchers.trx import TupleTransformer
from framebank.heads.protocol import made_by
from framebank.store.errors import DataError
from framebank.store.features import FeatureStore
from framebank.store.labels import LabelSet, class_text
from framebank.store.manifest import Manifest
from framebank.store.prompts import PromptBank

BASELINES = ("text", "mean")
MANY_EPISODES = 30  # from here on, an interval by the normal distribution


@dataclass(frozen=True)
class Frames:
    """What episodes point into: x (V, T, D) float32, mask (V, T) true where real, text (C, D) or None."""

    x: Tensor
    mask: Tensor
    text: Tensor | None = None


@torch.inference_mode()
def score_episodes(
    matcher: nn.Module, frames: Frames, episodes: Episodes, *, device: torch.device, max_values: int | None = None
) -> Tensor:
    """Return the scores of every query of every episode, (E, Q, N) on the CPU.

    Episodes go in chunks of about `max_values` numbers, by default few enough for the caches of a CPU and many more on
    CUDA; an episode that is larger goes in parts of its queries, which a matcher scores each by itself. One that fits
    the support compares no pairs of frames, and so its parts are larger.
    """
    max_values = max_values or (1 << 27 if device.type == "cuda" else 1 << 23)
    num_ways, num_shots = episodes.support.shape[1:]
    num_frames, dim = frames.x.shape[1:]
    per_video = num_frames * dim
    pairs = 1 if getattr(matcher, "fits_support", False) else 2 * num_frames**3  # of frames, and of tuples of them
    per_query = per_video + num_ways * (num_shots * pairs + _tuple_values(matcher, num_frames))
    per_episode = num_ways * num_shots * per_video + episodes.query.shape[1] * per_query
    at_once = max(1, max_values // per_episode)
    queries_at_once = max(1, max_values // per_query)
    matcher = matcher.to(device)
    chunks = []
    for start in range(0, len(episodes), at_once):
        rows = slice(start, start + at_once)
        support, support_mask = _of(frames, episodes.support[rows], device)
        text = None
        if frames.text is not None:
            text = frames.text[torch.from_numpy(episodes.classes[rows])].to(device)  # (E, N, D)
        parts = []
        for first in range(0, episodes.query.shape[1], queries_at_once):
            query, query_mask = _of(frames, episodes.query[rows, first : first + queries_at_once], device)
            parts.append(matcher(query, support, text, query_mask, support_mask).cpu())
        chunks.append(torch.cat(parts, dim=1))
    return torch.cat(chunks)


def _tuple_values(matcher: nn.Module, num_frames: int) -> int:
    """How many numbers TRX makes of a query for each class: a prototype of each of its tuples.

    A quarter of them counts: 5 queries of 16 frames then go at once, which is faster than making the tuples of their
    support anew for each part of them.
    """
    parts = (part for part in matcher.modules() if isinstance(part, TupleTransformer))
    return sum(part.value.out_features * math.comb(num_frames, part.cardinality) for part in parts) // 4


def measure_episodes(scores: Tensor, episodes: Episodes) -> dict[str, Any]:
    """Return accuracy and interval (fractions) and those of each class, of scores (E, Q, N).

    The accuracy is the mean over the episodes, and its 95 % interval is over them too; of fewer than 30 episodes the
    interval is None and `accuracies` has each. A class that was never drawn has None.
    """
    hits = scores.argmax(-1).numpy() == episodes.target  # (E, Q)
    each = hits.mean(1)  # (E,)
    half = 1.959964 * each.std(ddof=1) / len(each) ** 0.5 if len(each) >= MANY_EPISODES else None
    mean = float(each.mean())
    classes = np.take_along_axis(episodes.classes, episodes.target, 1).ravel()  # (E*Q,)
    asked = np.bincount(classes, minlength=len(episodes.labels))
    right = np.bincount(classes, weights=hits.ravel(), minlength=len(episodes.labels))
    report: dict[str, Any] = {
        "accuracy": mean,
        "interval": None if half is None else (max(0.0, mean - float(half)), min(1.0, mean + float(half))),
        "classes": {
            name: float(right[number] / asked[number]) if asked[number] else None
            for number, name in enumerate(episodes.labels)
        },
    }
    return report if half is not None else {**report, "accuracies": each.tolist()}


def evaluate_few_shot(
    names: Sequence[str],
    store: FeatureStore,
    manifest: Manifest,
    sampler: EpisodeSampler | AllWaySampler,
    *,
    split: str,
    prompts: PromptBank | None,
    device: torch.device,
    num_frames: int = 0,
    frame_norm: bool = True,
    run: FewshotRun | None = None,
    watch: Callable[[Sequence[str]], Iterable[str]] = iter,
    **facts: Any,
) -> dict[str, Any]:
    """Score the episodes that `sampler` draws from `manifest` by each matcher; the baselines always, where they can be.

    `names` are written as MatcherName reads them. The baselines are the texts of the classes ("text", with `prompts`)
    and the mean of the frames ("mean"). Returns the figures of the first of `names`, all of them under "scores", and
    what made them, with the further `facts`. Of several views or clips of a video the first is used. The matcher of a
    `run` comes before all others; it sees frames as they are stored, as it did in training, whatever `frame_norm` is.
    DataError for a matcher that is not known, has weights to train or lacks its texts, for episodes that cannot be
    drawn, and for features or scores that are no numbers.
    """
    trained = {f"{TRAINED}{run.recipe.matcher}": run.matcher} if run else {}
    own = {str(name): name for name in map(MatcherName.parse, names)}
    lacking = next((name for name in [*trained, *own] if reads_text(name) and not prompts), None)
    if lacking:
        raise DataError(f"{store.path}: the matcher {lacking!r} scores by texts of the classes, and there are none")
    own |= {name: MatcherName(name) for name in BASELINES if prompts or not reads_text(name)}
    matchers = {**trained, **{written: name.build(store.spec.dim) for written, name in own.items()}}
    labels = LabelSet(manifest.labelled().labels)
    bank = load_bank(store, manifest.labelled(), labels, device=device, num_frames=num_frames)
    require_finite(bank, where=store.path)
    try:
        episodes = sampler.draw(bank.video_ids, [labels.names[target] for target in bank.target.tolist()])
    except DataError as error:
        raise DataError(f"{store.path}: {error}") from error
    if len(episodes.labels) < 2:
        raise DataError(
            f"{store.path}: the videos to recognise have one class, {episodes.labels[0]!r}; expected two or more"
        )
    of_run = _facts_of(run, episodes) if run else {}
    frames = frames_of(bank, episodes, prompts=prompts, frame_norm=frame_norm)
    rows = []
    for name in watch(tuple(matchers)):
        seen = frames_of(bank, episodes, prompts=prompts, frame_norm=False) if name in trained else frames
        started = time.perf_counter()
        scores = score_episodes(matchers[name], seen, episodes, device=device)
        seconds = round(time.perf_counter() - started, 3)
        if scores.isnan().any():
            raise DataError(
                f"{store.path}: the matcher {name!r} gives scores that are no numbers; expected other options"
            )
        told = made_by(
            spec=store.spec,
            bank=bank,
            split=split,
            prompts=prompts if reads_text(name) else None,
            matcher=name,
            frames=num_frames,
            frame_norm=frame_norm and name not in trained,
            groups=f"first of {bank.num_groups}",
            scoring="embeddings" if reads_text(name) else None,
            **sampler.facts,
            classes=len(episodes.labels),
            classes_hash=episodes.labels_hash,
            episodes_hash=episodes.hash,
            **facts,
            **(of_run if name in trained else _options_of(own[name])),
            store=str(store.path),
        )
        figures = measure_episodes(scores, episodes)
        rows.append({"matcher": name, "baseline": name in BASELINES, "seconds": seconds, **figures, "made_by": told})
    return {**rows[0], "scores": [_short(row) for row in rows]}


def frames_of(bank: Bank, episodes: Episodes, *, prompts: PromptBank | None, frame_norm: bool) -> Frames:
    """Return what episodes of a bank point into: its first group, each frame unit with `frame_norm`."""
    x = bank.x[:: bank.num_groups].float()  # (V, T, D)
    text = None
    if prompts:
        chosen = [prompts.labels.index(name) for name in episodes.labels]
        text = torch.from_numpy(prompts.class_embeddings()[chosen])  # (C, D)
    return Frames(F.normalize(x, dim=-1) if frame_norm else x, bank.mask[:: bank.num_groups], text)


def _options_of(name: MatcherName) -> dict[str, Any]:
    return {"matcher_options": dict(name.options)} if name.options else {}


def _facts_of(run: FewshotRun, episodes: Episodes) -> dict[str, Any]:
    """What decides the figure of a trained matcher, and how many of the episodes' classes it was trained on."""
    known = set(map(class_text, run.labels))
    return {
        "run_hash": run.weights_hash,
        "fewshot_recipe": run.recipe.to_dict(),
        "classes_trained_on": sum(class_text(name) in known for name in episodes.labels),
    }


def _of(frames: Frames, videos: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor]:
    """The frames of videos (...) -> x (..., T, D), mask (..., T)."""
    places = torch.from_numpy(videos).to(frames.x.device)
    return frames.x[places].to(device), frames.mask[places].to(device)


def _short(row: dict[str, Any]) -> dict[str, Any]:
    figures = {name: value for name, value in row.items() if name != "made_by"}
    return {**figures, "protocol_hash": row["made_by"]["protocol_hash"]}
