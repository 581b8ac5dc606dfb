"""SetBatch: the rows of one step of several sets of copies, and what copies that score by matrices learn from them."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class SetBatch:
    """Rows (S, B, W) of S sets with labels (S, B), and the `shares` (S, B) of the rows in the mean loss of their set.

    A share is 0 for a row that is not in the batch. If all sets read the same rows (N, W), labels and shares are
    (N, S). Each set has P copies, and each of them scores C classes by a matrix (C, W).
    """

    rows: Tensor
    labels: Tensor
    shares: Tensor

    def cross_entropy(self, scores: Tensor, *, smoothing: float) -> tuple[Tensor, Tensor]:
        """Return the losses (S, P), and their slopes by the scores of the rows, (S, B, P, C) or (N, S, P, C).

        The slopes are written out: the probabilities minus the shares of the label, times the share of the row.
        """
        likely = scores.log_softmax(-1)
        own = self.labels[..., None, None].expand(-1, -1, scores.shape[2], -1)
        losses = (smoothing - 1) * likely.gather(-1, own).squeeze(-1)
        if smoothing:
            losses -= smoothing * likely.mean(-1)
        slopes = likely.exp_()
        if smoothing:
            slopes.sub_(smoothing / slopes.shape[-1])
        slopes.scatter_add_(-1, own, slopes.new_full((1, 1, 1, 1), smoothing - 1).expand_as(own))
        return self.sum(losses * self.shares[..., None]), slopes.mul_(self.shares[..., None, None])

    def slopes(self, by_scores: Tensor, matrices: Tensor) -> Tensor:
        """Return the slopes of the losses by the matrices, (S, P, C, W), from those by the scores."""
        found = by_scores.flatten(self.rows.ndim - 1).transpose(-1, -2) @ self.rows
        return found.view_as(matrices)

    def sum(self, values: Tensor) -> Tensor:
        """Sum up what there is of each row: (S, B, ...) or (N, S, ...) -> (S, ...)."""
        return values.sum(self.rows.ndim - 2)


def scores_of(rows: Tensor, matrices: Tensor) -> Tensor:
    """Score rows (S, B, W) by matrices (S, P, C, W) of their set -> (S, B, P, C), or rows (N, W) -> (N, S, P, C)."""
    sets, count, classes, width = matrices.shape
    scores: Tensor
    if rows.ndim == 2:
        scores = (rows @ matrices.view(-1, width).T).view(len(rows), sets, count, classes)
    else:
        scores = (rows @ matrices.flatten(1, 2).transpose(1, 2)).unflatten(2, (count, classes))
    return scores
