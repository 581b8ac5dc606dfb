"""Perturbed: the accuracy of a run if it sees fewer frames, or the frames in another order."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from framebank.library.reporting.runs import EvaluatedRun
from framebank.library.reporting.sections import NothingToShowError, shown_if_any
from framebank.library.reporting.share import RightShare

if TYPE_CHECKING:
    from framebank.heads.bank import Bank
    from framebank.heads.evaluation.paired import PairedDifference
    from framebank.heads.training.run import Run
    from framebank.store import FeatureStore

MOST = 2000  # videos; more are drawn by seed 0
SEED = 0


@dataclass(frozen=True)
class Perturbed:
    """The accuracy in each order, and with each number of frames; `shuffled` compares shuffled with ordered frames."""

    orders: tuple[RightShare, ...]
    frames: tuple[tuple[int, RightShare], ...]
    shuffled: "PairedDifference"
    videos: int
    listed: int

    @property
    def sentence(self) -> str:
        """What the order is worth, in words."""
        seen = {one.name: one for one in self.orders}
        first = 100 * seen["the first frame alone"].accuracy
        points = -100 * self.shuffled.difference
        whole = f"the first frame alone is right in {first:.1f} %"
        if self.shuffled.verdict == "worse":
            return f"The order of the frames is worth {points:.1f} points; {whole}."
        if not self.shuffled.flips.gained + self.shuffled.flips.lost:
            return f"The order of the frames changes no answer of this run; {whole}."
        return f"These videos cannot tell whether the order of the frames counts ({points:+.1f} points); {whole}."

    def to_dict(self) -> dict[str, Any]:
        """Return the accuracies as plain values."""
        return {
            "orders": {one.name: one.accuracy for one in self.orders},
            "frames": {str(count): one.accuracy for count, one in self.frames},
            "videos": self.videos,
        }


def perturbed_of(measured: EvaluatedRun, run: "Run", store: "FeatureStore", *, device: str) -> Perturbed:
    """Return the accuracy of a run on fewer frames and in other orders, from the rows of its store.

    NothingToShowError if the run does not read frames, or if the store no longer has the videos.
    """
    with shown_if_any():
        run.require_frames(measured.path)
    rows = np.arange(len(measured.video_ids))
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(SEED).permutation(len(rows))[:MOST])
    ids = [measured.video_ids[row] for row in rows.tolist()]
    scoring = _Scoring(run, store, ids, device)
    bank = scoring.bank(run.recipe.frames)
    right = {what: scoring.right(other) for what, other in _orders(bank)}
    orders = tuple(RightShare(what, len(own), int(own.sum())) for what, own in right.items())
    most = int(bank.mask.sum(1).max())
    counts = [count for count in (1, 2, 4, 8, 16, 32, 64) if count < most]
    frames = [(count, scoring.right(scoring.bank(count))) for count in counts] + [(most, right["in order"])]
    from framebank.heads.evaluation.paired import compare_paired

    shuffled = compare_paired(right["in order"], right["shuffled"], seed=SEED)
    seen = tuple((count, RightShare(f"{count}", len(own), int(own.sum()))) for count, own in frames)
    return Perturbed(orders, seen, shuffled, len(ids), len(measured.video_ids))


class _Scoring:
    """Scores the same videos of a store again and again."""

    def __init__(self, run: "Run", store: "FeatureStore", ids: list[str], device: str) -> None:
        from framebank.extract.encoders.device import resolve_device
        from framebank.store import LabelSet, Manifest

        lost = next((video_id for video_id in ids if video_id not in store), None)
        if lost:
            raise NothingToShowError(f"{store.path}: no longer holds {lost!r}, which the run was measured on")
        self.run, self.store, self.device = run, store, resolve_device(device)
        self.manifest = Manifest(store.manifest.of_ids(ids))
        self.labels = LabelSet(run.labels)

    def bank(self, num_frames: int) -> "Bank":
        from framebank.heads.bank import load_bank

        return load_bank(self.store, self.manifest, self.labels, device=self.device, num_frames=num_frames)

    def right(self, bank: "Bank") -> np.ndarray:
        """Return which videos the run has right, (V,)."""
        import torch

        from framebank.heads.predictions import predict_logits

        with torch.inference_mode():
            best = predict_logits(self.run.model.to(self.device).eval(), bank, device=self.device).argmax(1)
        return np.asarray((best == bank.target.cpu()).numpy())


def _orders(bank: "Bank") -> Iterator[tuple[str, "Bank"]]:
    """Yield the bank in each order. Padding stays where it is: only real frames change their places."""
    import torch

    rng = np.random.default_rng(SEED)
    real = bank.mask.cpu().numpy()
    yield "in order", bank
    for what in ("reversed", "shuffled"):
        x = bank.x.clone()
        for row in range(len(x)):
            places = np.flatnonzero(real[row])
            moved = places[::-1] if what == "reversed" else rng.permutation(places)
            x[row, torch.from_numpy(places)] = bank.x[row, torch.from_numpy(moved.copy())]
        yield what, replace(bank, x=x)
    first = torch.from_numpy(real.argmax(1))
    mask = torch.zeros_like(bank.mask)
    mask[torch.arange(len(mask)), first] = True
    yield "the first frame alone", replace(bank, mask=mask)
