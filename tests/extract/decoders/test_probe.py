"""Whether a file is a video by its content, and the command that takes those of unknown suffix."""

import io
import json
import shutil
import tarfile
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from framebank.extract.decoders.probe import is_video
from framebank.tests.places import DATA


def write_video(path: Path, *, container: str, codec: str, frames: int = 5) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", format=container) as output:
        stream = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb8" if codec == "gif" else "yuv420p"
        for shade in range(frames):
            image = np.full((48, 64, 3), 40 * shade, dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=stream.pix_fmt)
            output.mux(stream.encode(frame))
        output.mux(stream.encode())
    return path


KINDS = {
    "f4v": ("mp4", "mpeg4"),
    "qt": ("mov", "mpeg4"),
    "264": ("h264", "libx264"),
    "m2v": ("mpeg2video", "mpeg2video"),
}


@pytest.mark.parametrize("suffix", [*KINDS, "gif", ""])
def test_videos_of_unknown_suffix(tmp_path, suffix):
    container, codec = {**KINDS, "gif": ("gif", "gif"), "": ("matroska", "mpeg4")}[suffix]
    path = write_video(tmp_path / f"v{'.' if suffix else ''}{suffix}", container=container, codec=codec)
    assert is_video(path)
    with tarfile.open(tmp_path / "t.tar", "w") as tar:
        tar.add(path, arcname=path.name)
    assert is_video(tmp_path / "t.tar" / path.name)


def test_what_is_no_video(tmp_path):
    rng = np.random.default_rng(0)
    texts = {"a.nfo": b"hello\n", "b.txt": b"1 2 3\n", "c.srt": b"1\n00:00:00,000 --> 00:00:01,000\nhi\n", "d": b""}
    playlist = {"e.m3u8": b"#EXTM3U\n#EXTINF:1,\nv.mp4\n", "f.ffconcat": b"ffconcat version 1.0\nfile v.mp4\n"}
    data = {"g.bin": rng.bytes(50_000), "h.dat": bytes(50_000)}
    for name, content in (texts | playlist | data).items():
        (tmp_path / name).write_bytes(content)
    picture = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(picture, "JPEG")
    (tmp_path / "i.jfif").write_bytes(picture.getvalue())
    video = write_video(tmp_path / "v.mp4", container="mp4", codec="mpeg4")
    (tmp_path / "j.cut").write_bytes(video.read_bytes()[:200])
    np.save(tmp_path / "k.npy", np.zeros((4, 4)))
    with av.open(str(tmp_path / "l.sound"), "w", format="wav") as output:
        stream = output.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.rate = 8000
        output.mux(stream.encode(frame))
    for path in sorted(tmp_path.iterdir()):
        assert is_video(path) == (path == video), path.name
    assert not is_video(tmp_path / "none")
    assert not is_video(tmp_path)


@pytest.mark.slow
def test_extract_tells_what_it_leaves_out_and_takes_it_on_request(tmp_path, framebank):
    folder = tmp_path / "videos"
    write_video(folder / "run" / "a.mp4", container="mp4", codec="mpeg4")
    for suffix, (container, codec) in KINDS.items():
        write_video(folder / "run" / f"d.{suffix}", container=container, codec=codec)
    write_video(folder / "run" / "c.gif", container="gif", codec="gif")
    (folder / "run" / "notes.txt").write_text("no video")
    shutil.copytree(folder / "run", folder / ".trash")
    (folder / "run" / "e.mp4").symlink_to("nowhere.mp4")
    options = ("--model", "demo", "--frames", 2, "--workers", 1)
    plain = framebank("extract", folder, tmp_path / "bank", *options, "--json")
    report = json.loads(plain.stdout)
    reasons = {".264": 1, ".f4v": 1, ".gif": 1, ".m2v": 1, ".qt": 1, ".txt": 1, "dangling link": 1, "hidden": 7}
    assert (report["videos"], report["embedded"], report["not_taken"]) == (1, 1, reasons)
    assert report["not_taken_files"]["dangling link"] == [str(folder / "run" / "e.mp4")]
    assert "not taken: 14 files: 7 hidden, 1 .264, 1 .f4v, 1 .gif, " in plain.stderr
    told = framebank("extract", folder, tmp_path / "all", *options, "--any-suffix", "--json")
    report = json.loads(told.stdout)
    assert (report["videos"], report["embedded"]) == (6, 6)
    assert report["not_taken"] == {"hidden": 7, ".txt": 1, "dangling link": 1}


@pytest.mark.parametrize(("name", "expected"), [("anim.gif", True), ("short1.mkv", True), ("anim.webp", False)])
def test_files_of_reports(name, expected):
    path = DATA / "reports" / name
    if not path.exists():
        pytest.skip("the files of the reports are not here")
    assert is_video(path) == expected
