"""Twenty probes at once against one: seconds of one CPU core for the same epochs, in turn, in one run.

python benchmarks/probes.py [--videos 384] [--rounds 3] [--recipes linear-probe,attentive-probe,attentive-tokens]

Made-up embeddings of the shapes of the demo: 16 frames of 128 numbers, or 8 frames of 4 places of 128 numbers for
tokens, 16 classes. Validation is a tenth more videos. Prints the least time of some rounds for one training, and for
the twenty learning rates and weight decays trained together; and the ratio.
"""

import time
from dataclasses import replace

import click
import torch

CPU = torch.device("cpu")
CLASSES, WIDTH = 16, 128
SHAPES = {"attentive-tokens": (8, 4)}  # frames and places
EPOCHS = {"linear-probe": 40, "attentive-probe": 4, "attentive-tokens": 1}


@click.command()
@click.option("--videos", default=384)
@click.option("--rounds", default=3)
@click.option("--recipes", default="linear-probe,attentive-probe,attentive-tokens")
@click.option("--probes", default=20)
def main(videos: int, rounds: int, recipes: str, probes: int) -> None:
    """Time each recipe alone and with its probes, and print one line for each."""
    torch.set_num_threads(1)
    for name in recipes.split(","):
        found = [(_seconds(name, videos, 0), _seconds(name, videos, probes)) for _ in range(rounds)]
        one, several = (min(times) for times in zip(*found, strict=True))
        print(f"{name}: one {one:.2f} s, {probes} probes {several:.2f} s, {several / one:.2f} times", flush=True)


def _seconds(name: str, videos: int, probes: int) -> float:
    from framebank.heads.bank import Bank
    from framebank.heads.training.build import build_model
    from framebank.heads.training.loop import fit
    from framebank.heads.training.probes import fit_probes
    from framebank.heads.training.recipe import read_recipe

    frames, places = SHAPES.get(name, (16, 1))
    recipe = read_recipe(name)
    options = {**recipe.head_options, **({"places": places} if places > 1 else {})}
    changes = {"epochs": EPOCHS[name], "min_steps": 0, "stream": "frame", "head_options": options}
    recipe = replace(recipe, probes=probes, **changes)

    def bank(count: int) -> Bank:
        drawn = torch.Generator().manual_seed(count)
        x = torch.randn(count, frames * places, WIDTH, generator=drawn).half()
        mask = torch.ones(x.shape[:2], dtype=torch.bool)
        ids = tuple(map(str, range(count)))
        return Bank(ids, x, mask, torch.arange(count) % CLASSES, count, num_classes=CLASSES)

    train, val = bank(videos), bank(videos // 10)
    model = build_model(recipe, dim=WIDTH, num_classes=CLASSES, texts=None)
    started = time.process_time()
    if probes:
        list(fit_probes(model, recipe, train, val=val, device=CPU))
    else:
        list(fit(model, recipe, train, val=val, texts=None, device=CPU))
    return time.process_time() - started


if __name__ == "__main__":
    main()
