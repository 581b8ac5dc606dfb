"""Encoder: the frozen towers of a model of any maker, fed with bytes."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor
from torch.nn import Module

from framebank.extract.decoders.pixels import SQUARE
from framebank.extract.encoders.device import resolve_device
from framebank.extract.encoders.makers import make, recorded_weights, settle, weights_name
from framebank.extract.encoders.makers.made import RowSide, TextSide
from framebank.extract.encoders.preprocess import Preprocessing, read_preprocessing
from framebank.extract.encoders.streams import Streams, read_streams
from framebank.extract.encoders.text_tower import TextTower
from framebank.extract.encoders.text_trunk import TextTrunk, no_text_trunk
from framebank.extract.encoders.tokens import TextReader
from framebank.extract.encoders.trunk import Trunk, no_trunk
from framebank.extract.encoders.weights import NO_WEIGHTS, hash_weights
from framebank.store.errors import DataError
from framebank.store.spec import FeatureSpec

BATCH_SIZE = 256  # sentences
PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Running:
    """A batch on its way through an encoder: its results, and on CUDA the event of their arrival."""

    streams: Mapping[str, Tensor]
    arrived: torch.cuda.Event | None = None
    source: Tensor | None = None  # kept until then, as the copy to the device may still be reading it

    @property
    def is_done(self) -> bool:
        """Whether its results are there, without waiting for them."""
        return self.arrived is None or self.arrived.query()


class Encoder:
    """Turn frames, or clips of `clip_frames` frames, and texts into un-normalised embeddings of one joint space.

    `model` is a name of open_clip, "timm:NAME", "hf:FOLDER or NAME", or "demo" for the model that comes with this
    package; `pretrained` is one of its tags, the path of a checkpoint, or "none" for random weights (drawn from a fixed
    seed). None is for a model that brings its weights, such as "demo" and those of the Hugging Face hub. `view` says
    which parts of a frame are encoded, as "centre+flip" does (views.py), and `streams` what is kept beside each
    embedding, as "frame,regions:3" does (streams.py); `compile` compiles the image tower at its first batch. On CUDA
    the towers run under autocast; a CPU with bf16 arithmetic runs the image tower with bf16 weights, which halves the
    time. A model that normalises by default, such as CoCa, does not do so here. A model of timm, and some of hf, have
    no texts (`has_texts`).

    DataError for an unknown model, tag, view or stream, a model without `pretrained`, weights that cannot be had or do
    not fit, and OpenAI weights under a config without quick-GELU, which would silently give wrong embeddings.
    """

    def __init__(
        self,
        model: str,
        pretrained: str | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
        view: str = "centre",
        streams: str = "frame",
        compile: bool = False,  # noqa: A002 - the word of torch
    ) -> None:
        self.device = resolve_device(device)
        self.precision = _resolve_precision(precision, self.device)
        model, pretrained = settle(model, pretrained)
        self.random_weights = pretrained == NO_WEIGHTS
        wanted = read_streams(streams)
        if compile and len(wanted) > 1:
            raise DataError(f"a compiled encoder gives only the frame stream, but {streams} are wanted")
        made = make(model, pretrained)
        config = dict(made.preprocessing)
        self.preprocessing: Preprocessing = read_preprocessing(config, view=view)
        self.spec = FeatureSpec(
            model=model,
            pretrained=weights_name(model, pretrained),
            weights_hash=hash_weights(made.network),
            dim=made.dim,
            preprocessing=json.dumps(config, sort_keys=True),
            precision=f"{self.device.type}-{self.precision}",
            sampling="",
            decoder="",
            view=view,
            streams=streams,
            pixels=SQUARE,
        )
        self.clip_frames = made.clip_frames
        self._network = made.network.to(self.device).eval().requires_grad_(False)
        self._made = made
        self._dtype = PRECISIONS[self.precision]
        if self.device.type == "cpu" and self._dtype is not torch.float32:
            # Autocast on a CPU converts the weights again for every batch and is slower than fp32.
            for part in made.visual:
                part.to(self._dtype)
        self._streams = Streams(made.open_tower, wanted, model=model, open_block=self._open_block)
        if compile:
            for part in made.visual:
                part.compile()
        self._copying = torch.cuda.Stream(self.device) if self.device.type == "cuda" else None

    @torch.inference_mode()
    def start(self, pixels: np.ndarray | Tensor) -> Running:
        """Start to encode pictures (N, S_h, S_w, 3) uint8, or clips of them (N, T, S_h, S_w, 3), as the model reads.

        Return what `finish` takes. On CUDA this returns at once; pinned memory is not copied first, and must not be
        written to before `finish`.
        """
        source = torch.as_tensor(pixels)
        if self._copying is None:
            return Running(self._encode(source))
        source = source if source.is_pinned() else source.pin_memory()
        computing = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(self._copying):
            on_device = source.to(self.device, non_blocking=True)
        computing.wait_stream(self._copying)
        on_device.record_stream(computing)  # its memory was given out on the other stream
        with torch.cuda.device(self.device):
            streams = {name: _copy_back(tensor) for name, tensor in self._encode(on_device).items()}
            arrived = torch.cuda.Event()
            arrived.record(computing)
        return Running(streams, arrived, source)

    def finish(self, running: Running) -> dict[str, np.ndarray]:
        """Wait for a batch and return its streams by name; "frame" holds un-normalised embeddings (N, D) float32.

        The shapes of the others are those of `Streams.collect`.
        """
        if running.arrived is not None:
            running.arrived.synchronize()
        return {name: tensor.numpy() for name, tensor in running.streams.items()}

    def encode_frames(self, pixels: np.ndarray | Tensor) -> dict[str, np.ndarray]:
        """Encode pictures (N, S_h, S_w, 3) uint8 at once: what `finish` returns."""
        return self.finish(self.start(pixels))

    def encode_texts(
        self,
        texts: Sequence[str],
        *,
        phrases: Sequence[str] | None = None,
        watch: Callable[[Sequence[list[str]]], Iterable[list[str]]] = iter,
    ) -> np.ndarray:
        """Encode sentences -> un-normalised embeddings (N, D) float32.

        A DataWarning names texts that are cut, because they are longer than the tower reads, and words that it does not
        know: those of `phrases`, if the sentences are made from these, or else of the sentences themselves. `watch`
        passes the batches of sentences on and may show the progress.
        """
        self.reader.warn_of_cut(texts)
        self.reader.warn_of_unknown(texts if phrases is None else phrases)
        batches = [list(texts[start : start + BATCH_SIZE]) for start in range(0, len(texts), BATCH_SIZE)]
        return np.concatenate([self._encode_batch(batch) for batch in watch(batches)])

    @torch.inference_mode()
    def _encode_batch(self, texts: Sequence[str]) -> np.ndarray:
        embeddings = self.texts.encode(self.reader.read(texts).to(self.device))
        return np.asarray(embeddings.float().cpu().numpy())

    def text_tower(self) -> TextTower:
        """Return the text tower alone, open at its token embeddings; DataError if it is not like CLIP's."""
        return self.texts.open(self.texts.read_tokenizer())

    @property
    def rows(self) -> RowSide | None:
        """What makes clips of the rows of frames, if the model embeds frames one by one first."""
        return self._made.rows

    @property
    def has_texts(self) -> bool:
        """Whether the model has a text tower."""
        return self._made.texts is not None

    @property
    def texts(self) -> TextSide:
        """The text tower with its logit scale and bias; DataError if the model has none."""
        if self._made.texts is None:
            raise DataError(
                f"{self.spec.model} has no text tower: heads and neighbours work with it, texts do not; expected a "
                "model with texts, such as PE-Core-B-16, or a classifier that reads none, such as linear"
            )
        return self._made.texts

    @property
    def logit_scale(self) -> float:
        """What the model multiplies a cosine of a frame and a text with; DataError if it has no texts."""
        return self.texts.logit_scale

    @property
    def logit_bias(self) -> float | None:
        """What a model that was trained with a sigmoid adds to that; None for a softmax. DataError without texts."""
        return self.texts.logit_bias

    @cached_property
    def reader(self) -> TextReader:
        """The reader of texts for the text tower; made when it is first needed, because frames do not need it."""
        return TextReader(self.texts.read_tokenizer(), model=self.spec.model, table=self.texts.table)

    def trunk(self, blocks: int) -> Trunk:
        """Return the blocks of the image tower, which has at least that many. DataError if it cannot be cut there."""
        model = self.spec.model
        if self._made.open_trunk is None:
            raise no_trunk(model, why=f"models of {model.partition(':')[0]} are not cut")
        trunk = self._made.open_trunk()
        trunk.require_blocks(blocks, model=model)
        return trunk

    def text_trunk(self, blocks: int) -> TextTrunk:
        """Return the blocks of the text tower, which has at least that many. DataError if it cannot be cut there."""
        model, open_trunk = self.spec.model, self.texts.open_trunk
        if open_trunk is None:
            raise no_text_trunk(model, why="is not one of open_clip")
        trunk = open_trunk()
        trunk.require_blocks(blocks, model=model)
        return trunk

    def weights(self) -> dict[str, Tensor]:
        """Return every tensor of the network by its name in the library."""
        return self._network.state_dict()

    @property
    def uses_quick_gelu(self) -> bool:
        """Whether the network computes with OpenAI's quick-GELU."""
        return any(type(module).__name__ == "QuickGELU" for module in self._network.modules())

    def _open_block(self, blocks: int) -> Module:
        return self.trunk(blocks).blocks[-blocks]

    def _encode(self, pixels: Tensor) -> dict[str, Tensor]:
        pictures = pixels.flatten(0, -4)  # (N, ..., S_h, S_w, 3) -> (N * ..., S_h, S_w, 3)
        images = normalise(pictures, mean=self.preprocessing.mean, std=self.preprocessing.std)
        if pixels.ndim == 5:
            images = images.unflatten(0, pixels.shape[:2])  # (N * T, 3, S_h, S_w) -> (N, T, 3, S_h, S_w)
        on_cpu = self.device.type == "cpu"
        enabled = not on_cpu and self._dtype is not torch.float32
        with torch.autocast(self.device.type, dtype=self._dtype if enabled else None, enabled=enabled):
            frame = self._made.embed(images.to(self._dtype) if on_cpu else images)
            streams = {"frame": frame, **self._streams.collect()}
        return {name: tensor.float() for name, tensor in streams.items()}


