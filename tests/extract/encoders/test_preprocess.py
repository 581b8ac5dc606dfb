"""Preprocessing: byte for byte the transform of open_clip, and light to load."""

import ast
import itertools
import pickle
import resource
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from framebank.extract.encoders import preprocess, views
from framebank.extract.encoders.encoder import normalise
from framebank.extract.encoders.preprocess import read_preprocessing
from framebank.store import DataError

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)

SHAPES = [(48, 48), (31, 77), (77, 31), (49, 48), (120, 161), (48, 63), (20, 33), (33, 20), (7, 200), (240, 320)]


def theirs(image: np.ndarray, config: PreprocessCfg) -> torch.Tensor:
    return image_transform_v2(config, is_train=False)(Image.fromarray(image))


@pytest.mark.parametrize("resize_mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear", "random"])
@pytest.mark.parametrize("size", [48, (48, 48), (32, 49), (51, 30)], ids=str)
def test_bytes_are_those_of_open_clip(size: int | tuple[int, int], interpolation: str, resize_mode: str) -> None:
    config = PreprocessCfg(size, "RGB", MEAN, STD, interpolation, resize_mode, fill_color=77)
    ours = read_preprocessing(vars(config))
    generator = np.random.default_rng(0)
    for height, width in SHAPES:
        image = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
        pixels = torch.from_numpy(ours(image))
        found = normalise(pixels, mean=ours.mean, std=ours.std)[0]
        assert torch.equal(found, theirs(image, config)), (height, width)


def test_every_small_shape_rounds_alike() -> None:
    image = np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    for mode in ("shortest", "longest"):
        config = PreprocessCfg(13, resize_mode=mode)
        ours = read_preprocessing(vars(config))
        for height, width in itertools.product(range(7, 40, 3), range(7, 40, 4)):
            part = np.ascontiguousarray(image[:height, :width])
            found = normalise(torch.from_numpy(ours(part)), mean=ours.mean, std=ours.std)[0]
            assert torch.equal(found, theirs(part, config)), (mode, height, width)


def waves(height: int, width: int) -> np.ndarray:
    """A smooth picture (height, width, 3) whose every part is another."""
    down, across = np.mgrid[0:height, 0:width]
    channels = [127 + 120 * np.sin(down / 9 + shift) * np.cos(across / 7 - shift) for shift in range(3)]
    return np.stack(channels, axis=-1).astype(np.uint8)


@pytest.mark.parametrize("resize_mode", ["shortest", "longest", "squash"])
@pytest.mark.parametrize("shape", [(3, 900), (900, 3), (40, 700), (700, 40), (1, 500), (500, 1), (64, 64)], ids=str)
def test_a_part_is_the_part_of_the_whole(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], resize_mode: str
) -> None:
    """Where the resized frame is not made for being too large, its parts are the same up to rounding."""
    ours = preprocess.Preprocessing((24, 24), resize_mode, "bicubic", 0, MEAN, STD, tuple(views.VIEWS))
    image = waves(*shape)
    whole = ours(image)
    monkeypatch.setattr(preprocess, "LARGEST_RESIZED", 0)
    assert np.abs(ours(image).astype(int) - whole).max() <= 3


@pytest.mark.parametrize("view", list(views.GROUPS))
@pytest.mark.parametrize("shape", [(60000, 1), (1, 60000), (3, 30000), (30000, 3)], ids=str)
def test_extreme_shapes_take_no_memory(shape: tuple[int, int], view: str) -> None:
    ours = read_preprocessing(vars(PreprocessCfg(224, mean=MEAN, std=STD)), view=view)
    image = np.zeros((*shape, 3), np.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pictures = ours(image)
    assert pictures.shape == (len(ours.views), 224, 224, 3)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024  # KiB; it was 9 GB


def test_every_byte_is_normalised_alike() -> None:
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)[..., None].repeat(3, axis=2)
    config = PreprocessCfg(16, mean=MEAN, std=STD)
    found = normalise(torch.from_numpy(image[None]), mean=MEAN, std=STD)
    assert torch.equal(found[0], theirs(image, config))
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_it_travels_to_another_process() -> None:
    ours = read_preprocessing(vars(PreprocessCfg(16)), view="ten-view")
    copy = pickle.loads(pickle.dumps(ours))
    image = np.random.default_rng(2).integers(0, 256, (30, 20, 3), dtype=np.uint8)
    np.testing.assert_array_equal(copy(image), ours(image))
    assert copy(image).shape == (10, 16, 16, 3)


@pytest.mark.parametrize(
    ("change", "told"),
    [({"resize_mode": "fit"}, "resize mode 'fit'"), ({"interpolation": "nearest"}, "interpolation 'nearest'")],
)
def test_configs_that_open_clip_would_not_take(change: dict[str, str], told: str) -> None:
    with pytest.raises(DataError, match=told):
        read_preprocessing({**vars(PreprocessCfg()), **change})
    with pytest.raises(DataError, match=r"views \('corner',\)"):
        preprocess.Preprocessing((8, 8), "squash", "bicubic", 0, MEAN, STD, ("corner",))


def test_no_heavy_library_is_loaded() -> None:
    allowed = {
        "numpy",
        "PIL",
        "framebank.extract.encoders.views",
        "framebank.store.errors",
        "collections.abc",
        *sys.stdlib_module_names,
    }
    for module in (preprocess, views):
        tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
        names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert names <= allowed
