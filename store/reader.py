"""ShardReader: one complete shard, read video by video."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from framebank.store.formats.datasets import Datasets
from framebank.store.formats.description import Form, Value
from framebank.store.formats.eight_bits import TAIL, is_packed, unpack
from framebank.store.formats.remembered import Known
from framebank.store.shard import FRAME_STREAM, PATCH_MEAN, SOURCE, WINDOW, Embeddings
from framebank.store.spec import FeatureSpec

# The kinds of numbers that each dataset may hold. Streams hold floats.
INTEGERS = ("end", "frame_index", "view", "clip")
KIND_OF = {"timestamp": "f", WINDOW: "f", **dict.fromkeys(INTEGERS, "iu")}
READ_BYTES = 1 << 22  # of values in 16 bits that are made at once of those in 8
STREAMS, VIDEO_STREAMS = "streams/", "video_streams/"

MEND = "`framebank store repair` sets it aside, and its videos can be extracted again"


@dataclass(frozen=True)
class Contents:
    """What a shard says about itself: how it was made, its videos, the end row of each video, their decoders."""

    spec: FeatureSpec
    ids: tuple[str, ...]
    ends: tuple[int, ...]
    decoders: tuple[str, ...]


class ShardReader:
    """An open shard. DataError if it is damaged or is not a shard.

    If an earlier reader of the same file passes what it found, `known`, the file is not examined again. With `anew` it
    is always examined. A reader belongs to one process: after a fork or a pickle, open another.
    """

    def __init__(self, path: Path, *, known: Known | None = None, anew: bool = False) -> None:
        self.path = path
        self._file = Datasets(path, known=known, anew=anew, mend="" if anew else MEND)

    def __enter__(self) -> "ShardReader":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. What was read stays valid."""
        self._file.close()

    @property
    def known(self) -> Known:
        """What was found in the file, for further readers of it."""
        return self._file.known

    @cached_property
    def contents(self) -> Contents:
        """What the shard says about itself. DataError if its parts disagree."""
        file = self._file
        unread = [field.name for field in fields(FeatureSpec) if file.attributes.get(field.name, "") is None]
        if unread:
            raise file.damaged(f"is damaged: its {unread[0]} is neither a text nor a finite number")
        spec = FeatureSpec.from_dict(dict(file.attributes), where=self.path)
        ids, decoders, ends = file.strings("video_id"), file.strings("decoder"), self._ends()
        problem = next(self._odd(spec, len(ids), int(ends[-1]) if len(ends) else 0), "")
        if not len(ids) == len(ends) == len(decoders) > 0 or problem:
            raise file.damaged(problem or "is damaged: its rows do not add up")
        return Contents(spec, tuple(ids), tuple(ends.tolist()), tuple(decoders))

    def _ends(self) -> np.ndarray:
        """The end row of each video, (V,), ascending."""
        if len(self._file.shape("end")) != 1 or np.dtype(self._file.form("end").dtype).kind not in "iu":
            raise self._file.damaged("is damaged: end does not hold whole numbers (V,)")
        ends = self._file.whole("end").astype(np.int64)
        if not (np.diff(ends, prepend=0) > 0).all():
            raise self._file.damaged("is damaged: its rows do not add up")
        return ends

    def _odd(self, spec: FeatureSpec, num_videos: int, num_rows: int) -> Iterator[str]:
        """Yield what is wrong with the datasets. Only their forms are examined."""
        streams = {name.split("/")[1]: name for name in self.names if name.startswith((STREAMS, VIDEO_STREAMS))}
        if set(streams) != spec.stream_names:
            has, says = ", ".join(sorted(streams)), ", ".join(sorted(spec.stream_names))
            yield f"has the streams {has}, its spec says {says}"
        optional = {"view", "clip", WINDOW} & set(self.names)
        packed = {f"{STREAMS}{name}" for name in spec.packed_streams}
        for name in ("timestamp", "frame_index", *streams.values(), *optional):
            form, kinds = self._file.form(name), KIND_OF.get(name, "u" if name in packed else "f")
            expected = num_videos if name.startswith(VIDEO_STREAMS) else num_rows
            if np.dtype(form.dtype).kind not in kinds:
                yield f"is damaged: {name} holds {form.dtype}, expected {'floats' if kinds == 'f' else 'whole numbers'}"
            if name in packed and not (is_packed(form.dtype) and form.shape[1:] and form.shape[-1] > TAIL):
                yield f"is damaged: {name} holds {form.dtype} {form.shape}, expected bytes (..., W + {TAIL})"
            shape = (expected, 2) if name == WINDOW else (expected,)
            if form.shape[: len(shape)] != shape or (name in KIND_OF and len(form.shape) != len(shape)):
                yield f"is damaged: {name} has the shape {form.shape}, expected {expected} rows"
        if self._file.shape(f"{STREAMS}{FRAME_STREAM}") != (num_rows, spec.dim):
            yield f"is damaged: its embeddings are not {num_rows} of {spec.dim}"

    @property
    def sources(self) -> dict[str, str]:
        """The file that each video was read from, as text, or "" if it is not known. DataError if it is damaged."""
        ids = self.contents.ids
        words = self._file.strings(SOURCE) if SOURCE in self.names else [""] * len(ids)
        if len(words) != len(ids):
            raise self._file.damaged(f"is damaged: it tells {len(words)} sources of {len(ids)} videos")
        return dict(zip(ids, words, strict=True))

    @property
    def stamp(self) -> tuple[int, int]:
        """The size and time of the open file, which tell it from another file with the same name."""
        return self.known.stamp[:2]

    @property
    def names(self) -> list[str]:
        """The paths of the datasets in the file."""
        return list(self.forms)

    @property
    def forms(self) -> Mapping[str, Form]:
        """The datasets in the file."""
        return self._file.forms

    @property
    def attributes(self) -> Mapping[str, Value]:
        """The attributes of the file."""
        return self._file.attributes

    def whole(self, name: str) -> np.ndarray | list[str]:
        """Return a whole dataset, strings as a list. DataError if it cannot be read."""
        return self._file.strings(name) if self._file.form(name).is_text else self._file.whole(name)

    def rows(self, start: int, end: int) -> Embeddings:
        """Return the rows from `start` to `end`, without other streams: data (R, D) as it is stored."""
        return Embeddings(
            data=self.column(f"{STREAMS}{FRAME_STREAM}", start, end),
            timestamps=self.column("timestamp", start, end),
            indices=self.column("frame_index", start, end),
            views=self.column("view", start, end),
            clips=self.column("clip", start, end),
            windows=self.column(WINDOW, start, end) if WINDOW in self.names else None,
        )

    def video(self, position: int) -> Embeddings:
        """Return everything about the video at a position in `contents.ids`, its other streams as they are kept."""
        ends = self.contents.ends
        start, end = (ends[position - 1] if position else 0), ends[position]
        names = self.contents.spec.stream_names
        mean = self.column(f"{VIDEO_STREAMS}{PATCH_MEAN}", position, position + 1)[0] if PATCH_MEAN in names else None
        further = {n: self.codes(f"{STREAMS}{n}", start, end) for n in names - {FRAME_STREAM, PATCH_MEAN}}
        return replace(self.rows(start, end), streams=further, patch_mean=mean)

    def column(self, name: str, start: int, end: int) -> np.ndarray:
        """Return rows of one dataset as a separate array; empty if the store keeps no views or clips."""
        if name in ("view", "clip") and name not in self._file.forms:
            return np.zeros(0, dtype=np.int64)
        values = self._file.rows(name, start, end)
        return unpack(values) if self._is_packed(name) else values

    def codes(self, name: str, start: int, end: int) -> np.ndarray:
        """Return rows of one dataset as they are kept: those in 8 bits as codes."""
        return self._file.rows(name, start, end)

    def picked(self, name: str, rows: np.ndarray) -> np.ndarray:
        """Return some rows of one dataset, (...) of row numbers -> (..., D)."""
        values = self._file.picked(name, rows)
        return unpack(values) if self._is_packed(name) else values

    def read_into(self, name: str, out: np.ndarray, *, start: int = 0) -> None:
        """Fill the contiguous array `out` with the rows of a dataset from `start` on, as fast as it can be read."""
        if not self._is_packed(name):
            self._file.read_into(name, out, start=start)
            return
        step = max(1, READ_BYTES // max(1, out[:1].nbytes))
        for first in range(0, len(out), step):
            part = out[first : first + step]
            part[:] = unpack(self._file.rows(name, start + first, start + first + len(part)))

    def _is_packed(self, name: str) -> bool:
        return name.startswith(STREAMS) and is_packed(self._file.form(name).dtype)
