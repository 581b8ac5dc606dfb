"""The gates: what the encoder must recognise in frames of scenes that it has never seen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from framebank.demo.captions import PHRASES, tell
from framebank.demo.frames import Frames
from framebank.demo.stage import COLOURS
from framebank.library.table import percent, table

POSE = ("view", "level", "lean", "arms", "legs")
POOL = 128

ImageEncoder: TypeAlias = Callable[[Tensor], Tensor]
TextEncoder: TypeAlias = Callable[[Sequence[str]], Tensor]


@dataclass(frozen=True)
class Figure:
    """One measured share of right answers, and the least share that passes."""

    name: str
    value: float
    least: float
    chance: float

    @property
    def passed(self) -> bool:
        """Whether the share is high enough."""
        return self.value >= self.least


def gate_lines(figures: Sequence[Figure]) -> list[str]:
    """Return a table of the figures, with chance and the least share that passes."""
    rows = [
        (each.name, percent(each.value), percent(each.chance), percent(each.least), "ok" if each.passed else "FAILED")
        for each in figures
    ]
    return table(("", "right", "chance", "gate", ""), rows, align="lrrrl")


def measure(scenes: Sequence[Frames], *, encode_image: ImageEncoder, encode_text: TextEncoder) -> list[Figure]:
    """Measure an encoder; both functions return normalised embeddings (N, D), images come as (N, S, S, 3) uint8."""
    facts = [fact for scene in scenes for fact in scene.facts]
    images = encode_image(torch.from_numpy(np.concatenate([scene.images for scene in scenes])))
    colours = {f"shirt={name}": (f"a person in {'an' if name == 'orange' else 'a'} {name} shirt",) for name in COLOURS}
    trousers = {f"trousers={name}": (f"a person wearing {name} trousers",) for name in COLOURS}
    levels = {k: tuple(f"a person {p}" for p in phrases) for k, phrases in PHRASES.items() if k.startswith("level=")}
    walls = {k: tuple(f"a person {p}" for p in phrases) for k, phrases in PHRASES.items() if k.startswith("backdrop=")}
    return [
        Figure("pose", _retrieval(images, facts, encode_text), 0.42, 1 / POOL),
        Figure("posture", _accuracy(images, facts, levels, encode_text), 0.80, 1 / len(levels)),
        Figure("colour", _accuracy(images, facts, colours, encode_text), 0.80, 1 / len(colours)),
        Figure("trousers", _accuracy(images, facts, trousers, encode_text), 0.75, 1 / len(trousers)),
        Figure("backdrop", _accuracy(images, facts, walls, encode_text), 0.85, 1 / len(walls)),
    ]


def _retrieval(images: Tensor, facts: Sequence[frozenset[str]], encode_text: TextEncoder) -> float:
    """Return how often a frame finds its own caption of the pose among 128 that tell different poses."""
    rng = np.random.default_rng(0)
    captions = [tell(f, POSE, rng=rng) for f in facts]
    texts = encode_text([caption.text for caption in captions])
    hits: list[bool] = []
    for _ in range(20):
        pool: dict[frozenset[str], int] = {}
        for index in rng.permutation(len(facts)):
            pool.setdefault(captions[index].facts, int(index))
        chosen = torch.tensor(list(pool.values())[:POOL])
        nearest = (images[chosen] @ texts[chosen].T).argmax(1)
        hits += (nearest == torch.arange(len(chosen))).tolist()
    return float(np.mean(hits))


def _accuracy(
    images: Tensor,
    facts: Sequence[frozenset[str]],
    prompts: Mapping[str, tuple[str, ...]],
    encode_text: TextEncoder,
) -> float:
    """Return how often the nearest prompt is true. Frames that no prompt is about are left out."""
    names = list(prompts)
    classes = torch.stack([encode_text(prompts[name]).mean(0) for name in names])
    classes = torch.nn.functional.normalize(classes, dim=-1)
    told = (images @ classes.T).argmax(1).tolist()
    hits = [names[answer] in fact for answer, fact in zip(told, facts, strict=True) if fact & set(names)]
    return float(np.mean(hits))
