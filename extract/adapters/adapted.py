"""Adapted: the weights of an adapted encoder in a folder, and what they say about themselves."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from framebank.store.digest import SEAL, seal
from framebank.store.errors import DataError, parsing
from framebank.store.files.replacing import current
from framebank.store.formats.document import Fields, parse_json

WEIGHTS = "weights.safetensors"  # the whole network, as its library names it
ADAPTERS = "ted.safetensors"  # beside them: adapters that are not part of that network
SAID = "framebank-adapted"  # the metadata of both files have JSON under this name
FORMAT = 1
WHAT = "the weights of an adapted encoder"


@dataclass(frozen=True)
class Adapted:
    """What the weights of an adapted encoder say about themselves.

    `preprocessing` is that of the encoder they come from, JSON as in a spec: a file of weights alone would be read with
    the usual one of open_clip. `quick_gelu` tells that they need it where the config of their model has none.
    `num_frames` is how many frames of a clip the adapters read together, or 0 if they are merged into the weights and
    each frame stands for itself.
    """

    model: str
    method: str
    blocks: int
    preprocessing: str
    quick_gelu: bool = False
    num_frames: int = 0

    def write(self, folder: Path, weights: Mapping[str, Tensor], adapters: Mapping[str, Tensor] | None) -> None:
        """Write the weights, and the adapters if there are any, into a folder, each with a digest of what it holds."""
        about = {"format": FORMAT, **asdict(self)}
        for name, tensors in ((ADAPTERS, adapters), (WEIGHTS, weights)):
            if tensors is not None:
                own = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in tensors.items()}
                said = json.dumps({**about, SEAL: seal(about, _arrays(own))})
                (folder / name).write_bytes(save(own, metadata={SAID: said}))


def weights_file(pretrained: str) -> str:
    """Return the file of weights in the folder of an adapted encoder; any other name as it is."""
    path = current(Path(pretrained), WEIGHTS)
    return str(path) if path.is_file() else pretrained


def read_adapted(path: str | Path) -> Adapted | None:
    """Return what a file of weights says, or None if it is not of an adapted encoder.

    DataError if it is of a later version, or damaged.
    """
    path = Path(path)
    if path.name != WEIGHTS or not path.is_file():
        return None
    with parsing(path, what=WHAT), safe_open(path, framework="pt") as file:
        said = (file.metadata() or {}).get(SAID)
    return None if said is None else _read(said, path)


def _read(said: str, path: Path) -> Adapted:
    given = Fields.of(parse_json(said, where=path), where=path)
    if (version := given.whole("format", least=1)) > FORMAT:
        raise DataError(f"{path}: written in the format {version}, this framebank reads {FORMAT}")
    return Adapted(
        given.text("model"),
        given.text("method"),
        given.whole("blocks", least=1),
        given.text("preprocessing"),
        given.flag("quick_gelu"),
        given.whole("num_frames", least=0),
    )


def read_adapters(weights: str | Path) -> dict[str, Tensor]:
    """Return the tensors of the adapters beside a file of weights.

    DataError if they are missing, damaged, or those of other weights.
    """
    path = Path(weights).with_name(ADAPTERS)
    if not path.is_file():
        raise DataError(f"{path}: is missing; expected the adapters that {weights} was trained with beside it")
    said, tensors = _read_whole(path)
    if said != read_adapted(weights):
        raise DataError(f"{path}: holds other adapters than those that {weights} was trained with")
    return tensors


def check_adapted(folder: Path) -> list[str]:
    """Read the weights in a folder, and the adapters if they need some; return the names of the files.

    DataError if a file is damaged or missing.
    """
    weights = current(folder, WEIGHTS)
    said, _ = _read_whole(weights)
    if not said.num_frames:
        return [WEIGHTS]
    read_adapters(weights)
    return [WEIGHTS, ADAPTERS]


def _read_whole(path: Path) -> tuple[Adapted, dict[str, Tensor]]:
    with parsing(path, what=WHAT), safe_open(path, framework="pt") as file:
        said = (file.metadata() or {}).get(SAID, "")
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (it is not a mapping)
    about = parse_json(said, where=path)
    sealed = about.pop(SEAL, None) if isinstance(about, dict) else None
    if sealed != seal(about, _arrays(tensors)):
        raise DataError(f"{path}: is not as it was written; bring it back from a copy, or adapt again")
    return _read(said, path), tensors


def _arrays(tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    return {name: tensor.numpy() for name, tensor in tensors.items()}
