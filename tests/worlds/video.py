"""A world of videos: each frame carries its own index as ten black and white bars, so what comes back can be read."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest

HEIGHT, WIDTH, BITS, TOTAL = 64, 160, 10, 60


def draw_index(index):
    bits = [(index >> bit) & 1 for bit in range(BITS)]
    row = np.repeat(np.array(bits, dtype=np.uint8) * 200 + 25, WIDTH // BITS)  # (W,)
    return np.broadcast_to(row[None, :, None], (HEIGHT, WIDTH, 3)).copy()  # (H, W, 3)


def read_index(image):
    bars = image.reshape(HEIGHT, BITS, WIDTH // BITS, 3).mean(axis=(0, 2, 3))  # (BITS,)
    return sum(1 << bit for bit, bar in enumerate(bars) if bar > 128)


def write_video(path, images, *, codec="libx264", pts=None, rate=25, header=None, **options):
    if codec == "libx264":
        options = {"g": "12", "bf": "2", "sc_threshold": "0", "preset": "veryfast", **options}
    with av.open(str(path), "w", options=header or {}) as container:
        try:
            stream = container.add_stream(codec, rate=rate, options=options)
        except (av.FFmpegError, ValueError):
            pytest.skip(f"no encoder {codec} in this build of PyAV")
        stream.height, stream.width, stream.pix_fmt = *images[0].shape[:2], "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000 if pts else rate)
        for index, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace="ITU709" if "colorspace" in options else None)
            frame.pts = pts[index] if pts else index
            frame.time_base = stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_indexed(path, *, total=TOTAL, **options):
    return write_video(path, [draw_index(index) for index in range(total)], **options)


class Pipe(io.RawIOBase):
    """What a writer cannot go back in."""

    def __init__(self):
        self.content = b""

    def writable(self):
        return True

    def write(self, content):
        self.content += bytes(content)
        return len(content)
