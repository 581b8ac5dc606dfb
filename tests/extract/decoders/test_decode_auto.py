"""`auto`: PyAV, and another installed decoder only where PyAV lacks the codec."""

import sys
from importlib.util import find_spec

import numpy as np
import pytest

from framebank.commands.extract import DECODER_NAMES
from framebank.extract.decoders import decode, pyav
from framebank.extract.decoders.decode import (
    FALLBACKS,
    LIBRARIES,
    decode_clip,
    decoder_versions,
    read_clip,
    read_frames,
)
from framebank.extract.decoders.frames import Clip, ImageSink, UnsupportedError
from framebank.extract.sampling import read_sampling
from framebank.store.errors import DataError
from framebank.tests.worlds.decode import WRITERS, needs_decord
from framebank.tests.worlds.video import TOTAL, draw_index, read_index, write_indexed


@pytest.fixture
def path(tmp_path):
    return write_indexed(tmp_path / "plain.mp4")


@pytest.fixture
def asked(monkeypatch):
    """Give a function that sets how the decoders answer; it returns the list of those that are asked."""

    def set_up(answers):
        names = []

        def decoder(name, answer):
            def read(path, sample, sink, *, reading):
                names.append(name)
                indices = sample(np.arange(4) / 25)
                sink.add(0, draw_index(1000))
                if answer:
                    raise answer
                sink.clear()
                for index in indices:
                    sink.add(int(index), draw_index(int(index)))
                return Clip(indices=indices, timestamps=indices / 25, decoder=name)

            return read

        for name, answer in answers.items():
            monkeypatch.setitem(decode.DECODERS, name, decoder(name, answer))
            monkeypatch.setitem(LIBRARIES, name, "json")  # installed everywhere
        return names

    return set_up


def lack(path, what):
    return UnsupportedError(f"{path}: {what}")


def test_the_order_is_pyav_torchcodec_decord(path, asked):
    names = asked({"pyav": lack(path, "a"), "torchcodec": lack(path, "b"), "decord": None})
    frames = read_frames(path, np.array([0, 2]))
    assert names == list(FALLBACKS) == ["pyav", "torchcodec", "decord"]
    assert frames.decoder == "decord"
    assert [read_index(image) for image in frames.data] == [0, 2]  # and not what the failed ones left


def test_the_first_that_can_is_taken(path, asked):
    names = asked({"pyav": lack(path, "a"), "torchcodec": None, "decord": None})
    assert read_frames(path, np.array([1])).decoder == "torchcodec"
    assert names == ["pyav", "torchcodec"]


@pytest.mark.parametrize("place", [0, 1])
def test_damage_is_never_taken_to_another(path, asked, place):
    answers = [lack(path, "a"), lack(path, "b"), None]
    answers[place] = DataError(f"{path}: frame 3 is damaged")
    names = asked(dict(zip(FALLBACKS, answers, strict=True)))
    with pytest.raises(DataError, match="frame 3 is damaged"):
        read_frames(path, np.array([0]))
    assert names == list(FALLBACKS[: place + 1])


def test_only_installed_ones_are_asked(path, asked, monkeypatch):
    names = asked({"pyav": lack(path, "a"), "torchcodec": None, "decord": None})
    monkeypatch.setitem(LIBRARIES, "torchcodec", "a_library_that_nobody_has")
    assert read_frames(path, np.array([0])).decoder == "decord"
    assert names == ["pyav", "decord"]


def test_where_none_can_all_reasons_are_told(path, asked):
    asked({name: lack(path, f"{name} lacks it") for name in FALLBACKS})
    with pytest.raises(UnsupportedError) as caught:
        read_frames(path, np.array([0]))
    assert str(caught.value) == f"{path}: pyav lacks it; torchcodec lacks it; decord lacks it"


def test_a_named_decoder_is_alone(path, asked):
    names = asked({"torchcodec": None, "decord": None})
    (path.parent / "text.mp4").write_text("no video\n" * 100)
    for decoder in ("pyav", "auto"):  # what is no video is none to the others either
        with pytest.raises(DataError, match="not a video"):
            read_frames(path.parent / "text.mp4", np.array([0]), decoder=decoder)
    assert names == []


def test_the_command_offers_them_all():
    assert tuple(decode.DECODERS) == DECODER_NAMES == ("auto", *FALLBACKS)


def test_the_spec_names_the_first():
    assert decoder_versions() == decoder_versions(decoder="pyav")


# --- PyAV without the codec, the rest real -------------------------------------------------------------------


@needs_decord
@pytest.mark.parametrize("writer", ["mp4 with B-frames", "mkv that starts late", "mp4 with open groups", "vp9 webm"])
def test_decord_reads_in_order_what_pyav_lacks_the_codec_of(tmp_path, monkeypatch, writer):
    path = WRITERS[writer](tmp_path)
    sampling = read_sampling("fps:4")
    expected = read_clip(path, sampling.rows)
    monkeypatch.setattr(pyav, "_codec_context", lambda stream: None)
    monkeypatch.setitem(sys.modules, "torchcodec", None)
    assert find_spec("torchcodec") is None
    frames = read_clip(path, sampling.rows)
    assert [read_index(image) for image in frames.data] == expected.indices.tolist()
    np.testing.assert_allclose(frames.timestamps, expected.timestamps, rtol=0, atol=1e-9)
    assert frames.decoder == "decord"
    with pytest.raises(DataError, match=f"frame {TOTAL} was asked for, {TOTAL} frames decode"):
        read_frames(path, np.array([TOTAL]))


@needs_decord
@pytest.mark.parametrize("writer", ["mpeg4 avi", "mpeg-ts"])
def test_decord_refuses_what_is_not_proven_right_there_either(tmp_path, monkeypatch, writer):
    path = WRITERS[writer](tmp_path)
    monkeypatch.setattr(pyav, "_codec_context", lambda stream: None)
    with pytest.raises(DataError, match="decord is not proven right on this file: it is not known to begin with"):
        read_frames(path, np.array([7]), decoder="decord")


@pytest.mark.parametrize(("name", "options"), [("a.mp4", {}), ("a.mkv", {}), ("a.avi", {"codec": "mpeg4"})])
def test_a_broken_beginning_is_damage(tmp_path, asked, name, options):
    path = write_indexed(tmp_path / name, **options)
    names = asked({"torchcodec": None, "decord": None})
    content = bytearray(path.read_bytes())
    content[16:] = bytes(len(content) - 16)
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"{name}: ") as caught:
        read_frames(path, np.array([0]))
    assert not isinstance(caught.value, UnsupportedError)
    assert names == []


def test_a_cut_file_whose_codec_is_not_known_is_cut(path, asked, monkeypatch):
    names = asked({"torchcodec": None, "decord": None})
    content = write_indexed(path.parent / "first.mp4", header={"movflags": "faststart"}).read_bytes()
    path.write_bytes(content[: int(0.6 * len(content))])
    monkeypatch.setattr(pyav, "_codec_context", lambda stream: None)
    with pytest.raises(DataError, match="the file is cut short"):
        read_frames(path, np.array([0]))
    assert names == []


def test_a_sink_is_cleared_between_decoders(path, asked):
    asked({"pyav": lack(path, "a"), "torchcodec": None})
    sink = ImageSink()
    clip = decode_clip(path, lambda times: np.array([3, 1]), sink)
    assert sorted(sink.images) == [1, 3]
    assert clip.indices.tolist() == [3, 1]
