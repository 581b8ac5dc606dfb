"""Every container: a whole file is read, whatever stands behind it; a cut one and one with a hole are named."""

import av
import numpy as np
import pytest
from PIL import Image

from framebank.extract.containers.structure import read_structure
from framebank.extract.decoders.decode import count_frames, read_clip
from framebank.extract.decoders.pyav import scan_packets
from framebank.extract.sampling import read_sampling
from framebank.store.errors import DataError
from framebank.tests.worlds.video import HEIGHT, TOTAL, WIDTH, Pipe, draw_index, read_index, write_video

EVERY = read_sampling("every").rows

# name -> encoder and options
CONTAINERS = {
    "mpeg1.mpg": ("mpeg1video", {"g": "12"}),
    "mpeg2.mpg": ("mpeg2video", {"g": "12", "bf": "2"}),
    "h264.mpg": ("libx264", {}),
    "mpeg2.vob": ("mpeg2video", {"g": "12"}),
    "v.wmv": ("wmv2", {"g": "12"}),
    "h264.asf": ("libx264", {"bf": "0"}),
    "v.ogv": ("libvpx", {"g": "12", "deadline": "realtime"}),
    "mpeg2.mxf": ("mpeg2video", {"g": "12", "bf": "2"}),
    "h264.mxf": ("libx264", {"bf": "0"}),
    "v.nut": ("mpeg4", {"g": "12"}),
    "v.y4m": ("wrapped_avframe", {}),
    "v.ivf": ("libvpx", {"g": "12", "deadline": "realtime"}),
    "v.rm": ("rv20", {"g": "12"}),
    "v.flv": ("flv1", {"g": "12"}),
    "h264.ts": ("libx264", {}),
    "mpeg2.ts": ("mpeg2video", {"g": "12"}),
    "h264.m2ts": ("libx264", {}),
    "live.webm": ("libvpx", {"g": "12", "deadline": "realtime", "header": {"live": "1"}}),
}
TAILS = {
    "text": b"hello, this is a note\n" * 20,
    "byte": b"x",
    "zeros": bytes(3000),
    "ones": b"\xff" * 100,
    "noise": np.random.default_rng(3).bytes(50_000),
    "tag": b"ID3\3\0\0\0" + bytes(90) + b"APIC\xff\xd8" + bytes(range(256)),
}


def write_container(path, *, codec, total=TOTAL, **options):
    noise = np.random.default_rng(0).integers(-15, 16, (total, HEIGHT, WIDTH, 3))
    images = [np.clip(draw_index(index) + noise[index], 0, 255).astype(np.uint8) for index in range(total)]
    return write_video(path, images, codec=codec, **options)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder, written = tmp_path_factory.mktemp("containers"), {}

    def give(name):
        codec, options = CONTAINERS[name]
        if name not in written:
            written[name] = write_container(folder / name, codec=codec, **options).read_bytes()
        return written[name]

    return give


