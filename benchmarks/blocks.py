"""Blocks: what heads that end in an attention block and a mean save, because its last layer reads the mean.

python benchmarks/blocks.py [--heads mit,vivit,transformer] [--frames 16] [--width 512] [--steps 6]

A step is forward and backward of a batch of 32 made-up videos. One way asks the head for its answer, the other takes
the mean of the frames that it makes (`mix`), as all heads did before. They take turns. All figures are milliseconds of
CPU of one thread, the median of the steps; the ratio is that of the medians, in one run.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import click

BATCH = 32


@click.command()
@click.option("--heads", default="mit,vivit,transformer")
@click.option("--frames", default=16)
@click.option("--width", default=512)
@click.option("--steps", default=6)
def main(heads: str, frames: int, width: int, steps: int) -> None:
    """Measure them and print a row for each head."""
    import torch

    from framebank.heads import HEADS
    from framebank.heads.masking import masked_mean

    torch.set_num_threads(1)
    x = torch.randn(BATCH, frames, width, generator=torch.Generator().manual_seed(0))
    mask = torch.ones(BATCH, frames, dtype=torch.bool)
    for name in heads.split(","):
        torch.manual_seed(0)
        head: Any = HEADS[name](width)
        ways: tuple[Callable[[], Any], ...] = (
            lambda head=head: head(x, mask),
            lambda head=head: masked_mean(*head.mix(x, mask)),
        )
        spent: list[list[float]] = [[], []]
        for number in range(steps + 1):
            for way, own in zip(ways, spent, strict=True):
                started = time.process_time()
                way().square().sum().backward()
                if number:  # the first step is not counted
                    own.append(1000 * (time.process_time() - started))
        mean, every = map(statistics.median, spent)
        click.echo(f"{name:12s} {mean:7.1f} ms of CPU, by every frame {every:7.1f}, ratio {mean / every:.2f}")


if __name__ == "__main__":
    main()
