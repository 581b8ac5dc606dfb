"""Device: where a model computes. Nothing but torch is loaded for it; the towers take seconds to load."""

import torch

from framebank.store.errors import DataError


def resolve_device(name: str) -> torch.device:
    """Return the device of a name; "auto" is CUDA when there is one. DataError for one that is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise DataError(f"the device {name!r} is not available here; expected auto, cpu or a CUDA device") from error
    return device
