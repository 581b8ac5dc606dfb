"""Resume: the state of a training after an epoch, kept in its folder, from which it goes on after a kill."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from framebank.heads.bank import Bank
from framebank.heads.training.checkpoint import Checkpoint, read_checkpoint, save
from framebank.store.digest import digest
from framebank.store.errors import DataError, parsing
from framebank.store.files.replacing import replacing

STATE = "resume.safetensors"
SECONDS = 60.0  # between two states
MOST_OF_TIME = 0.05  # that goes into writing states; if one takes long, the next one waits
SOURCES = ("model.", "average.module.")  # the modules whose values the best weights may have too
WHAT = "the state of a training"
MOMENTS = {"step", "exp_avg", "exp_avg_sq"}  # what AdamW keeps of a weight: a number, and two of its shape

E = TypeVar("E")


@dataclass
class Keeping:
    """Where a training keeps its state, every so many `seconds`, and whether it `resumes` from what is there.

    A large state is kept less often, so that writing takes MOST_OF_TIME at most; but for 0 seconds, which is each time.
    One process of several `writes`; all of them read. `more` are tensors to keep beside the state. `about` gives the
    recipe and what tells the videos and texts apart, as plain values. It is called when there is a state to write or to
    read.
    """

    folder: Path
    seconds: float = SECONDS
    resumes: bool = False
    writes: bool = True
    about: Callable[[], Mapping[str, Any]] = dict
    more: Mapping[str, Tensor] = field(default_factory=dict)
    _last: float = field(default_factory=time.monotonic)
    _pause: float = 0.0

    def found(self) -> Checkpoint | None:
        """Return the state to go on from, or None if there is none. DataError if it is that of another training."""
        path = self.folder / STATE
        if not self.resumes or not path.is_file():
            return None
        found = read_checkpoint(path, what=WHAT)
        theirs, mine = found.about.values, self.about()
        other = sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name))
        if other:
            raise DataError(
                f"{path}: is {WHAT} with another {other[0]}; expected the same recipe, videos and texts, or a training "
                "from the start, without resume (--resume)"
            )
        return found

    def load(self, state: "TrainingState[Any]") -> None:
        """Go on from the state that is kept, if there is one. DataError if it is damaged, or of another training."""
        if found := self.found():
            with parsing(self.folder / STATE, what=WHAT):
                state.load(found.tensors)

    def keep(self, state: "TrainingState[Any]") -> None:
        """Write a state in place of the last one, if its time has come."""
        begun = time.monotonic()
        if not self.writes or begun - self._last < max(self.seconds, self._pause):
            return
        with replacing(self.folder / STATE) as part:
            part.write_bytes(save(self.about(), {**state.tensors(), **self.more}))
        self._last = time.monotonic()
        self._pause = (self._last - begun) / MOST_OF_TIME if self.seconds else 0.0


@dataclass
class TrainingState(Generic[E]):
    """All that decides how a training goes on: modules by name, optimizer, random state, log, and the best weights.

    `log` has an `epoch` of numbers for each epoch.
    """

    modules: Mapping[str, nn.Module]
    optimizer: torch.optim.Optimizer
    generator: torch.Generator
    epoch: type[E]
    log: list[E] = field(default_factory=list)
    best: dict[str, Tensor] | None = None

    def tensors(self) -> dict[str, Tensor]:
        """Return everything as tensors by name.

        Best weights that a module has too, as after an epoch that is the best, are not among them. `same` says of which
        module they are: 1 for the first of SOURCES, 0 for none, in the order of their names.
        """
        state = self.optimizer.state_dict()["state"]
        held = {key: value for part, module in self.modules.items() for key, value in _of_module(part, module).items()}
        same = {name: _source_of(name, value, held) for name, value in (self.best or {}).items()}
        return {
            "log": log_tensor(self.log, self.epoch),
            "generator": self.generator.get_state(),
            **named("best", ((name, value) for name, value in (self.best or {}).items() if not same[name])),
            "same": torch.tensor([same[name] for name in sorted(same)], dtype=torch.uint8),
            **held,
            **named(
                "optimizer", ((f"{place}.{key}", value) for place, one in state.items() for key, value in one.items())
            ),
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take the state that `tensors` gave. Any error if it is not the state of these modules."""
        for name, module in self.modules.items():
            module.load_state_dict(below(name, tensors))
        learned = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in below("optimizer", tensors).items():
            place, _, key = name.partition(".")
            state.setdefault(int(place), {})[key] = _laid_out_like(learned[int(place)], value)
        for number, moments in state.items():
            shapes, own = {key: tuple(value.shape) for key, value in moments.items()}, tuple(learned[number].shape)
            if shapes != {**dict.fromkeys(MOMENTS, own), "step": ()}:
                raise ValueError(f"its optimizer has {shapes} for a weight of {own}")
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": state, "param_groups": groups})
        self.generator.set_state(tensors["generator"])
        held = self.modules["model"].state_dict()
        self.best = _best_of(tensors, sorted(held)) or None
        if self.best and {name: one.shape for name, one in self.best.items()} != {n: v.shape for n, v in held.items()}:
            raise ValueError("its best weights are not those of the model")
        self.log = log_in(tensors["log"], self.epoch)