def put(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("total", [1, 2, 5, 50])
@pytest.mark.parametrize("name", CONTAINERS)
def test_frames_and_times_are_those_of_any_container(tmp_path, name, total):
    codec, options = CONTAINERS[name]
    path = write_container(tmp_path / name, codec=codec, total=total, **options)
    frames = read_clip(path, EVERY)
    assert [read_index(image) for image in frames.data] == list(range(total))
    np.testing.assert_allclose(frames.timestamps, np.arange(total) / 25, atol=1.5e-3)


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize("name", CONTAINERS)
def test_what_stands_behind_a_whole_file_is_no_part_of_it(tmp_path, whole, name, tail):
    frames = read_clip(put(tmp_path, name, whole(name) + TAILS[tail]), EVERY)
    assert [read_index(image) for image in frames.data] == list(range(TOTAL))


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("name", CONTAINERS)
def test_a_cut_file_is_named(tmp_path, whole, name, share):
    content = whole(name)
    place = int(share * len(content)) | 0x55  # a cut between two packets cannot be seen
    with pytest.raises(DataError, match=r"is cut short|is lost"):
        count_frames(put(tmp_path, name, content[:place]))


@pytest.mark.parametrize("length", [50, 700, 3000])
@pytest.mark.parametrize("share", [0.4, 0.6, 0.8])
@pytest.mark.parametrize("name", CONTAINERS)
def test_a_hole_is_named(tmp_path, whole, name, share, length):
    content = whole(name)
    place = int(share * len(content))
    with pytest.raises(DataError, match=r"is cut short|is lost"):
        count_frames(put(tmp_path, name, content[:place] + content[place + length :]))


@pytest.mark.parametrize("name", sorted(set(CONTAINERS) - {"v.y4m"}))
def test_a_part_that_never_arrived_is_named(tmp_path, whole, name):
    """Of raw pixels, zeros are pixels."""
    content = whole(name)
    place = len(content) // 2
    with pytest.raises(DataError):
        read_clip(put(tmp_path, name, content[:place] + bytes(9000) + content[place + 9000 :]), EVERY)


# --- What is whole though something in it jumps ------------------------------------------------------------------


def test_joined_recordings_are_whole(tmp_path, whole):
    """Each begins to count its packets anew."""
    for name in ("h264.ts", "mpeg2.ts", "h264.m2ts", "mpeg2.mpg", "mpeg2.vob"):
        assert count_frames(put(tmp_path, name, whole(name) * 2)) == 2 * TOTAL, name


def test_a_stream_that_comes_up_on_the_way(tmp_path, whole):
    """Sound that begins behind what FFmpeg probes: PyAV raises an IndexError behind the last packet."""
    path = tmp_path / "sound.ts"
    with av.open(str(path), "w") as target, av.open(str(put(tmp_path, "v.ts", whole("h264.ts")))) as source:
        video = target.add_stream_from_template(source.streams.video[0])
        sound = target.add_stream("mp2", rate=48000)
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = video
                target.mux(packet)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 1152), np.int16), format="s16", layout="stereo")
        frame.sample_rate = 48000
        target.mux(sound.encode(frame))
        target.mux(sound.encode(None))
    joined = put(tmp_path, "joined.ts", whole("h264.ts") * 100 + path.read_bytes() + whole("h264.ts") * 60)
    assert scan_packets(joined).count == 161 * TOTAL


def counted_packets(content):
    """Return the places of the packets of the video stream, but its first."""
    places = range(0, len(content), 188)
    return [p for p in places if content[p + 1] & 0x1F == 1 and content[p + 2] == 0 and content[p + 3] & 0x10][1:]


def test_a_transport_stream_counts_its_packets(tmp_path, whole):
    content = whole("h264.ts")
    place = next(p for p in counted_packets(content)[60:] if not content[p + 1] & 0x40)  # no frame begins there
    lacking = content[:place] + content[place + 188 :]
    with pytest.raises(DataError, match=r"is lost: packets in front of byte \d+ of \d+ are missing"):
        count_frames(put(tmp_path, "lacking.ts", lacking))
    twice = content[: place + 188] + content[place : place + 188] + content[place + 188 :]
    assert count_frames(put(tmp_path, "twice.ts", twice)) == TOTAL
    uncounted = bytearray(content)
    for packet in range(0, len(content), 188):
        uncounted[packet + 3] &= 0xF0
    assert read_structure(put(tmp_path, "uncounted.ts", bytes(uncounted))).lost_of == {}


def test_sound_that_is_lost_is_no_loss_of_the_video(tmp_path, whole):
    content = bytearray(whole("h264.ts"))
    for place, count in ((90, 7), (80, 6), (70, 5), (60, 2), (50, 1), (40, 0)):  # packets of another stream
        content[188 * place : 188 * place] = bytes([0x47, 1, 1, 0x10 | count]) + b"\xff" * 184
    path = put(tmp_path, "v.ts", bytes(content))
    assert set(read_structure(path).lost_of) == {257}
    assert count_frames(path) == TOTAL


