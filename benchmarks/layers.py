"""Places of several layers against those of the last one: a learned query on the demo encoder, on the same videos.

python benchmarks/layers.py STORE [--shots 4] [--seeds 3] [--ways last,joined,summed,passed] [--json FILE]

STORE has the streams frame,trunk:2 of the demo's clips under the demo encoder, in fp32 (benchmarks/adapt.py makes one).
The two blocks run on what was kept: three maps, what enters them, what is between them and what leaves them, each
pooled to 2 x 2 places a frame of 8. All ways are the recipe attentive-probe with 600 steps: "last" on the places of the
last map, "joined" on those of all three side by side in one token, "summed" with a query of its own for each map, whose
answers are projected and added, "passed" with one query that goes through a block for each map in turn, the decoder of
EVL (Lin et al. 2022, arXiv 2208.03550). Top-1 on the test videos, and the difference to "last", with the 95 % interval
of a bootstrap over the test videos of the mean over seeds.
"""

import json
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from framebank.heads.temporal.attention import heads_for, initialise
from framebank.heads.temporal.attentive import Attentive

CPU = torch.device("cpu")
FRAMES, SIDE = 8, 2
BASE = "last"
WAYS = (BASE, "joined", "summed", "passed")
WIDTHS = [128, 256, 512]


class Summed(nn.Module):
    """A query for the places of each map: their answers, projected to one width, are added."""

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.widths = widths
        self.readers = nn.ModuleList(Attentive(width, places=SIDE**2) for width in widths)
        self.project = nn.ModuleList(nn.Linear(width, widths[-1]) for width in widths)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool tokens of all maps side by side, x (B, N, sum of W), mask (B, N) -> (B, W)."""
        parts = zip(self.readers, self.project, x.split(self.widths, -1), strict=True)
        answers = [project(reader(part, mask)) for reader, project, part in parts]
        return torch.stack(answers).sum(0)


class Passed(nn.Module):
    """EVL's decoder: a query reads the places of the first map, and what it has become reads those of the next one.

    A block is cross attention and a mlp, each behind a norm and added. Maps are projected to the width of the last one,
    and have positions of their own for time and place; EVL's convolution over frames and its attention between
    neighbouring frames are not in.
    """

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.widths, dim = widths, widths[-1]
        self.query = nn.Parameter(torch.empty(dim))
        self.times = nn.Parameter(torch.empty(len(widths), FRAMES, 1, dim))
        self.places = nn.Parameter(torch.empty(len(widths), 1, SIDE**2, dim))
        self.project = nn.ModuleList(nn.Linear(width, dim) for width in widths)
        norms = (nn.ModuleList(nn.LayerNorm(dim) for _ in widths) for _ in range(3))
        self.token_norm, self.query_norm, self.mlp_norm = norms
        self.attend = nn.ModuleList(nn.MultiheadAttention(dim, heads_for(dim), batch_first=True) for _ in widths)
        self.mlp = nn.ModuleList(
            nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim)) for _ in widths
        )
        initialise(self)
        for table in (self.query, self.times, self.places):
            nn.init.trunc_normal_(table, std=0.02)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Pool tokens of all maps side by side, x (B, N, sum of W), mask (B, N), all true -> (B, W)."""
        query = self.query.expand(len(x), 1, -1)
        for depth, part in enumerate(x.split(self.widths, -1)):
            tokens = self.project[depth](part) + (self.times[depth] + self.places[depth]).flatten(0, 1)
            tokens = self.token_norm[depth](tokens)
            query = query + self.attend[depth](self.query_norm[depth](query), tokens, tokens, need_weights=False)[0]
            query = query + self.mlp[depth](self.mlp_norm[depth](query))
        return query.squeeze(1)


READERS = {"summed": Summed, "passed": Passed}


@click.command()
@click.argument("place", metavar="STORE", type=click.Path(exists=True, path_type=Path))
@click.option("--shots", default=4, help="Training videos of each class.")
@click.option("--seeds", default=3)
@click.option("--ways", default=",".join(WAYS))
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write the figures to this file.")
def main(place: Path, shots: int, seeds: int, ways: str, json_path: Path | None) -> None:
    """Train each way with each seed and print one line for each."""
    import framebank as fb

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    bank = fb.open(place)
    told: dict[str, Any] = {}
    rights: dict[str, np.ndarray] = {}
    for way in ways.split(","):
        started = time.process_time()
        rights[way] = right = np.stack([_right(bank, way, seed, shots) for seed in range(seeds)])  # (seeds, V)
        gain = right.mean(0) - rights.get(BASE, right).mean(0)  # (V,)
        drawn = np.random.default_rng(0).integers(0, len(gain), (10_000, len(gain)))
        interval = np.percentile(gain[drawn].mean(1), [2.5, 97.5])
        seconds = (time.process_time() - started) / seeds
        told[way] = {"top1": right.mean(1).tolist(), "gain": [gain.mean(), *interval], "cpu_seconds": seconds}
        print(way, right.mean(), json.dumps(told[way]), flush=True)
    if json_path:
        json_path.write_text(json.dumps(told, indent=1))


def _right(bank: Any, way: str, seed: int, shots: int) -> np.ndarray:
    """Return which test videos are right, (V,)."""
    from framebank.heads.bank import load_bank
    from framebank.heads.model import Model
    from framebank.heads.predictions import predict_logits
    from framebank.heads.training.build import build_model
    from framebank.heads.training.loop import fit
    from framebank.library.training import recipe_of, training_job
    from framebank.store import Manifest

    recipe = recipe_of("attentive-probe", {"seed": seed, "shots": shots, "batch_size": 32}, {})
    job = training_job(bank, bank.split("train"), recipe, device=CPU)
    chosen = bank.manifest.of_ids(job.train.video_ids)
    how: Any = {"device": CPU, "num_frames": FRAMES, "stream": "trunk"}
    train, test = (load_bank(bank, videos, job.labels, **how) for videos in (Manifest(chosen), bank.split("test")))
    train, test = (_turned(part, way) for part in (train, test))
    recipe = recipe_of(recipe, {}, {"head.places": SIDE**2})
    torch.manual_seed(seed)
    model = build_model(recipe, dim=train.x.shape[-1], num_classes=len(job.labels), texts=None)
    if way in READERS:
        plain = build_model(recipe, dim=WIDTHS[-1], num_classes=len(job.labels), texts=None)
        model = Model(READERS[way](WIDTHS), plain.classifier, frame_norm=False)
    for _ in fit(model, recipe, train, val=None, texts=None, device=CPU):
        pass
    return (predict_logits(model, test, device=CPU).argmax(1) == test.target).numpy()


@torch.no_grad()
def _turned(bank: Any, way: str) -> Any:
    """Return a bank of maps, x (V, T, C, H, W), with what a way reads of them: x (V, T * places, width)."""
    from framebank.extract.encoders.encoder import Encoder

    kept, trunk = bank.x, Encoder("demo", None, device="cpu", precision="fp32").trunk(2)
    maps = [kept.float().flatten(0, 1)]
    for block in trunk.blocks[-2:]:
        block.eval()
        maps.append(torch.cat([block(part) for part in maps[-1].split(256)]))
    places = [F.normalize(F.adaptive_avg_pool2d(one, SIDE).flatten(2).mT, dim=-1) for one in maps]  # (V * T, S, W)
    found = places[-1] if way == BASE else torch.cat(places, dim=-1)
    x = found.unflatten(0, kept.shape[:2]).flatten(1, 2)
    return replace(bank, x=x, mask=torch.ones(x.shape[:2], dtype=torch.bool))


if __name__ == "__main__":
    main()
