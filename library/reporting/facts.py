"""Facts of a report: how the figures were made, one line each, and which lines differ between runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from framebank.library.reporting.runs import EvaluatedRun
from framebank.store.counts import counted


@dataclass(frozen=True)
class Fact:
    """One line of a protocol: a name, and what it is for each run."""

    name: str
    values: tuple[str, ...]

    @property
    def differs(self) -> bool:
        """Whether the runs differ in it."""
        return len(set(self.values)) > 1


def facts_of_runs(runs: Sequence[EvaluatedRun]) -> tuple[Fact, ...]:
    """Return the protocol of some runs, side by side. What no run says is left out."""
    said = [_of_run(run) for run in runs]
    names = list(dict.fromkeys(name for one in said for name in one))
    return tuple(Fact(name, tuple(one.get(name, "-") for one in said)) for name in names)


def _of_run(run: EvaluatedRun) -> dict[str, str]:
    facts = run.facts
    listed = facts.get("videos_listed")
    told = {
        "Videos": f"{len(run.targets)} labelled{f', {listed} listed' if listed else ''} in split {run.split}",
        "Classes": f"{len(run.labels)}",
        "Store": str(run.store),
        "Encoder": _encoder(facts),
        "Frames": _joined(facts, "sampling", "view", "pixels"),
        "Decoder": _joined(facts, "decoder"),
        "Method": _method(facts),
        "Texts": _texts(facts),
        "Confidence": _confidence(facts),
        "Recipe": _recipe(facts),
        "framebank": _joined(facts, "framebank"),
        "Protocol hash": _joined(facts, "protocol_hash"),
    }
    return {name: value for name, value in told.items() if value}


def _joined(facts: Mapping[str, Any], *names: str) -> str:
    return ", ".join(str(facts[name]) for name in names if facts.get(name))


def _encoder(facts: Mapping[str, Any]) -> str:
    if not facts.get("model"):
        return ""
    weights = f", weights {str(facts['weights_hash'])[:12]}" if facts.get("weights_hash") else ""
    return f"{facts['model']}/{facts.get('pretrained') or 'RANDOM WEIGHTS'}{weights}, {facts.get('precision', '')}"


def _method(facts: Mapping[str, Any]) -> str:
    recipe = facts.get("recipe") or {}
    return " + ".join(str(recipe[name]) for name in ("head", "classifier") if recipe.get(name))


def _texts(facts: Mapping[str, Any]) -> str:
    templates = facts.get("templates") or ()
    if not templates:
        return ""
    return f"{facts.get('texts')}, {counted(len(templates), 'template')}, {facts.get('scoring')} averaged"


def _confidence(facts: Mapping[str, Any]) -> str:
    found = facts.get("confidence") or {}
    return f"temperature {found['temperature']:.3f}" if "temperature" in found else "as the model gives it"


def _recipe(facts: Mapping[str, Any]) -> str:
    """The numbers of a recipe that people ask for."""
    recipe = facts.get("recipe") or {}
    names = ("loss", "epochs", "lr", "batch_size", "shots", "seed", "frames")
    return ", ".join(f"{name} {recipe[name]}" for name in names if recipe.get(name) or name == "seed")