@pytest.mark.parametrize("name", ["v.wmv", "v.ogv", "mpeg2.mxf", "v.nut", "v.ivf", "v.flv", "live.webm"])
@pytest.mark.parametrize("tail", ["", "text", "zeros"])
def test_a_live_recording_is_whole(tmp_path, whole, name, tail):
    """Lengths that its writer could not go back to are not known."""
    form = {"wmv": "asf", "ogv": "ogg"}.get(name.split(".")[1], name.split(".")[1])
    pipe = Pipe()
    with av.open(str(put(tmp_path, name, whole(name)))) as source, av.open(pipe, "w", format=form) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                target.mux(packet)
    if tail and name in ("v.nut", "v.ivf"):
        pytest.skip("without an index or a count nothing tells where its frames end")
    assert count_frames(put(tmp_path, f"live-{name}", pipe.content + TAILS.get(tail, b""))) == TOTAL


def test_a_hole_in_the_last_cluster_of_a_live_recording(tmp_path, whole):
    content = whole("live.webm")
    last = content.rindex(b"\x1f\x43\xb6\x75")
    middle = (last + len(content)) // 2
    with pytest.raises(DataError, match="is lost"):
        count_frames(put(tmp_path, "hole.webm", content[:middle] + content[middle + 40 :]))


def test_gif(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (20, 64, 64), dtype=np.uint8)
    first, *others = [Image.fromarray(picture) for picture in noise]
    first.save(tmp_path / "v.gif", save_all=True, append_images=others, duration=40)
    content = (tmp_path / "v.gif").read_bytes()
    assert count_frames(put(tmp_path, "whole.gif", content)) == 20
    assert count_frames(put(tmp_path, "twice.gif", content * 2)) == 40
    for tail in TAILS.values():
        assert count_frames(put(tmp_path, "tail.gif", content + tail)) == 20
    for share in (0.3, 0.5, 0.7):
        place = int(share * len(content))
        for damaged in (content[:place], content[:place] + content[place + 6000 :]):
            with pytest.raises(DataError, match="is lost"):
                count_frames(put(tmp_path, "damaged.gif", damaged))


def test_a_block_twice_in_avi(tmp_path):
    """More frames than were promised, and a place where chunks break."""
    path = write_container(tmp_path / "v.avi", codec="mpeg4", g="12")
    content = path.read_bytes()
    middle = content.index(b"00dc", len(content) // 2) + 500
    assert count_frames(path) == TOTAL
    path.write_bytes(content[: middle + 2000] + content[middle:])
    with pytest.raises(DataError, match=rf"is damaged, and \d+ frames are there where {TOTAL} were promised"):
        count_frames(path)


def test_a_file_that_cannot_be_opened(tmp_path):
    with pytest.raises(DataError, match=r"gone\.mp4: cannot be read: No such file or directory"):
        read_structure(tmp_path / "gone.mp4")


def test_a_hole_in_the_last_fragment(tmp_path):
    path = write_container(
        tmp_path / "v.mp4", codec="libx264", header={"movflags": "frag_keyframe+empty_moov+omit_tfhd_offset"}
    )
    assert count_frames(path) == TOTAL
    content = path.read_bytes()
    last = content.rindex(b"moof")
    for hole in (40, 200):
        with pytest.raises(DataError, match="is lost: what stands at byte"):
            count_frames(put(tmp_path, "hole.mp4", content[: last + 60] + content[last + 60 + hole :]))
    for tail in TAILS.values():
        assert count_frames(put(tmp_path, "tail.mp4", content + tail)) == TOTAL


def test_flash_whose_end_never_arrived(tmp_path, whole):
    content = whole("v.flv")
    place = 2 * len(content) // 3
    with pytest.raises(DataError, match="is lost: what stands at byte"):
        count_frames(put(tmp_path, "v.flv", content[:place] + bytes(len(content) - place)))