def log_tensor(log: Sequence[E], epoch: type[E]) -> Tensor:
    """Return the numbers of epochs as a tensor (epochs, fields of one) float64."""
    names = [one.name for one in fields(epoch)]  # type: ignore[arg-type]
    return torch.tensor([[float(getattr(one, name)) for name in names] for one in log], dtype=torch.float64)


def log_in(rows: Tensor, epoch: type[E]) -> list[E]:
    """Return the epochs that `log_tensor` was given. ValueError if the numbers are not those of epochs."""
    names = [one.name for one in fields(epoch)]  # type: ignore[arg-type]
    return [epoch(**_row(names, row)) for row in rows.tolist()]


def digest_of(bank: Bank) -> str:
    """Return a digest of the rows, the frames that are real, the labels and the ids of a bank."""
    arrays = {name: getattr(bank, name).cpu().numpy() for name in ("x", "mask", "target")}
    return digest({**arrays, "ids": np.frombuffer("\n".join(bank.video_ids).encode(), np.uint8)})


def _source_of(name: str, value: Tensor, held: Mapping[str, Tensor]) -> int:
    """Return the number of the first of SOURCES that has the same bytes under this name, or 0."""
    for number, source in enumerate(SOURCES, 1):
        other = held.get(source + name)
        if other is not None and other.shape == value.shape and other.dtype == value.dtype:
            first, second = (one.detach().contiguous().reshape(-1).view(torch.uint8) for one in (value, other))
            if torch.equal(first, second):
                return number
    return 0


def _best_of(tensors: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """Return the best weights; a state without `same`, of an earlier version, has them all."""
    own = below("best", tensors)
    same = tensors["same"].tolist() if "same" in tensors else []
    if not same:
        return own
    found = {name: SOURCES[number - 1] + name for name, number in zip(names, same, strict=True) if number}
    return own | {name: tensors[place] for name, place in found.items()}


def _laid_out_like(parameter: Tensor, value: Tensor) -> Tensor:
    """Return a value of the shape of its parameter in the same order of memory, which a fused step takes for granted.

    A file has none of these orders; the convolutions of an image tower have their channels last.
    """
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value) if value.shape == parameter.shape else value


def _row(names: Iterable[str], row: Iterable[float]) -> dict[str, Any]:
    return {name: int(value) if name == "number" else value for name, value in zip(names, row, strict=True)}


def _of_module(name: str, module: nn.Module) -> dict[str, Tensor]:
    return named(name, module.state_dict().items())


def named(name: str, tensors: Iterable[tuple[str, Any]]) -> dict[str, Tensor]:
    """Return copies of tensors, with a name and a dot before the name of each."""
    # Tensors that share memory are written apart, as safetensors asks for.
    return {f"{name}.{key}": torch.as_tensor(value).detach().clone() for key, value in tensors}


def below(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors that have a name and a dot before theirs, by the rest of it."""
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}
