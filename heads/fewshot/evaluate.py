"""Few-shot recognition over a store: every matcher on the same episodes, together with the two baselines."""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from framebank.heads.bank import Bank, require_finite
from framebank.heads.evaluation.normal import Z
from framebank.heads.evaluation.protocol import made_by
from framebank.heads.fewshot.drawn_episodes import DrawnEpisodes
from framebank.heads.fewshot.episodes import Episodes
from framebank.heads.fewshot.matcher_name import TRAINED, MatcherName, reads_text
from framebank.heads.fewshot.run import FewshotRun
from framebank.heads.fewshot.scores import EpisodeFrames, score_episodes
from framebank.heads.progress import Tell, tell_after, tell_nobody
from framebank.heads.ranking import best_class
from framebank.store.errors import DataError
from framebank.store.prompts import PromptBank
from framebank.store.videos.groups import undivided_note
from framebank.store.videos.labels import class_text

BASELINES = ("text", "mean")
MANY_EPISODES = 30  # from this number on, the interval uses the normal distribution


def measure_episodes(scores: Tensor, episodes: Episodes) -> dict[str, Any]:
    """Return the accuracy, its interval (fractions) and the accuracy of each class, from scores (E, Q, N).

    The accuracy is the mean over the episodes, and its 95 % interval is over them too. With fewer than 30 episodes the
    interval is None, and `accuracies` has the value of each episode. A class that was never drawn has None.
    """
    hits = best_class(scores).numpy() == episodes.target  # (E, Q)
    each = hits.mean(1)  # (E,)
    half = Z * each.std(ddof=1) / len(each) ** 0.5 if len(each) >= MANY_EPISODES else None
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
    drawn: DrawnEpisodes,
    *,
    split: str,
    prompts: PromptBank | None,
    device: torch.device,
    frame_norm: bool = True,
    run: FewshotRun | None = None,
    watch: Callable[[Sequence[str]], Iterable[str]] = iter,
    tell: Tell = tell_nobody,
    **facts: Any,
) -> dict[str, Any]:
    """Score drawn episodes with each matcher, and with each possible baseline.

    `names` are written as MatcherName reads them. The baselines are the texts of the classes ("text", with `prompts`)
    and the mean of the frames ("mean"). Returns the figures of the first of `names`, the figures of all under "scores",
    and how they were made, with the further `facts`. If a video has several views or clips, the first is used. The
    matcher of a `run` comes before all others. It sees frames as they are stored, as in its training, whatever
    `frame_norm` is. `watch` goes through the names of the matchers, and `tell` reports how many queries of all matchers
    are scored. DataError if a matcher is unknown, has weights to train or lacks its texts, or if features or scores
    hold a value that is not a number.
    """
    store, parts = drawn.store, drawn.parts
    trained = {f"{TRAINED}{run.recipe.matcher}": run.matcher} if run else {}
    own = {str(name): name for name in map(MatcherName.parse, names)}
    lacking = next((name for name in [*trained, *own] if reads_text(name) and not prompts), None)
    if lacking:
        raise DataError(f"{store.path}: the matcher {lacking!r} needs the texts of the classes, and there are none")
    own |= {name: MatcherName(name) for name in BASELINES if prompts or not reads_text(name)}
    matchers = {**trained, **{written: name.build(store.spec.dim) for written, name in own.items()}}
    chosen, episodes = drawn.episodes.of_drawn()
    bank = parts.read_chosen(chosen, device=device)
    require_finite(bank, where=store.path)
    of_run = _facts_of(run, episodes) if run else {}
    frames = frames_of(bank, episodes, prompts=prompts, frame_norm=frame_norm)
    queries = episodes.query.size
    rows: list[dict[str, Any]] = []
    for name in watch(tuple(matchers)):
        seen = frames_of(bank, episodes, prompts=prompts, frame_norm=False) if name in trained else frames
        started = time.perf_counter()
        telling = tell_after(tell, before=len(rows) * queries, total=len(matchers) * queries)
        scores = score_episodes(matchers[name], seen, episodes, device=device, tell=telling)
        seconds = round(time.perf_counter() - started, 3)
        if scores.isnan().any():
            raise DataError(
                f"{store.path}: the matcher {name!r} gives scores that are not numbers; expected other options"
            )
        told = made_by(
            spec=store.spec,
            bank=parts,
            split=split,
            prompts=prompts if reads_text(name) else None,
            matcher=name,
            frames=drawn.num_frames,
            frame_norm=frame_norm and name not in trained,
            groups=f"first of {bank.num_groups}",
            scoring="embeddings" if reads_text(name) else None,
            **drawn.facts,
            classes=len(episodes.labels),
            classes_hash=episodes.labels_hash,
            episodes_hash=episodes.hash,
            **facts,
            **(of_run if name in trained else _options_of(own[name])),
            store=str(store.path.absolute()),
        )
        figures = measure_episodes(scores, episodes)
        rows.append({"matcher": name, "baseline": name in BASELINES, "seconds": seconds, **figures, "made_by": told})
    note = undivided_note(episodes.undivided, so="queries share a source with their support and are easier")
    return {**rows[0], "scores": [_short(row) for row in rows], "notes": [note] if note else []}


def frames_of(bank: Bank, episodes: Episodes, *, prompts: PromptBank | None, frame_norm: bool) -> EpisodeFrames:
    """Return the frames that episodes of a bank point into: its first group, with unit frames if `frame_norm`."""
    text = None
    if prompts:
        chosen = [prompts.labels.index(name) for name in episodes.labels]
        text = torch.from_numpy(prompts.class_embeddings()[chosen])  # (C, D)
    return EpisodeFrames(bank.x[:: bank.num_groups], bank.mask[:: bank.num_groups], text, frame_norm)


def _options_of(name: MatcherName) -> dict[str, Any]:
    return {"matcher_options": dict(name.options)} if name.options else {}


def _facts_of(run: FewshotRun, episodes: Episodes) -> dict[str, Any]:
    """Return what decides the figure of a trained matcher, and how many of the episodes' classes it was trained on."""
    known = set(map(class_text, run.labels))
    return {
        "run_hash": run.weights_hash,
        "fewshot_recipe": run.recipe.to_dict(),
        "classes_trained_on": sum(class_text(name) in known for name in episodes.labels),
    }


def _short(row: dict[str, Any]) -> dict[str, Any]:
    figures = {name: value for name, value in row.items() if name != "made_by"}
    return {**figures, "protocol_hash": row["made_by"]["protocol_hash"]}
