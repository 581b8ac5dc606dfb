"""Folders of images, read as the videos they were taken from."""

import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from framebank.extract.decoders import pixels
from framebank.extract.decoders.decode import count_frames, read_clip, read_frames
from framebank.extract.sampling import read_sampling, segment_indices
from framebank.store.errors import DataError
from framebank.tests.worlds.video import draw_index, read_index


def write_images(folder, names):
    folder.mkdir(exist_ok=True)
    for index, name in enumerate(names):
        Image.fromarray(draw_index(index)).save(folder / name)
    return folder


@pytest.fixture
def images(tmp_path):
    """Twelve frames whose names do not sort as text: f1.png ... f12.png."""
    return write_images(tmp_path / "frames", [f"f{number}.png" for number in range(1, 13)])


def test_frames_come_by_the_numbers_in_their_names(images):
    order = [11, 0, 9, 1, 1]
    frames = read_frames(images, np.array(order))
    assert [read_index(image) for image in frames.data] == order
    assert frames.timestamps.tolist() == [index / 25 for index in order]
    assert frames.decoder == "images"
    assert count_frames(images) == 12


def test_a_rate_stands_beside_the_images(images):
    (images / "fps.txt").write_text("4\n")
    frames = read_clip(images, read_sampling("fps:2").rows)
    assert frames.indices.tolist() == [0, 2, 4, 6, 8, 10]
    assert frames.timestamps.tolist() == [0, 0.5, 1, 1.5, 2, 2.5]


@pytest.mark.parametrize("text", ["", "0", "-3", "fast", "25 fps", "nan"])
def test_a_rate_that_is_none(images, text):
    (images / "fps.txt").write_text(text)
    with pytest.raises(DataError, match=r"fps\.txt: holds .*; expected frames per second, such as 29\.97"):
        read_frames(images, np.array([0]))


@pytest.mark.parametrize("suffix", ["jpg", "JPEG", "png", "bmp", "webp"])
def test_kinds_of_images(tmp_path, suffix):
    folder = write_images(tmp_path / "kinds", [f"{number:05d}.{suffix}" for number in range(4)])
    assert [read_index(image) for image in read_frames(folder, np.arange(4)).data] == [0, 1, 2, 3]


def test_an_image_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise
    Image.fromarray(draw_index(5)).save(tmp_path / "1.png", exif=exif)
    np.testing.assert_array_equal(read_frames(tmp_path, np.array([0])).data[0], np.rot90(draw_index(5), -1))


def test_grey_and_palette_become_rgb(tmp_path):
    Image.fromarray(draw_index(5)).convert("L").save(tmp_path / "1.png")
    Image.fromarray(draw_index(6)).convert("P").save(tmp_path / "2.png")
    assert [read_index(image) for image in read_frames(tmp_path, np.arange(2)).data] == [5, 6]


def test_only_the_wanted_images_are_opened(images):
    (images / "f5.png").write_bytes(b"damaged")
    assert len(read_frames(images, np.array([3, 5]))) == 2
    with pytest.raises(DataError, match=r"f5\.png: the image is damaged"):
        read_frames(images, np.array([4]))


def test_an_image_cut_short_is_damaged(images):
    path = images / "f5.png"
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(DataError, match=r"f5\.png: the image is damaged"):
        read_frames(images, np.array([4]))


def test_other_files_and_hidden_images_are_no_frames(images):
    (images / "notes.txt").write_text("taken in June")
    (images / "._f1.png").write_bytes(b"a trace of another system")
    assert count_frames(images) == 12


def test_what_is_no_sequence(images, tmp_path):
    Image.fromarray(draw_index(0)).save(images / "flow_1.png")
    with pytest.raises(DataError, match=r"its images are not one sequence, it holds .* and .*"):
        count_frames(images)
    twice = write_images(tmp_path / "twice", ["f1.png", "f01.png"])
    with pytest.raises(DataError, match=r"two of its images are the same frame, f01\.png and f1\.png"):
        count_frames(twice)


def test_no_images_no_clip(tmp_path):
    with pytest.raises(DataError, match=r"holds no image; expected frames as \.jpg"):
        read_clip(tmp_path, lambda times: segment_indices(len(times), 4))


def test_past_the_end(images):
    with pytest.raises(DataError, match="frame 12 was asked for, 12 frames decode"):
        read_frames(images, np.array([12]))


def test_more_than_eight_bits_are_not_cut_off(tmp_path):
    Image.fromarray(np.full((8, 8), 40_000, dtype=np.uint16)).save(tmp_path / "1.png")
    with pytest.raises(DataError, match="more than 8 bits a channel"):
        read_frames(tmp_path, np.array([0]))


def test_sizes_may_differ(images):
    Image.new("RGB", (32, 32)).save(images / "f7.png")
    frames = read_frames(images, np.arange(12))
    assert frames.data.shape == (12, *draw_index(0).shape)
    assert not frames.data[6].any()


def test_an_image_that_is_too_large(images, monkeypatch):
    monkeypatch.setattr(pixels, "LARGEST_FRAME", 160 * 64)
    assert len(read_frames(images, np.arange(12))) == 12
    Image.new("RGB", (161, 64)).save(images / "f7.png")
    assert len(read_frames(images, np.array([0, 11]))) == 2
    with pytest.raises(DataError, match=r"f7\.png: its frames are 161x64, 10304 pixels; at most 10240 are read"):
        read_frames(images, np.array([6]))


def test_a_very_large_image_is_refused_before_it_is_read(images, recwarn):
    write_png_head(images / "f7.png", width=20_000, height=20_000)
    with pytest.raises(DataError, match=r"f7\.png: its frames have more than 134217728 pixels"):
        read_frames(images, np.array([6]))
    write_png_head(images / "f7.png", width=10_000, height=10_000)  # of which PIL warns
    with pytest.raises(DataError, match=r"f7\.png: the image is damaged"):
        read_frames(images, np.array([6]))
    assert not recwarn.list


def write_png_head(path, *, width, height):
    """Write a PNG file that has its size and no picture."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + head
    content = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", len(head)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path.write_bytes(content + struct.pack(">I", 8) + b"IDAT" + bytes(12))


def test_frames_as_tif(tmp_path):
    folder = write_images(tmp_path / "frames", [f"img_{number:05d}.tif" for number in range(4)])
    assert [read_index(image) for image in read_frames(folder, np.arange(4)).data] == [0, 1, 2, 3]
    pages = [Image.fromarray(draw_index(index)) for index in range(3)]
    pages[0].save(folder / "img_00002.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(DataError, match=r"img_00002\.tif: holds 3 pages; expected one image in each file"):
        read_frames(folder, np.arange(4))


def test_a_frame_that_is_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "1.jpg")
    with pytest.raises(DataError, match=r"1\.jpg: is not a file that can be opened"):
        read_frames(tmp_path, np.arange(1))
