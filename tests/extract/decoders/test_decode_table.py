"""The table of docs/decoding.md that says which decoder is right on which real file: it holds what is measured here.

Run as a script, this prints the table anew.
"""

import functools
import re
import sys
from importlib.util import find_spec

import av
import numpy as np
import pytest

from framebank.extract.decoders.decode import read_frames
from framebank.extract.decoders.frames import UnsupportedError
from framebank.extract.decoders.pixels import Reading
from framebank.extract.decoders.torchcodec import require_torchcodec
from framebank.store.errors import DataError
from framebank.tests.places import ROOT
from framebank.tests.worlds.decode import SAMPLES, TURNS, needs_data

DOCUMENT = ROOT / "docs" / "decoding.md"
TITLE = "| file | `auto`, `pyav` | `torchcodec` | `decord` | torchcodec unchecked | decord unchecked |"

# Frames asked of each file, over its whole length, the first and the last among them; and by how much a channel may
# differ: two builds of FFmpeg may round colours differently.
FRAMES = 32
TOLERANCE = 3


@functools.lru_cache(maxsize=1)  # the frames of a file are as large as that file is long
def decode_from_the_start(path):
    """Decode a file as simply as can be: the indices (N,) to ask for, and their frames where there are any."""
    with av.open(str(path)) as container:
        total = sum(1 for packet in container.demux(video=0) if packet.size and not packet.is_discard)
    indices = np.unique(np.linspace(0, total - 1, FRAMES).round().astype(np.int64))
    frames = {}
    with av.open(str(path)) as container:
        try:
            for index, frame in enumerate(container.decode(video=0)):
                if index in indices:
                    frames[index] = np.rot90(frame.to_ndarray(format="rgb24"), TURNS.get(path.stem, 0))
        except av.FFmpegError:
            assert path.name == "corrupted.mp4"
    return indices, frames


def is_right(image, expected):
    return (
        expected is not None
        and image.shape == expected.shape
        and np.abs(image.astype(int) - expected).max() <= TOLERANCE
    )


def by_framebank(path, decoder):
    """Say what comes of asking framebank for all these frames."""
    indices, expected = decode_from_the_start(path)
    try:
        images = read_frames(path, indices, decoder=decoder, reading=Reading(square=False)).data
    except DataError as error:
        reason = str(error).removeprefix(f"{path}: ")
        unproven = reason.removeprefix(f"{decoder} is not proven right on this file: ")
        return f"not proven: {unproven}" if unproven != reason else f"refused: {reason}"
    return told([not is_right(image, expected.get(i)) for i, image in zip(indices.tolist(), images, strict=True)], 0)


def unchecked(path, open_reader):
    """Say how many frames the library itself gets wrong without a word, each asked for once in random order."""
    indices, expected = decode_from_the_start(path)
    read = open_reader(path)
    wrong, fails = [], 0
    for index in np.random.default_rng(0).permutation(indices).tolist():
        try:
            wrong.append(not is_right(read(index), expected.get(index)))
        except Exception:  # each library has its own kinds
            fails += 1
    return told(wrong, fails)


def told(wrong, fails):
    total = len(wrong) + fails
    failures = f", {fails} fail" if fails else ""
    return f"{sum(wrong)} of {total} wrong{failures}" if sum(wrong) or fails else "right"


def open_torchcodec(path):
    from torchcodec.decoders import VideoDecoder

    reader = VideoDecoder(str(path), dimension_order="NHWC", seek_mode="exact")
    return lambda index: reader.get_frame_at(index).data.numpy()


def open_decord(path):
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    reader = decord.VideoReader(str(path), num_threads=1)
    return lambda index: reader[index].asnumpy()


COLUMNS = {
    "auto": functools.partial(by_framebank, decoder="auto"),
    "torchcodec": functools.partial(by_framebank, decoder="torchcodec"),
    "decord": functools.partial(by_framebank, decoder="decord"),
    "torchcodec unchecked": functools.partial(unchecked, open_reader=open_torchcodec),
    "decord unchecked": functools.partial(unchecked, open_reader=open_decord),
}


def told_table():
    """Return the rows of the table of the document: a dict of columns for each file."""
    text = DOCUMENT.read_text(encoding="utf-8")
    assert TITLE in text
    rows = re.findall(r"^\| `(\S+)` \|(.*)\|$", text[text.index(TITLE) :].partition("\n\n")[0], re.MULTILINE)
    return {name: dict(zip(COLUMNS, (cell.strip() for cell in cells.split("|")), strict=True)) for name, cells in rows}


def draw_table():
    rows = [f"| `{path.name}` | {' | '.join(measure(path) for measure in COLUMNS.values())} |" for path in SAMPLES]
    return "\n".join([TITLE, "|---" * (len(COLUMNS) + 1) + "|", *rows])


@needs_data
def test_the_table_has_a_row_for_each_file():
    assert list(told_table()) == [path.name for path in SAMPLES]


@pytest.mark.slow
@needs_data
@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
@pytest.mark.parametrize("column", COLUMNS)
def test_the_table_is_as_measured(path, column):
    if "decord" in column and not find_spec("decord"):
        pytest.skip("decord is not installed")
    if "torchcodec" in column:
        try:
            require_torchcodec("this column")
        except UnsupportedError as error:
            pytest.skip(str(error))
    row = told_table()[path.name]
    if column.endswith(" unchecked") and row[column.removesuffix(" unchecked")] != "right":
        pytest.skip("what an unproven reader gets wrong may differ from run to run")
    assert row[column] == COLUMNS[column](path)


if __name__ == "__main__":
    sys.stdout.write(draw_table() + "\n")
