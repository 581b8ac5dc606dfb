"""Preprocessing: byte for byte the transform of open_clip, and light to load."""

import ast
import itertools
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from framebank.extract import preprocess, views
from framebank.extract.encoder import normalise
from framebank.extract.preprocess import read_preprocessing
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
        "framebank.extract.views",
        "framebank.store.errors",
        "collections.abc",
        *sys.stdlib_module_names,
    }
    for module in (preprocess, views):
        tree = ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))
        names = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert names <= allowed
