"""Twenty probes at once against one: seconds of one CPU core for the same epochs, in turn, in one run.

python benchmarks/probes.py [--videos 384] [--rounds 3] [--recipes linear-probe,attentive-probe,attentive-tokens]
    [--frames T] [--places P] [--width D] [--batch B] [--epochs E] [--precision fp32|bf16] [--whole]

Made-up embeddings, of the shapes of the demo where nothing else is asked for: 16 frames of 128 numbers, or 8 frames of
4 places of 128 numbers for tokens, 16 classes. Validation is a tenth more videos. Prints the least time of some rounds
for one training, and for the twenty learning rates and weight decays trained together; and the ratio. Probes that stop
early do so after an eighth, a quarter and half of the epochs: with fewer than eight that is later, or never.
"""

import time
from dataclasses import dataclass, replace
from typing import Any

import click
import torch

CPU = torch.device("cpu")
CLASSES = 16


@dataclass(frozen=True)
class Shape:
    """How large a training is: videos of frames of places of `width` numbers, and how many of them in a batch."""

    videos: int
    frames: int
    places: int
    width: int
    epochs: int
    batch: int
    precision: str
    whole: bool


@click.command()
@click.option("--videos", default=384)
@click.option("--rounds", default=3)
@click.option("--recipes", default="linear-probe,attentive-probe,attentive-tokens")
@click.option("--probes", default=20)
@click.option("--frames", default=0, help="0: those of the demo.")
@click.option("--places", default=0, help="Of each frame; 0: those of the demo.")
@click.option("--width", default=128)
@click.option("--batch", default=0, help="0: that of the recipe.")
@click.option("--epochs", default=0, help="0: 40 of linear-probe, 4 of attentive-probe, 1 of attentive-tokens.")
@click.option("--whole", is_flag=True, help="No probe stops early.")
@click.option("--precision", default="fp32", type=click.Choice(["fp32", "bf16"]))
def main(rounds: int, recipes: str, probes: int, **shape: Any) -> None:
    """Time each recipe alone and with its probes, and print one line for each."""
    torch.set_num_threads(1)
    for name in recipes.split(","):
        own = _shape_of(name, Shape(**shape))
        found = [(_seconds(name, own, 0), _seconds(name, own, probes)) for _ in range(rounds)]
        one, several = (min(times) for times in zip(*found, strict=True))
        print(f"{name}: one {one:.2f} s, {probes} probes {several:.2f} s, {several / one:.2f} times", flush=True)


def _shape_of(name: str, asked: Shape) -> Shape:
    """Return the asked shape, with the demo's where it is 0."""
    of_tokens = name == "attentive-tokens"
    epochs = {"linear-probe": 40, "attentive-probe": 4, "attentive-tokens": 1}
    frames, places = asked.frames or (8 if of_tokens else 16), asked.places or (4 if of_tokens else 1)
    return replace(asked, frames=frames, places=places, epochs=asked.epochs or epochs[name])


def _seconds(name: str, shape: Shape, probes: int) -> float:
    from framebank.heads.bank import Bank
    from framebank.heads.training.build import build_model
    from framebank.heads.training.loop import fit
    from framebank.heads.training.probes import fit_probes
    from framebank.heads.training.recipe import read_recipe

    recipe = read_recipe(name)
    recipe = replace(
        recipe,
        probes=probes,
        epochs=shape.epochs,
        min_steps=0,
        batch_size=shape.batch or recipe.batch_size,
        precision=shape.precision,
        stream="frame",
        halving=recipe.halving and not shape.whole,
        head_options={**recipe.head_options, **({"places": shape.places} if shape.places > 1 else {})},
    )

    def bank(count: int) -> Bank:
        drawn = torch.Generator().manual_seed(count)
        x = torch.randn(count, shape.frames * shape.places, shape.width, generator=drawn).half()
        mask = torch.ones(x.shape[:2], dtype=torch.bool)
        ids = tuple(map(str, range(count)))
        return Bank(ids, x, mask, torch.arange(count) % CLASSES, count, num_classes=CLASSES)

    train, val = bank(shape.videos), bank(shape.videos // 10)
    model = build_model(recipe, dim=shape.width, num_classes=CLASSES, texts=None)
    started = time.process_time()
    if probes:
        list(fit_probes(model, recipe, train, val=val, device=CPU))
    else:
        list(fit(model, recipe, train, val=val, texts=None, device=CPU))
    return time.process_time() - started


if __name__ == "__main__":
    main()
