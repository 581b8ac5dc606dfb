"""Facts of a report: how the figures were made, one line each, and which lines differ between runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from framebank.store.counts import counted
from framebank.store.spec import name_of_encoder


@dataclass(frozen=True)
class Fact:
    """One line of a protocol: a name, and what it is for each run."""

    name: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether the runs differ in it."""
        return len(set(self.values)) > 1


class HasFacts(Protocol):
    """What the facts are asked of: a run with its V videos, its C labels and how it was measured."""

    @property
    def video_ids(self) -> tuple[str, ...]:
        """The V videos that have a label."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The C labels."""

    @property
    def split(self) -> str:
        """The split that was measured."""

    @property
    def store(self) -> Path:
        """The folder of the store."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """How it was measured."""


def facts_of_runs(runs: Sequence[HasFacts]) -> tuple[Fact, ...]:
    """Return the protocol of some runs, side by side. What no run says is left out."""
    said = [_of_run(run) for run in runs]
    names = [name for name in said[0] if any(one[name] for one in said)]
    return tuple(Fact(name, tuple(one[name] or "-" for one in said)) for name in names)


def _of_run(run: HasFacts) -> dict[str, str]:
    facts = run.facts
    listed = facts.get("videos_listed")
    return {
        "Videos": f"{len(run.video_ids)} labelled{f', {listed} listed' if listed else ''} in split {run.split}",
        "Classes": f"{len(run.labels)}",
        "Store": str(run.store),
        "Encoder": _encoder(facts),
        "Frames": _joined(facts, "sampling", "view", "pixels"),
        "Decoder": _joined(facts, "decoder"),
        "Method": _method(facts),
        "Texts": _texts(facts),
        "Confidence": _confidence(facts),
        "Recipe": _recipe(facts),
        "Version": _joined(facts, "framebank"),
        "Protocol hash": _joined(facts, "protocol_hash"),
    }


def _joined(facts: Mapping[str, Any], *names: str) -> str:
    return ", ".join(str(facts[name]) for name in names if facts.get(name))


def _encoder(facts: Mapping[str, Any]) -> str:
    if not facts.get("model"):
        return ""
    weights = f", weights {str(facts['weights_hash'])[:12]}" if facts.get("weights_hash") else ""
    name = name_of_encoder(str(facts["model"]), str(facts.get("pretrained") or ""))
    return f"{name}{weights}, {facts.get('precision', '')}"


def _method(facts: Mapping[str, Any]) -> str:
    if facts.get("members"):
        return f"average of {', '.join(str(one['name']) for one in facts['members'])}"
    recipe = _part(facts, "recipe")
    return " + ".join(str(recipe[name]) for name in ("head", "classifier") if recipe.get(name))


def _texts(facts: Mapping[str, Any]) -> str:
    templates = facts.get("templates") or ()
    if not templates:
        return ""
    return f"{facts.get('texts')}, {counted(len(templates), 'template')}, {facts.get('scoring')} averaged"


def _confidence(facts: Mapping[str, Any]) -> str:
    found = _part(facts, "confidence")
    return f"temperature {found['temperature']:.4g}" if "temperature" in found else ""


def _recipe(facts: Mapping[str, Any]) -> str:
    """The settings of a recipe that people ask for; what is 0 is not set, but for the seed.

    An average has several recipes, which are in its checkpoint.
    """
    if facts.get("members"):
        return ""
    recipe = _part(facts, "recipe")
    names = ("loss", "epochs", "lr", "batch_size", "shots", "frames")
    told = [f"{name} {recipe[name]}" for name in names if recipe.get(name)]
    return ", ".join([*told, *([f"seed {recipe['seed']}"] if "seed" in recipe else [])])


def _part(facts: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """One part of the facts; nothing if it is not there."""
    found = facts.get(name)
    return found if isinstance(found, Mapping) else {}
