"""Pictures of a report: small frames of videos, kept inside the page; at most so many are read."""

import base64
import io
import os
from pathlib import Path
from urllib.parse import quote

import numpy as np

from framebank.extract.decoders.decode import read_clip
from framebank.extract.sampling import read_sampling
from framebank.store.errors import DataError
from framebank.store.videos.video import Video

SIZE = (160, 90)  # the largest picture
FRAMES = 6  # of a strip


class Pictures:
    """Reads frames of videos as addresses that hold the picture itself, until `most` videos have been read.

    `failed` says why a video gave none.
    """

    def __init__(self, most: int) -> None:
        self.most, self.read = most, 0
        self.failed: dict[str, str] = {}
        self._middles: dict[str, str] = {}

    @property
    def left(self) -> int:
        """How many more videos may be read."""
        return self.most - self.read

    def middle(self, video: Video) -> str:
        """Return the frame in the middle of a video; "" if it cannot be read, or enough were read."""
        if video.video_id not in self._middles:
            frames = self._frames(video, 1)
            self._middles[video.video_id] = frames[0] if frames else ""
        return self._middles[video.video_id]

    def strip(self, video: Video) -> tuple[str, ...]:
        """Return FRAMES frames over a video; none if it cannot be read, or enough were read."""
        frames = self._frames(video, FRAMES)
        if frames:
            self._middles.setdefault(video.video_id, frames[len(frames) // 2])
        return frames

    def _frames(self, video: Video, count: int) -> tuple[str, ...]:
        if self.left <= 0 or video.video_id in self.failed:
            return ()
        self.read += 1
        sampling = read_sampling(f"segments:{count}")
        try:
            found = read_clip(video.path, lambda times: sampling.rows(times, start=video.start, end=video.end))
        except DataError as error:
            self.failed[video.video_id] = str(error)
            return ()
        return tuple(map(address_of_picture, found.data))


def address_of_picture(frame: np.ndarray) -> str:
    """Return a frame (H, W, 3) uint8 as the address of a small JPEG that holds the picture itself."""
    from PIL import Image

    image = Image.fromarray(frame)
    image.thumbnail(SIZE)
    content = io.BytesIO()
    image.save(content, "jpeg", quality=70)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"


def address_of_file(path: Path, *, page: Path) -> str:
    """Return the way from a page to a video file, as a link; "" if the file is not there."""
    if not path.exists():
        return ""
    return quote(Path(os.path.relpath(path.resolve(), page.resolve().parent)).as_posix())
