"""A made-up world for the tests of store and extract: an encoder of 8 dims and clips without a decoder."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from framebank.extract.encoders.preprocess import Preprocessing
from framebank.extract.encoders.tokens import TextReader
from framebank.extract.sampling import read_sampling
from framebank.extract.worker import Task
from framebank.store import Embeddings, FeatureSpec, Manifest, ShardWriter, Video
from framebank.store.formats.description import DIGEST, NUM_TEXTS, dataset_digest, unpacked
from framebank.store.formats.hdf5 import describe
from framebank.tests.worlds.fake_decoder import fake_decode

DIM = 8
SPEC = FeatureSpec(
    model="fake",
    pretrained="tag",
    weights_hash="0123456789abcdef",
    dim=DIM,
    preprocessing="{}",
    precision="cpu-fp32",
    sampling="segments:4",
    decoder="fake 1.0",
)


PREPROCESSING = Preprocessing(
    size=(2, 2), resize_mode="shortest", interpolation="bicubic", fill_color=0, mean=(0, 0, 0), std=(1, 1, 1)
)


def fake_task(sampling: str = "segments:4") -> Task:
    return Task(read_sampling(sampling), PREPROCESSING, fake_decode)


def fake_tokens(texts: list[str], context_length: int | None = None) -> Tensor:
    """A token for each byte, of which 64 are read; 0 pads."""
    length = context_length or 64
    return torch.tensor([[*text.encode()[:length], *[0] * (length - len(text.encode()))] for text in texts])


@dataclass
class FakeEncoder:
    """Each embedding is a fixed projection of its own frame's pixels."""

    spec: FeatureSpec = SPEC
    logit_scale: float = 100.0
    preprocessing: Preprocessing = PREPROCESSING
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    batches: list[int] = field(default_factory=list)
    clip_frames: int = 1
    logit_bias: float | None = None

    def start(self, pixels: Tensor) -> np.ndarray:
        self.batches.append(len(pixels))
        flat = pixels.numpy().reshape(len(pixels), -1).astype(np.float64)  # (N, 12)
        return (flat[:, :DIM] * np.arange(1, DIM + 1) / 64 - flat[:, 4:]).astype(np.float32)

    def finish(self, handle: np.ndarray) -> dict[str, np.ndarray]:
        return {"frame": handle}

    def encode_frames(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        return self.finish(self.start(torch.from_numpy(pixels)))

    @property
    def reader(self) -> TextReader:
        return TextReader(fake_tokens, model="fake")

    def encode_texts(self, texts, *, phrases=None, watch=iter) -> np.ndarray:
        texts = [text for batch in watch([list(texts)]) for text in batch]
        return np.stack([np.random.default_rng(list(t.encode())).normal(size=DIM) for t in texts]).astype(np.float32)


def videos(*names: str) -> tuple[Video, ...]:
    return tuple(Video(name, Path("/videos") / f"{name}.mp4", label=name[0]) for name in names)


def embeddings(rows: int = 3, *, seed: int = 0) -> Embeddings:
    data = np.random.default_rng(seed).normal(size=(rows, DIM)).astype(np.float16)
    return Embeddings(data=data, timestamps=np.arange(rows) / 25, indices=np.arange(rows))


def make_store(folder: Path, rows: dict[str, int], *, spec: FeatureSpec = SPEC, max_videos: int = 2) -> Path:
    """Write a store whose videos have these numbers of rows, each drawn by its place."""
    folder.mkdir(exist_ok=True)
    with ShardWriter(folder, spec, max_videos=max_videos) as writer:
        for seed, (video_id, count) in enumerate(rows.items()):
            writer.add(video_id, embeddings(count, seed=seed), decoder=f"d{seed}")
    Manifest(videos(*rows)).write(folder / "manifest.csv")
    return folder


@contextmanager
def edited(path: Path) -> Iterator[h5py.File]:
    """Open a file to change what it holds; its checksums are right again when it is closed."""
    with h5py.File(path, "a") as file:
        yield file
    with h5py.File(path, "a") as file:
        for name in describe(file, size=path.stat().st_size, watch=lambda: None).forms:
            if DIGEST in file[name].attrs and file[name].dtype.kind != "O":
                file[name].attrs[DIGEST] = dataset_digest(file[name][()])
        seal(file, path)


def seal(file: h5py.File, path: Path) -> None:
    """Give a file the checksum over its attributes and those of its datasets, right or wrong as these are."""
    if DIGEST in file.attrs:
        file.attrs[DIGEST] = describe(file, size=path.stat().st_size, watch=lambda: None).digest


def make_earlier(path: Path) -> None:
    """Make a file one of version 0.1.0: its strings are HDF5's, and nothing checks its attributes."""
    with h5py.File(path, "a") as file:
        for name, dataset in list(file.items()):
            if isinstance(dataset, h5py.Dataset) and NUM_TEXTS in dataset.attrs:
                checksum, texts = dataset.attrs[DIGEST], unpacked(bytes(dataset[:]), int(dataset.attrs[NUM_TEXTS]))
                del file[name]
                file.create_dataset(name, data=texts, dtype=h5py.string_dtype()).attrs[DIGEST] = checksum.decode()
        for name, value in file.attrs.items():
            if isinstance(value, bytes):
                file.attrs[name] = value.decode()
        del file.attrs[DIGEST]
