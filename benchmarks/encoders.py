"""How long encoders take for a frame, side by side: random weights, float32, time of the CPU, the best of some rounds.

python benchmarks/encoders.py --rounds 3 [--only ViT-B-16,xclip]
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from framebank.extract.encoders.makers import make
from framebank.extract.encoders.makers.families import FAMILIES

BATCH = 4  # frames
PICTURES = (
    ("ViT-B-32", 224),
    ("ViT-B-16", 224),
    ("ViT-B-16-SigLIP2", 224),
    ("PE-Core-B-16", 224),
    ("timm:vit_small_patch16_dinov3", 256),
    ("timm:vit_base_patch16_dinov3", 256),
)
# model_type -> the fields of its config that are not the usual ones, and the size of its pictures
CLIPS: dict[str, tuple[dict[str, Any], int]] = {
    "xclip": ({"vision_config": {"patch_size": 16}}, 224),
    "videomae": ({}, 224),
    "videoprism_vision_model": ({}, 288),
    "vjepa2": ({"frames_per_clip": 16}, 256),
}


def main() -> None:
    """Time every model in turn, as often as asked, and print the best time of each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="these models, by commas; ViT-B-16 is always there to compare with")
    options = parser.parse_args()
    torch.set_num_threads(1)  # the time of the CPU is then that of the clock, on a machine with nothing else to do
    wanted = {"ViT-B-16", *options.only.split(",")} if options.only else {*dict(PICTURES), *CLIPS}
    passes = {name: _picture(name, size) for name, size in PICTURES if name in wanted}
    passes |= {name: _clip(name) for name in CLIPS if name in wanted}
    best: dict[str, float] = {}
    for _ in range(options.rounds):
        for name, (run, frames, _dim) in passes.items():
            started = time.process_time()
            with torch.inference_mode():
                run()
            spent = (time.process_time() - started) / frames * 1000
            best[name] = min(best.get(name, spent), spent)
    for name, spent in best.items():
        _run, frames, dim = passes[name]
        told = {"model": name, "ms_per_frame": round(spent, 1), "times_vit_b_16": round(spent / best["ViT-B-16"], 2)}
        print(json.dumps({**told, "frames_at_once": frames, "bytes_per_row": 2 * dim}))
    print(json.dumps({"load": os.getloadavg()}))


def _picture(name: str, size: int) -> tuple[Callable[[], Tensor], int, int]:
    made = make(name, "none")
    made.network.eval()
    pixels = torch.randn(BATCH, 3, size, size)
    return lambda: made.embed(pixels), BATCH, made.dim


def _clip(kind: str) -> tuple[Callable[[], Tensor], int, int]:
    import transformers

    family, (fields, size) = FAMILIES[kind], CLIPS[kind]
    config = transformers.AutoConfig.for_model(kind, **fields)
    model = transformers.AutoModel.from_config(config).eval()
    frames = family.clip_frames(config)
    clips = torch.randn(1, frames, 3, size, size)
    return lambda: family.embed(model, clips), frames, family.dim(config)


if __name__ == "__main__":
    main()
