"""Probe: whether the content of a file is a video, whatever its name says."""

from pathlib import Path

import av

from framebank.extract.decoders.source import local_file
from framebank.store.errors import DataError

# Readers that take what is no video: pictures, text as a terminal shows it, and lists that name other files.
NO_VIDEO = frozenset(
    ("image2", "tty", "ansi", "hls", "concat", "dash", "sdp", "rtsp", "lavfi", "bin", "xbin", "adf", "idf")
)


def is_video(path: Path) -> bool:
    """Whether the first frame of a video stream in a file, or in a tar's member, decodes; a picture is no video."""
    try:
        with local_file(path) as file:
            return file.is_file() and file.stat().st_size > 0 and _decodes(file)
    except (DataError, OSError):
        return False


def _decodes(file: Path) -> bool:
    try:
        with av.open(f"file:{file}", metadata_errors="replace", options={"protocol_whitelist": "file"}) as container:
            names = set(container.format.name.split(","))
            if names & NO_VIDEO or any(name.endswith("_pipe") for name in names):
                return False
            stream = container.streams.best("video")
            if stream is None or stream.disposition & av.stream.Disposition.attached_pic:
                return False
            return next(container.decode(stream), None) is not None
    except (av.FFmpegError, ValueError, IndexError):
        return False
