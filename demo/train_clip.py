"""Train the tiny CLIP on rendered frames: python -m framebank.demo.train_clip --out DIR [--minutes M] [--seed N]."""

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import open_clip
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from framebank.demo.clips import HELD_OUT_SPACE, TRAIN_SPACE
from framebank.demo.frames import CAPTIONS_PER_FRAME, FRAMES_PER_SCENE, Frames, draw_frames
from framebank.demo.gates import gate_lines, measure
from framebank.demo.pose import JOINTS
from framebank.demo.weights import CONFIG, MODEL, UNKNOWN, Vocabulary, new_model, save_weights
from framebank.store.files.parallel import call_in_processes

NUM_SCENES, NUM_HELD_OUT = 14000, 400
SCENES_PER_BATCH, CAPTIONS_PER_IMAGE = 32, 2
LEARNING_RATE, WARM_UP_STEPS, WEIGHT_DECAY = 1.5e-3, 100, 0.05
UNKNOWN_SHARE = 0.2


@dataclass(frozen=True, eq=False)
class Batch:
    """Images (B, 3, S, S), joints (B, 34), facts (B, K), tokens (N, L), which caption is true of which image (B, N)."""

    images: Tensor
    joints: Tensor
    facts: Tensor
    tokens: Tensor
    true: Tensor


