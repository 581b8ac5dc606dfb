"""Shared sources: whether validation videos are of one source with training videos, by their names or their rows."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from framebank.heads.bank import PART_BYTES, Bank
from framebank.heads.confidence.scaling import FEWEST
from framebank.heads.metrics import wilson_interval
from framebank.store.videos.groups import groups_of, tell_sources
from framebank.store.videos.manifest import Manifest

NEAR = 0.5  # of the usual distance to the training videos of its class; a nearer pair may be of one recording
MOST = 0.08  # of all validation videos, by the lower limit of the 95 % interval of the share
KNOWN = 4  # training videos of a class, at least, tell the usual distance


def near_share(rows: Tensor, target: Tensor, train_rows: Tensor, train_target: Tensor) -> float:
    """Return the share of videos with a near training video of their class: rows (V, D) and (N, D), classes (V,), (N,).

    Near is less than NEAR of the median distance to all training videos of the class. With several labels a video, (V,
    C) and (N, C) of 0 or 1, the least of the distances of its labels count, both the nearest and the median.

    >>> near_share(torch.tensor([[0.1], [9.0]]), torch.zeros(2), torch.tensor([[0.0], [4], [5], [6]]), torch.zeros(4))
    0.5
    """
    nearest, usual = torch.full((2, len(rows)), torch.inf)
    several = target.ndim > 1
    for label in range(target.shape[1]) if several else target.unique().tolist():
        own, other = (each[:, label] > 0 if several else each == label for each in (target, train_target))
        known = train_rows[other]
        if len(known) < KNOWN or not own.any():
            continue
        for part in own.nonzero()[:, 0].split(max(1, PART_BYTES // (8 * len(known)))):
            distances = torch.cdist(rows[part], known)
            nearest[part] = nearest[part].minimum(distances.amin(1))
            usual[part] = usual[part].minimum(distances.quantile(0.5, dim=1))
    return float((nearest < NEAR * usual).double().mean())


def mean_rows(bank: Bank) -> Tensor:
    """Return the mean of the unit rows of each video of a bank, at a length of one, (V, D) float32 on the CPU."""
    found = []
    step = max(1, PART_BYTES // (4 * bank.x[:1].numel()))
    for x, mask in zip(bank.x.split(step), bank.mask.split(step), strict=True):
        unit = F.normalize(x.float(), dim=-1)
        frames = unit.flatten(2, -2).mean(2) if unit.ndim > 3 else unit  # (B, T, D)
        found.append(frames.where(mask[..., None], 0).sum(1).cpu())
    means = F.normalize(torch.cat(found), dim=-1).unflatten(0, (len(bank), bank.num_groups)).mean(1)  # (V, D)
    return F.normalize(means, dim=-1)


def shared_sources_note(val: Bank | None, train: Bank, manifest: Manifest) -> str:
    """Return one sentence if clearly more than MOST of the validation videos are of one source with training videos.

    It is "" if not, and with too few videos for a temperature. If names or the column group tell sources, these
    decide; otherwise the rows do.
    """
    if not val or len(val) < FEWEST:
        return ""
    videos = manifest.of_ids([*val.video_ids, *train.video_ids])
    groups = groups_of(videos)
    if tell_sources(videos, groups):
        share = float(np.isin(groups[: len(val)], groups[len(val) :]).mean())
    else:
        share = near_share(mean_rows(val), val.target.cpu(), mean_rows(train), train.target.cpu())
    return note_of_share(share, len(val))


def note_of_share(share: float, videos: int, *, of: str = "validation videos", others: str = "training videos") -> str:
    """Return the sentence on a share of so many videos that judge, "" if it is not clearly above MOST."""
    if wilson_interval(round(share * videos), videos)[0] <= MOST:
        return ""
    return (
        f"{round(share * videos):,} of {videos:,} {of} are, or look, of one source with {others}, "
        "so they are too easy (the column group of manifest.csv says which videos are of one source)"
    )
