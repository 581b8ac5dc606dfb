"""Logistic regression as scikit-learn has it, with C = 1: sum of the cross-entropies + |W|^2 / 2, by Newton's steps."""

import torch
import torch.nn.functional as F
from torch import Tensor

from framebank.heads import CLASSIFIERS

C, D = 4, 6


@torch.enable_grad()
def logistic_regression() -> float:
    generator = torch.Generator().manual_seed(9)
    pooled, target = torch.randn(30, 1, D, generator=generator), torch.arange(30) % C
    video = F.normalize(torch.randn(7, D, generator=generator).double(), dim=-1)
    ours = CLASSIFIERS["logistic"](D, C, None)
    ours.fit(pooled, target, val=None)
    flat = solve(F.normalize(pooled[:, 0].double(), dim=-1), target)
    expected = video @ flat[: C * D].view(C, D).T + flat[C * D :]
    return float((ours(video.float()).double().softmax(-1) - expected.softmax(-1)).abs().max().detach())


def objective(flat: Tensor, rows: Tensor, target: Tensor) -> Tensor:
    weight, bias = flat[: C * D].view(C, D), flat[C * D :]
    scores = rows @ weight.T + bias
    fit = (scores.logsumexp(1) - scores[torch.arange(len(rows)), target]).sum()
    return fit + weight.square().sum() / 2 + 1e-9 * bias.square().sum()  # the bias is free up to a constant


def solve(rows: Tensor, target: Tensor) -> Tensor:
    flat = torch.zeros(C * D + C, dtype=torch.double)
    for _ in range(30):
        where = flat.clone().requires_grad_()
        (slope,) = torch.autograd.grad(objective(where, rows, target), where)
        bend = torch.autograd.functional.hessian(lambda x: objective(x, rows, target), flat)
        flat = flat - torch.linalg.solve(bend, slope)
    return flat