class TrainingSet:
    """All frames in memory: images, joints, captions and the facts that decide which caption fits which frame."""

    def __init__(self, scenes: Sequence[Frames]) -> None:
        tokenizer = open_clip.get_tokenizer(MODEL)
        self.images = torch.from_numpy(np.concatenate([scene.images for scene in scenes]))
        self.joints = torch.from_numpy(np.concatenate([scene.joints for scene in scenes]))
        captions = [caption for scene in scenes for frame in scene.captions for caption in frame]
        texts = sorted({caption.text for caption in captions})
        rows = {text: row for row, text in enumerate(texts)}
        tokens = torch.cat([tokenizer(texts[start : start + 4096]) for start in range(0, len(texts), 4096)])
        self.vocabulary = Vocabulary(tokens)
        self.tokens = self.vocabulary.number(tokens)
        per_frame = (-1, CAPTIONS_PER_FRAME)
        self.captions = torch.tensor([rows[caption.text] for caption in captions]).unflatten(0, per_frame)
        facts = [fact for scene in scenes for fact in scene.facts]
        kinds = {fact: number for number, fact in enumerate(sorted(frozenset().union(*facts)))}
        self.facts = _multi_hot(facts, kinds)
        self.told = _multi_hot([caption.facts for caption in captions], kinds).unflatten(0, per_frame)

    def draw(self, rng: np.random.Generator) -> Batch:
        """Draw a batch of scenes with four frames each: within a scene, only the pose tells the frames apart."""
        scenes = torch.from_numpy(rng.choice(len(self.images) // FRAMES_PER_SCENE, SCENES_PER_BATCH, replace=False))
        frames = (scenes[:, None] * FRAMES_PER_SCENE + torch.arange(FRAMES_PER_SCENE)).flatten()
        chosen = torch.from_numpy(rng.permuted(np.tile(np.arange(CAPTIONS_PER_FRAME), (len(frames), 1)), axis=1))
        chosen = chosen[:, :CAPTIONS_PER_IMAGE]
        told = self.told[frames[:, None], chosen].flatten(0, 1).float()
        facts = self.facts[frames].float()
        missing = (1.0 - facts) @ told.T  # (B, N): stated facts that are not true
        tokens = self.tokens[self.captions[frames[:, None], chosen].flatten()].clone()
        images = _pixels(self.images[frames])
        return Batch(images, self.joints[frames], facts, _with_unknown(tokens, rng), missing == 0)


def _multi_hot(facts: Sequence[frozenset[str]], kinds: dict[str, int]) -> Tensor:
    table = torch.zeros(len(facts), len(kinds), dtype=torch.bool)
    for row, found in zip(table.numpy(), facts, strict=True):
        row[[kinds[fact] for fact in found]] = True
    return table


def _pixels(images: Tensor) -> Tensor:
    """Normalise as open_clip does: (B, S, S, 3) uint8 -> (B, 3, S, S), channels last in memory."""
    mean, std = torch.tensor(open_clip.OPENAI_DATASET_MEAN), torch.tensor(open_clip.OPENAI_DATASET_STD)
    return ((images.float() / 255.0 - mean) / std).permute(0, 3, 1, 2)


def _with_unknown(tokens: Tensor, rng: np.random.Generator) -> Tensor:
    """Insert one or two unknown words into some captions, so that unseen words do no harm later: (N, L)."""
    table = tokens.numpy()
    for row in np.flatnonzero(rng.random(len(table)) < UNKNOWN_SHARE):
        for _ in range(rng.integers(1, 3)):
            end = int(table[row].argmax())
            if end < len(table[row]) - 1:
                at = rng.integers(1, end + 1)
                table[row, at + 1 : end + 2] = table[row, at : end + 1].copy()
                table[row, at] = UNKNOWN
    return tokens


def _backward(model: open_clip.CLIP, helper: nn.Module, batch: Batch, towers: ThreadPoolExecutor) -> float:
    """Add the gradients of one batch and return its loss."""
    # At this size a second thread does not speed up a tower, so the towers run in parallel, one thread each.
    outputs = list(towers.map(_embed, (model.encode_image, model.encode_text), (batch.images, batch.tokens)))
    images, texts = (output.detach().requires_grad_() for output in outputs)
    loss = _loss(images, texts, model.logit_scale.exp(), helper, batch)
    loss.backward()
    list(towers.map(torch.autograd.backward, outputs, (images.grad, texts.grad)))
    return loss.item()


def _embed(tower: Callable[[Tensor], Tensor], inputs: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        return tower(inputs).float()


def _loss(images: Tensor, texts: Tensor, scale: Tensor, helper: nn.Module, batch: Batch) -> Tensor:
    logits = scale * F.normalize(images, dim=-1) @ F.normalize(texts, dim=-1).T
    # Every caption that is true of an image is a positive, not only the captions drawn from it.
    true = batch.true.float()
    to_text = F.cross_entropy(logits, true / true.sum(1, keepdim=True))
    to_image = F.cross_entropy(logits.T, (true / true.sum(0, keepdim=True)).T)
    joints, facts = helper(images).split([batch.joints.shape[1], batch.facts.shape[1]], dim=1)
    place = F.smooth_l1_loss(joints, batch.joints, beta=0.05)
    return (to_text + to_image) / 2 + place + 5.0 * F.binary_cross_entropy_with_logits(facts, batch.facts)


def _train(frames: TrainingSet, *, minutes: float, seed: int) -> open_clip.CLIP:
    torch.manual_seed(seed)
    rng = np.random.default_rng([TRAIN_SPACE, seed])
    model = new_model(frames.vocabulary).to(memory_format=torch.channels_last).train()
    # Predicts joints and facts from the image embedding and is then thrown away: it makes the embedding keep them.
    helper = nn.Linear(model.text_projection.shape[1], 2 * JOINTS + frames.facts.shape[1])
    parameters = [*model.parameters(), *helper.parameters()]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": WEIGHT_DECAY},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=LEARNING_RATE, betas=(0.9, 0.98))
    towers = ThreadPoolExecutor(2)
    start, step, running = time.monotonic(), 0, 0.0
    while (share := (time.monotonic() - start) / (60.0 * minutes)) < 1.0:
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * min(1.0, (step + 1) / WARM_UP_STEPS) * 0.5 * (1.0 + math.cos(math.pi * share))
        optimizer.zero_grad(set_to_none=True)
        running += _backward(model, helper, frames.draw(rng), towers)
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0.0, math.log(100.0))
        step += 1
        if step % 100 == 0:
            seen = step * SCENES_PER_BATCH * FRAMES_PER_SCENE
            print(f"{100 * share:5.1f} %  {seen:7d} images  loss {running / 100:.3f}", flush=True)
            running = 0.0
    return model.eval()


def _render(count: int, *, space: int, seed: int, image_size: int) -> Iterator[Frames]:
    draw = partial(draw_frames, space=space, seed=seed, image_size=image_size)
    yield from call_in_processes(draw, [(number,) for number in range(count)], processes=2, name="rendering process")


def text_encoder(model: open_clip.CLIP) -> Callable[[Sequence[str]], Tensor]:
    """Return a function from sentences to normalised embeddings (N, D)."""
    tokenizer = open_clip.get_tokenizer(MODEL)

    def encode(texts: Sequence[str]) -> Tensor:
        with torch.inference_mode():
            return F.normalize(model.encode_text(tokenizer(list(texts))).float(), dim=-1)

    return encode


def image_encoder(model: open_clip.CLIP) -> Callable[[Tensor], Tensor]:
    """Return a function from images (N, S, S, 3) uint8 to normalised embeddings (N, D)."""

    def encode(images: Tensor) -> Tensor:
        dtype = model.visual.conv1.weight.dtype
        with torch.inference_mode():
            parts = [model.encode_image(_pixels(part).to(dtype)).float() for part in images.split(256)]
        return F.normalize(torch.cat(parts), dim=-1)

    return encode


def main() -> int:
    """Train, measure, and keep the weights only if they pass every gate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder that tiny-clip.pt is written to")
    parser.add_argument("--minutes", type=float, default=10.0, help="training time, without rendering")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    open_clip.add_model_config(CONFIG)
    image_size = open_clip.get_model_config(MODEL)["vision_cfg"]["image_size"]
    start = time.monotonic()
    frames = TrainingSet(list(_render(NUM_SCENES, space=TRAIN_SPACE, seed=arguments.seed, image_size=image_size)))
    seconds = time.monotonic() - start
    print(f"{len(frames.images)} frames rendered in {seconds:.0f} s, {len(frames.vocabulary)} tokens used", flush=True)
    model = _train(frames, minutes=arguments.minutes, seed=arguments.seed)
    arguments.out.mkdir(parents=True, exist_ok=True)
    candidate = arguments.out / "tiny-clip.candidate.pt"
    save_weights(model, frames.vocabulary, candidate)
    held_out = list(_render(NUM_HELD_OUT, space=HELD_OUT_SPACE, seed=arguments.seed, image_size=image_size))
    # Measure the file, because everybody else will load the file.
    model = open_clip.create_model(MODEL, pretrained=str(candidate)).eval()
    figures = measure(held_out, encode_image=image_encoder(model), encode_text=text_encoder(model))
    print(*gate_lines(figures), sep="\n")
    if not all(figure.passed for figure in figures):
        print(f"a gate failed: {arguments.out / MODEL}.pt was left as it is, see {candidate}", file=sys.stderr)
        return 1
    candidate.replace(arguments.out / f"{MODEL}.pt")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
