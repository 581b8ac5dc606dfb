"""Predictions: the scores of every video of a bank, and the file that keeps them."""

import itertools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from framebank.heads.bank import Bank, BankParts
from framebank.heads.model import Model
from framebank.store.digest import SEAL, seal
from framebank.store.errors import DataError
from framebank.store.formats.npy import Npz

FIELDS = ("video_ids", "scores", "targets", "labels")


@dataclass(frozen=True)
class Predictions:
    """video_ids (V,), scores (V, C) in float64 that sum to one, targets (V,) or -1 without a label, labels (C,).

    If videos may have several labels, each score is the probability of one label, and targets is (V, C) of 0 or 1.
    groups (V,) are the numbers of the sources that the videos were cut from, if these are known.
    """

    video_ids: tuple[str, ...]
    scores: np.ndarray
    targets: np.ndarray
    labels: tuple[str, ...]
    groups: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Check that the shapes agree."""
        expected = (len(self.video_ids), len(self.labels))
        if self.scores.shape != expected or self.targets.shape not in (expected[:1], expected):
            raise ValueError(f"scores {self.scores.shape} and targets {self.targets.shape}, expected {expected}")

    def write(self, path: Path) -> None:
        """Write the arrays as .npz, without pickle."""
        arrays: dict[str, Any] = {
            "video_ids": np.array(self.video_ids),
            "scores": self.scores,
            "targets": self.targets,
            "labels": np.array(self.labels),
        }
        if self.groups is not None:
            arrays["groups"] = self.groups
        arrays[SEAL] = np.array(seal({}, arrays))
        with path.open("wb") as file:
            np.savez(file, **arrays)

    @classmethod
    def read(cls, path: Path) -> "Predictions":
        """Read what `write` wrote. DataError if it is damaged or was changed, or if an id appears twice."""
        arrays = dict(Npz(path))
        sealed = arrays.pop(SEAL, None)  # an earlier version wrote none
        if sealed is not None and str(sealed) != seal({}, arrays):
            raise DataError(f"{path}: is not as it was written; run `framebank evaluate` again")
        missing = next((name for name in FIELDS if name not in arrays), None)
        if missing:
            raise DataError(f"{path}: has no array {missing!r}; expected what `framebank evaluate` writes")
        ids, scores, targets, labels = (arrays[name] for name in FIELDS)
        fits = ids.ndim == labels.ndim == 1 and scores.shape == (len(ids), len(labels)) and ids.dtype.kind == "U"
        if not fits or not _are_targets(targets, scores.shape):
            raise DataError(f"{path}: its arrays do not fit each other; expected what `framebank evaluate` writes")
        if scores.dtype.kind != "f" or labels.dtype.kind != "U":
            raise DataError(f"{path}: its arrays do not fit each other; expected what `framebank evaluate` writes")
        if not (np.isfinite(scores).all() and (scores >= 0).all()):
            raise DataError(
                f"{path}: holds scores that are no probabilities; expected what `framebank evaluate` writes"
            )
        values, counts = np.unique(ids, return_counts=True)
        if (counts > 1).any():
            raise DataError(f"{path}: holds the video {str(values[counts > 1][0])!r} twice; expected each video once")
        groups = arrays.get("groups")  # an earlier version did not write them
        if groups is not None and (groups.shape != ids.shape or groups.dtype.kind not in "iu"):
            raise DataError(f"{path}: its arrays do not fit each other; expected what `framebank evaluate` writes")
        return cls(tuple(ids.tolist()), scores, targets, tuple(labels.tolist()), groups)


def _are_targets(targets: np.ndarray, shape: tuple[int, ...]) -> bool:
    """Whether they are classes (V,), or 0 or 1 for each of several labels (V, C), by the shape of the scores."""
    if targets.shape == shape:
        return targets.dtype.kind in "iuf" and bool(np.isin(targets, (0, 1)).all())
    return targets.shape == shape[:1] and targets.dtype.kind in "iu" and targets.max(initial=0) < max(1, shape[1])


@torch.inference_mode()
def predict_logits(model: Model, bank: Bank, *, device: torch.device, batch_size: int = 1024) -> Tensor:
    """Score a whole bank -> logits (V, C) on the CPU.

    If a video has several views or clips, their probabilities are averaged (multi-view testing, arXiv 1711.07971).
    """
    batches = zip(bank.x.split(batch_size), bank.mask.split(batch_size), strict=True)
    logits = torch.cat([model(x.to(device), mask.to(device)).cpu() for x, mask in batches])  # (V*G, C)
    return mean_over_groups(logits, bank.num_groups, multi_label=bank.target.ndim == 2)


def mean_over_groups(logits: Tensor, num_groups: int, *, multi_label: bool = False) -> Tensor:
    """Return logits whose softmax, or sigmoid, is the mean over the groups: (V*G, C) -> (V, C)."""
    if num_groups == 1:
        return logits
    if multi_label:
        # log p - log (1 - p) keeps the order even if float32 cannot tell a probability from 1.
        several = logits.reshape(-1, num_groups, logits.shape[-1])  # (V, G, C)
        return F.logsigmoid(several).logsumexp(1) - F.logsigmoid(-several).logsumexp(1)
    each = logits.reshape(-1, num_groups, logits.shape[-1]).log_softmax(-1)  # (V, G, C)
    return each.logsumexp(1) - math.log(num_groups)


def pool_groups(pooled: Tensor, num_groups: int) -> Tensor:
    """Return the mean of the unit embeddings of the groups: (V*G, D) -> (V, D). A single group stays as it is."""
    if num_groups == 1:
        return pooled
    return F.normalize(pooled, dim=-1).reshape(-1, num_groups, pooled.shape[-1]).mean(1)


@torch.no_grad()
def pool_bank(model: Model, bank: Bank, *, device: torch.device, batch_size: int = 1024) -> Tensor:
    """Pool each view and clip of a whole bank -> (V, G, D) float32 on the CPU, with the model in test mode."""
    was_training = model.training
    model.to(device).eval()
    pooled = torch.empty(0)  # (V*G, D) from the first batch on: joined in the end, all would be there twice
    for start in range(0, len(bank.x), batch_size):
        rows = slice(start, start + batch_size)
        part = model.embed(bank.x[rows].to(device), bank.mask[rows].to(device))
        if not start:
            pooled = torch.empty(len(bank.x), part.shape[1], dtype=part.dtype)
        pooled[rows] = part.cpu()
    model.train(was_training)
    return pooled.reshape(-1, bank.num_groups, pooled.shape[-1])  # (V, G, D)


def embed_bank(model: Model, bank: Bank | BankParts, *, device: torch.device, batch_size: int = 1024) -> np.ndarray:
    """Pool a whole bank, or its parts one after the other -> (V, D) float32."""
    if isinstance(bank, BankParts):
        parts = (embed_bank(model, part, device=device, batch_size=batch_size) for part in bank.read(device=device))
        first = next(parts)  # the store holds a video, so there is a first part
        vectors = np.empty((len(bank), first.shape[1]), dtype=first.dtype)
        done = 0
        for made in itertools.chain([first], parts):
            vectors[done : done + len(made)] = made
            done += len(made)
        return vectors
    pooled = pool_bank(model, bank, device=device, batch_size=batch_size).flatten(0, 1)  # (V*G, D)
    return np.asarray(pool_groups(pooled, bank.num_groups).numpy())


def predict(model: Model, bank: Bank | BankParts, *, labels: tuple[str, ...], device: torch.device) -> Predictions:
    """Score a whole bank, or part by part, with the model in test mode. DataError if a score is NaN."""
    model.to(device).eval()
    scores = np.empty((len(bank), len(labels)))
    done = 0
    for part in [bank] if isinstance(bank, Bank) else bank.read(device=device):
        logits = predict_logits(model, part, device=device)
        if logits.isnan().any():
            row = int(logits.isnan().any(1).nonzero()[0])
            raise DataError(
                f"the scores of {part.video_ids[row]!r} are no numbers (NaN); the training of the run went wrong, or "
                "the embedding holds values that are no numbers"
            )
        # float64, because float32 rounds too much: all classes far behind the first would be equal at 0, and each of
        # several labels with a logit above 17 would be equal at 1.
        several = bank.target.ndim == 2
        scaled = model.scaled(logits.double(), multi_label=several)
        scores[done : done + len(part)] = scaled.sigmoid() if several else scaled.softmax(1)
        done += len(part)
    return Predictions(bank.video_ids, scores, bank.target.cpu().numpy(), labels)
