"""Torch file: the content of a .pt or .pth, loaded without running its code, and no tensor larger than its bytes."""

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.store.errors import DataError, reason_of
from framebank.store.formats.archive import open_zip, require_sums

if TYPE_CHECKING:
    from torch import Tensor

MAX_DEPTH = 32  # dicts and lists within one another


def read_torch(path: Path, *, what: str) -> Any:
    """Return what a file holds, its tensors on the CPU; `what` is what was expected, for a message.

    DataError if it needs code to be run, is damaged, or has a tensor of more values than its bytes can hold.
    """
    import torch  # a store alone does not load it

    try:
        if zipfile.is_zipfile(path):
            with open_zip(path, what=what) as archive:
                require_sums(archive, where=path, what=what)
        found = torch.load(path, map_location="cpu", weights_only=True)
        for name, tensor in tensors_in(found):
            _require_own(tensor, where=f"{path}: its tensor {name!r}")
    except DataError:
        raise
    except Exception as error:  # torch can raise any error of its unpickler
        reason = reason_of(error).partition(". ")[0]  # torch goes on to advise that the code be run
        raise DataError(f"{path}: is not {what} ({reason})") from error
    return found


def tensors_in(found: object, above: str = "") -> "Iterator[tuple[str, Tensor]]":
    """Yield the tensors in dicts, lists and tuples by the names on the way, joined with slashes.

    RecursionError where they lie more than MAX_DEPTH deep.
    """
    import torch

    if above.count("/") > MAX_DEPTH:
        raise RecursionError(f"nests more than {MAX_DEPTH} deep")
    if isinstance(found, torch.Tensor):
        yield above.removesuffix("/"), found
    elif isinstance(found, Mapping):
        for name, value in found.items():
            yield from tensors_in(value, f"{above}{name}/")
    elif isinstance(found, list | tuple):
        for place, value in enumerate(found):
            yield from tensors_in(value, f"{above}{place}/")


def _require_own(tensor: "Tensor", *, where: str) -> None:
    import torch

    if tensor.layout is not torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        raise DataError(f"{where} is {tensor.layout} on {tensor.device}; expected a plain one")
    claimed, there = tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes()
    if claimed > there:
        raise DataError(f"{where} claims the shape {tuple(tensor.shape)}, {claimed} bytes, and the file holds {there}")
