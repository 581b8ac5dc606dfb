"""Clips of frames: the rows of a store of frames as the clips of a video model whose picture tower made them.

PE-Video embeds each frame by PE-Core and then looks at the frames in their order. So a store of frames by that PE-Core
has all that it needs, and no video is decoded again.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from framebank.extract.encoders.encoder import Encoder, encoder_like
from framebank.extract.encoders.makers import maker_of
from framebank.extract.encoders.preprocess import read_preprocessing
from framebank.extract.windows import clip_places, require_enough_frames, window_facts
from framebank.store.errors import DataError
from framebank.store.exchange.source import RawFrames, Source
from framebank.store.features import FeatureStore
from framebank.store.formats.document import parse_json
from framebank.store.spec import FeatureSpec
from framebank.store.videos.manifest import Manifest
from framebank.store.videos.video import Video

if TYPE_CHECKING:
    from framebank.extract.encoders.makers.made import RowSide
    from framebank.store.shard import Embeddings

OF_CLIPS = "hf"  # the maker of models of clips
OF_OPEN_CLIP = "visual.trunk."  # how open_clip names the weights of a picture tower of timm
CLIPS = 64  # of a video that are embedded at once
ROUNDING = 2**-7  # weights that differ by less are the same, kept in 16 bits


def clips_of_frames(bank: Path, model: str, *, device: str = "auto") -> Source:
    """Return what reads the clips of the videos of a store, with the spec of a store of them.

    The windows are those that `extract` makes of the same frames. DataError if `model` does not embed frames one by
    one, if its picture tower is not the one that made the store, or if frames are prepared otherwise for it.
    """
    frames = FeatureStore(bank)
    encoder = None
    if maker_of(model)[0] == OF_CLIPS:
        encoder = Encoder(model, device=device, precision="fp32", view=frames.spec.view)
    if encoder is None or encoder.rows is None:
        raise DataError(
            f"{model} does not embed frames one by one; expected a model of clips that does: hf:FOLDER of a PE-Video"
        )
    side = encoder.rows
    _require_same_tower(side.tower(), frames.spec, model=model, where=bank)
    _require_same_preprocessing(encoder.spec, frames.spec, model=model, where=bank)
    spec = replace(encoder.spec, sampling=frames.spec.sampling, decoder=frames.spec.decoder, pixels=frames.spec.pixels)

    def read(video: Video) -> RawFrames:
        return _clips(frames[video.video_id], side, size=encoder.clip_frames, device=encoder.device)

    held = set(frames.ids)
    videos = [video for video in frames.manifest.videos if video.video_id in held]
    return Source(Manifest(videos), read, spec)


def _clips(rows: "Embeddings", side: "RowSide", *, size: int, device: torch.device) -> RawFrames:
    """Return the clips of `size` frames of a video, for each of its views and clips of the sampling.

    DataError if it has too few frames for one.
    """
    require_enough_frames(len(np.unique(rows.indices)), size=size)
    groups = np.stack([rows.views, rows.clips], axis=1)  # (T, 2), in order
    firsts = np.flatnonzero(np.r_[True, (groups[1:] != groups[:-1]).any(axis=1)])
    ends = np.r_[firsts[1:], len(groups)]
    places = np.concatenate(
        [first + clip_places(end - first, size=size, num_clips=1) for first, end in zip(firsts, ends, strict=True)]
    )  # (W, size)
    with torch.inference_mode():
        given = torch.from_numpy(rows.data.astype(np.float32)).to(device)
        parts = torch.from_numpy(places).to(device).split(CLIPS)
        values = np.concatenate([side.embed(given[part]).float().cpu().numpy() for part in parts])  # (W, D)
    middle = places[:, size // 2]
    facts = window_facts(rows.indices, rows.timestamps, places)
    return RawFrames(values, views=rows.views[middle], clips=rows.clips[middle], **facts)


def _require_same_tower(tower: Mapping[str, Tensor], spec: FeatureSpec, *, model: str, where: Path) -> None:
    """Refuse a store whose frames another picture tower embedded."""
    weights = encoder_like(spec, device="cpu", precision="fp32").weights()
    own = {name.removeprefix(OF_OPEN_CLIP): one for name, one in weights.items() if name.startswith(OF_OPEN_CLIP)}
    own = own or weights
    other = [name for name, tensor in tower.items() if name not in own or not _is_same(own[name], tensor)]
    if other:
        raise DataError(
            f"{where}: its frames were embedded by {spec.encoder}, which is not the picture tower of {model}: "
            f"{len(other)} of its {len(tower)} weights are others, such as {other[0]}; expected a store made with the "
            "PE-Core that it was trained with"
        )


def _is_same(own: Tensor, other: Tensor) -> bool:
    other = other.cpu().to(own.dtype)
    return own.shape == other.shape and bool(torch.allclose(own, other, rtol=ROUNDING, atol=1e-6))


def _require_same_preprocessing(wanted: FeatureSpec, spec: FeatureSpec, *, model: str, where: Path) -> None:
    """Refuse a store whose frames were cut or scaled otherwise than the model takes them."""
    expected, found = (
        read_preprocessing(parse_json(one.preprocessing, where=where), view=one.view) for one in (wanted, spec)
    )
    for name in ("size", "resize_mode", "interpolation", "mean", "std", "scaled"):
        if getattr(expected, name) != getattr(found, name):
            raise DataError(
                f"{where}: the {name} of its frames is {getattr(found, name)}; {model} takes {getattr(expected, name)}"
            )