def normalise(pixels: Tensor, *, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return what the network takes, (N, 3, H, W) float32: pictures (N, H, W, 3) uint8 on the scale of its training."""
    images = torch.einsum("nhwc->nchw", pixels).to(torch.float32)  # (N, 3, H, W), channels last in memory
    shift, scale = (torch.tensor(values, device=pixels.device)[:, None, None] for values in (mean, std))  # (3, 1, 1)
    return images.div_(255).sub_(shift).div_(scale)


def encoder_like(spec: FeatureSpec, *, device: str = "auto", precision: str | None = None) -> Encoder:
    """Return the encoder that made `spec`, with its precision if the device is of the same kind, or another one.

    It has the views of that spec and the frame stream alone. DataError if the weights have changed.
    """
    pretrained = recorded_weights(spec.model, spec.pretrained)
    kind, _, own = spec.precision.partition("-")
    same_kind = kind == resolve_device(device).type and own in PRECISIONS
    precision = precision or (own if same_kind else "auto")
    encoder = Encoder(spec.model, pretrained, device=device, precision=precision, view=spec.view)
    if encoder.spec.weights_hash != spec.weights_hash:
        raise DataError(
            f"{spec.model}/{spec.pretrained or 'random weights'} has the weights {encoder.spec.weights_hash[:12]} now, "
            f"but {spec.weights_hash[:12]} when the embeddings were made; bring those weights back, or extract again"
        )
    return encoder


def _resolve_precision(name: str, device: torch.device) -> str:
    if name in PRECISIONS:
        return name
    if name != "auto":
        raise DataError(f"the precision {name!r} is not known; expected auto, {', '.join(PRECISIONS)}")
    if device.type == "cpu":
        return "bf16" if torch.ops.mkldnn._is_mkldnn_bf16_supported() else "fp32"
    return "fp16"


def _copy_back(tensor: Tensor) -> Tensor:
    """Start to copy a tensor into pinned memory, where it must not be read before the work queued so far is done."""
    return torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True).copy_(tensor, non_blocking=True)
