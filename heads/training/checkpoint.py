"""Checkpoint: tensors and facts about them in a safetensors file, checked by a digest and against each other."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save as save_tensors
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from framebank.store.counts import counted
from framebank.store.digest import SEAL, seal
from framebank.store.errors import DataError, parsing, reason_of
from framebank.store.formats.document import Fields, parse_json, shown

SAID = "framebank"  # the metadata of a checkpoint has JSON under this name, with a digest under SEAL in it
CALLS = 5000  # of torch that building a model may take, and the same again for each tensor
CALLS_OF_TENSOR = 200
NOTHING = "\0"  # not the name of any tensor


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of a file by name, and the facts that it states about them."""

    about: Fields
    tensors: Mapping[str, Tensor]


def save(about: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes:
    """Return the bytes of a safetensors file: tensors, plain values that describe them, and a digest of both."""
    whole = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
    # One JSON text, because the library writes several entries in any order, and the same run should give the same
    # bytes.
    return save_tensors(whole, metadata={SAID: json.dumps({**about, SEAL: seal(about, _arrays(whole))})})


def read_checkpoint(path: Path, *, what: str) -> Checkpoint:
    """Return what `save` made. `what` is its name in messages.

    DataError if the file cannot be read, or if it has a digest that does not match its content.
    """
    with parsing(path, what=what), safe_open(path, framework="pt") as file:
        said = file.metadata() or {}
        if SAID not in said:
            raise DataError(f"{path}: says nothing of its tensors; expected {what}")
        about = parse_json(said[SAID], where=path)
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is not a mapping)
        sealed = about.pop(SEAL, None) if isinstance(about, dict) else None
        whole = sealed in (None, seal(about, _arrays(tensors)))
    if not whole:
        raise DataError(f"{path}: is not as it was written; bring it back from a copy, or train again")
    return Checkpoint(Fields.of(about, where=path), tensors)


def require_fit(
    build: Callable[[], nn.Module], tensors: Mapping[str, Tensor], *, where: object, free: str = NOTHING
) -> None:
    """Raise DataError if the tensors of the described model are not those of the file.

    The model is built without memory, in no more torch calls than a model of that many tensors needs. A tensor whose
    name begins with `free` may have any length, because that depends on the number of texts or videos (`_are_alike`).
    """
    try:
        with torch.device("meta"), _Counted(CALLS + CALLS_OF_TENSOR * len(tensors)):
            said = {name: tuple(tensor.shape) for name, tensor in build().state_dict().items()}
    except _TooManyError as error:
        raise DataError(
            f"{where}: describes a model of more than the {counted(len(tensors), 'tensor')} that are in the file"
        ) from error
    except DataError as error:
        raise DataError(f"{where}: {str(error).removeprefix(f'{where}: ')}") from error
    except Exception as error:  # a constructor of torch may raise anything for a wrong value
        raise DataError(f"{where}: describes a model that cannot be built ({reason_of(error)})") from error
    held = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    odd = next(iter(sorted(said.keys() ^ held.keys())), None)
    if odd is not None:
        there = "holds" if odd in held else "lacks"
        raise DataError(f"{where}: {there} the tensor {shown(odd)}, otherwise than the model that it describes")
    wrong = next(
        (name for name in sorted(held) if not _are_alike(held[name], said[name], free=name.startswith(free))), None
    )
    if wrong is not None:
        raise DataError(
            f"{where}: {shown(wrong)} has the shape {held[wrong]}, the model that it describes {said[wrong]}"
        )


def _are_alike(held: tuple[int, ...], said: tuple[int, ...], *, free: bool) -> bool:
    """Return whether two shapes are equal. If `free`, ignore the first axis, and any axis that is 1 or 0 in a blank."""
    if held == said or not free:
        return held == said
    return 0 in said or (
        len(held) == len(said) and all(a == b or b == 1 for a, b in zip(held[1:], said[1:], strict=True))
    )


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the bytes of tensors as numpy arrays, which have no bfloat16, by name, type and shape."""
    return {
        f"{name} {tensor.dtype} {tuple(tensor.shape)}": tensor.detach().reshape(-1).view(torch.uint8).numpy()
        for name, tensor in tensors.items()
    }


class _TooManyError(Exception):
    """Building takes more calls of torch than are allowed."""


class _Counted(TorchFunctionMode):
    """Allow a limited number of torch calls inside the block."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.left = most

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.left -= 1
        if self.left < 0:
            raise _TooManyError
        return func(*args, **(kwargs or {}))
