"""Setup: how videos are embedded, as asked for or as the store was made. Making one loads no torch."""

import functools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.extract.decoders.pixels import SQUARE, reading_for
from framebank.extract.sampling import read_sampling
from framebank.store.errors import DataError
from framebank.store.reader import ShardReader
from framebank.store.shard import shard_paths
from framebank.store.spec import FeatureSpec
from framebank.store.upkeep.adoption import shards_of_parts

if TYPE_CHECKING:
    from framebank.extract.cluster.remote_worker import Work

# What a store says about itself, under the names by which it is asked for.
SAME_NAMES = ("model", "sampling", "view", "streams")


@dataclass(frozen=True)
class Setup:
    """How videos are embedded. None means: as in the store, or the usual value if there is no store yet."""

    model: str | None = None
    pretrained: str | None = None
    sampling: str | None = None
    view: str | None = None
    streams: str | None = None
    precision: str | None = None
    device: str | None = None
    decoder: str | None = None
    pixels: str | None = None
    deinterlace: bool = False
    use_damaged: bool = False
    compiled: bool = False
    batch_size: int = 64
    time_limit: float = 300.0

    def like(self, folder: Path) -> "tuple[Setup, dict[str, str]]":
        """Return this setup with its open values filled from the store in a folder, and the values taken from there.

        DataError if the store was made with another model, sampling, view or streams than this one asks for.
        """
        spec = spec_of(folder)
        if spec is None:
            return self, {}
        return self._settled(spec.model)._like(spec, folder)

    def _settled(self, there: str) -> "Setup":
        """Return this setup with the model's name as a spec has it, if that is not the name `there` already."""
        if self.model in (None, there):
            return self
        from framebank.extract.encoders.makers import DEFAULT, settle

        try:
            model, pretrained = settle(str(self.model), self.pretrained)
        except DataError:  # of a name without weights, which may be those of the store
            return replace(self, model=str(self.model).removeprefix(f"{DEFAULT}:"))
        return replace(self, model=model, pretrained=pretrained)

    def _like(self, spec: FeatureSpec, folder: Path) -> "tuple[Setup, dict[str, str]]":
        for name in SAME_NAMES:
            asked, there = getattr(self, name), getattr(spec, name)
            if asked is not None and asked != there:
                raise DataError(
                    f"{folder} was made with {name} {there!r}, this extraction with {name} {asked!r}; "
                    "they cannot be mixed"
                )
        from framebank.extract.decoders.decode import DECODERS
        from framebank.extract.encoders.encoder import PRECISIONS
        from framebank.extract.encoders.makers import recorded_weights

        kind, _, precision = spec.precision.partition("-")
        decoder = spec.decoder.partition(" ")[0]
        found: dict[str, str | None] = {
            **{name: getattr(spec, name) for name in SAME_NAMES},
            "pretrained": recorded_weights(spec.model, spec.pretrained),
            "precision": precision if precision in PRECISIONS else None,
            "device": "cpu" if kind == "cpu" else None,
            "decoder": decoder if decoder in DECODERS and decoder != "pyav" else None,
            "pixels": spec.pixels,
        }
        taken: dict[str, Any] = {
            name: value for name, value in found.items() if value is not None and getattr(self, name) is None
        }
        told = {name: value for name, value in taken.items() if value != USUAL.get(name)}
        return replace(self, **taken), told

    def with_defaults(self) -> "Setup":
        """Return this setup with the usual values for all open ones; DataError without a model.

        A model that reads clips has so many frames of each video that they fill whole clips.
        """
        if not self.model:
            raise DataError("no model is given; expected one, such as PE-Core-B-16 with the pretrained weights meta")
        from framebank.extract.encoders.makers import clip_frames_of

        if self.sampling is None and (size := clip_frames_of(self.model, self.pretrained)) > 1:
            return replace(self, sampling=f"segments:{-(-USUAL_FRAMES // size) * size}").with_defaults()
        usual: dict[str, Any] = {name: value for name, value in USUAL.items() if getattr(self, name) is None}
        return replace(self, **usual)

    def work(self) -> "Work":
        """Return what is done to every video, on any machine; DataError if that is impossible."""
        from framebank.extract.cluster.remote_worker import Work
        from framebank.extract.decoders.decode import decode_clip, decoder_versions
        from framebank.extract.encoders.encoder import Encoder

        whole = self.with_defaults()
        chosen = read_sampling(str(whole.sampling))
        if "trunk" in str(whole.streams) and not chosen.is_fixed:
            raise DataError(
                "the stream trunk needs a fixed number of frames of each video; expected --frames or --clips"
            )
        if "patch_mean" in str(whole.streams) and not chosen.is_fixed:
            raise DataError(
                "the stream patch_mean is a mean over a fixed number of frames; expected --frames or --clips"
            )
        make_encoder = functools.partial(
            Encoder,
            str(whole.model),
            whole.pretrained,
            precision=str(whole.precision),
            view=str(whole.view),
            streams=str(whole.streams),
            compile=whole.compiled,
        )
        reading = reading_for(self.pixels or "", deinterlace=whole.deinterlace, use_damaged=whole.use_damaged)
        return Work(
            make_encoder,
            chosen,
            functools.partial(decode_clip, decoder=str(whole.decoder), reading=reading),
            functools.partial(decoder_versions, decoder=str(whole.decoder)),
            batch_size=whole.batch_size,
            time_limit=whole.time_limit,
            pixels=reading.pixels,
        )


USUAL_FRAMES = 16  # of a video
USUAL = {
    "sampling": f"segments:{USUAL_FRAMES}",
    "view": "centre",
    "streams": "frame",
    "precision": "auto",
    "device": "auto",
    "decoder": "auto",
    "pixels": SQUARE,
}


def spec_of(folder: Path) -> FeatureSpec | None:
    """Return how the store in a folder was made; None if it holds no embedding yet.

    What the workers of a cluster left in its part stores counts too.
    """
    first = next(iter((*shard_paths(folder), *shards_of_parts(folder))), None)
    if first is None:
        return None
    with ShardReader(first) as reader:
        return reader.contents.spec
