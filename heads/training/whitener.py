"""Whitener: turns the gradient of a linear classifier, so that its steps do not depend on the basis of the rows."""

import torch
from torch import Tensor

AT_ONCE = 8192  # rows whose products are summed in float32


def whitener_of(rows: Tensor, *, device: torch.device) -> Tensor:
    """Return M = ((S + I) / 2)⁻¹ of rows (N, D), on a device: (D, D) float32.

    S is the second moment of the rows, scaled to a mean eigenvalue of one, as I has. So M is I for rows that are white
    already. Where the rows vary much M takes from a gradient, and where they vary little it adds, twice at most.
    """
    width = rows.shape[1]
    moment = torch.zeros(width, width, dtype=torch.float64)
    for part in rows.split(AT_ONCE):
        own = part.to(device).float()
        moment += (own.T @ own).cpu().double()
    moment /= moment.diagonal().mean().clamp(min=torch.finfo(torch.float64).tiny)
    found: Tensor = torch.linalg.inv((moment + torch.eye(width, dtype=torch.float64)) / 2)
    return found.float().to(device)
