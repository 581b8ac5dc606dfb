"""Pictures: decoded frames one after the other, their shape and their fields, and how they come into a sink in RGB."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.filter import Graph
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from av.video.stream import VideoStream

from framebank.extract.decoders.frames import DamageError, Image, Indices, Sink
from framebank.extract.decoders.pixels import refuse_large, to_square

# One picture for each interlaced frame, from it and the two beside it; frames that are not marked so pass untouched.
DEINTERLACER = ("bwdif", "mode=send_frame:parity=auto:deint=interlaced")


@dataclass(frozen=True)
class Shown:
    """A decoded frame.

    frame    what the decoder gave, and says of it
    aspect   width of a pixel by its height
    picture  what is shown of it: the frame itself, or what deinterlacing made of it
    damaged  whether it is known to be damaged before it is looked at: what it refers to did not decode
    """

    frame: VideoFrame
    aspect: Fraction
    picture: VideoFrame
    damaged: bool = False

    @property
    def turns(self) -> int:
        """Quarter turns against the clock that bring it upright."""
        return round(self.frame.rotation / 90)

    @property
    def seconds(self) -> float:
        """Its time as the file tells it, NaN where it tells none."""
        pts, unit = self.frame.pts, self.frame.time_base
        return np.nan if pts is None or not unit else float(pts * unit)


# What of a frame goes into the sink.
Picture = Callable[[Shown], Image]


class Aspect:
    """The width of a pixel by its height, frame by frame.

    What a container tells holds for the whole stream. What the codec tells may change, at a key frame.
    """

    def __init__(self, container: InputContainer, stream: VideoStream) -> None:
        self._codec = stream.codec_context
        told = stream.sample_aspect_ratio
        self._fixed = container.format.name.startswith("matroska") or told != self._codec.sample_aspect_ratio
        self._aspect = told or Fraction(1)

    def of(self, frame: VideoFrame) -> Fraction:
        """Return the aspect of the frame that the decoder has just given."""
        if frame.key_frame and not self._fixed:
            self._aspect = self._codec.sample_aspect_ratio or Fraction(1)
        return self._aspect


def upright_picture(path: Path, *, square: bool) -> Picture:
    """Return what gives a frame upright in RGB (H, W, 3), its pixels square or as they are coded."""
    convert = VideoReformatter().reformat

    def picture(shown: Shown) -> Image:
        refuse_large(path, width=shown.picture.width, height=shown.picture.height)
        # By default every frame starts a thread per core, which takes ten times as long on small frames.
        image: Image = convert(shown.picture, format="rgb24", threads=1).to_ndarray()  # type: ignore[assignment]
        if square:
            image = to_square(image, shown.aspect, path=path)
        return np.ascontiguousarray(np.rot90(image, shown.turns))

    return picture


def deinterlaced(frames: Iterable[Shown]) -> Iterator[Shown]:
    """Yield the frames with a picture of one moment where they were of two: as many, in the same order."""
    graph: Graph | None = None
    layout: tuple[object, ...] = ()
    waiting: deque[Shown] = deque()  # the filter gives a picture when it has the frame behind it
    for shown in frames:
        frame = shown.frame
        if (frame.width, frame.height, frame.format.name) != layout:
            if graph:
                yield from _flush(graph, waiting)
            layout = (frame.width, frame.height, frame.format.name)
            graph = _deinterlacer(frame)
        assert graph
        waiting.append(shown)
        graph.vpush(frame)
        yield from _pull(graph, waiting)
    if graph:
        yield from _flush(graph, waiting)


def _deinterlacer(frame: VideoFrame) -> Graph:
    graph = Graph()
    graph.link_nodes(
        graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base),
        graph.add(*DEINTERLACER),
        graph.add("buffersink"),
    ).configure()
    return graph


def _flush(graph: Graph, waiting: "deque[Shown]") -> Iterator[Shown]:
    graph.vpush(None)
    yield from _pull(graph, waiting)


def _pull(graph: Graph, waiting: "deque[Shown]") -> Iterator[Shown]:
    while waiting:
        try:
            picture = graph.vpull()
        except (BlockingIOError, EOFError):
            return
        yield replace(waiting.popleft(), picture=picture)


def pour(
    frames: Iterator[tuple[int, Shown]], sink: Sink, *, indices: Indices, path: Path, picture: Picture
) -> list[int | None]:
    """Put the pictures of the wanted frames into `sink`; return the presentation times of all that passed through.

    A decoder conceals damage in one frame and says so; what refers to that frame is damaged too, up to a key frame.
    """
    wanted = set(indices.tolist())
    times: list[int | None] = []
    damaged = False
    for index, shown in frames:
        sink.tick()
        times.append(shown.frame.pts)
        damaged = is_damaged(shown, after=damaged)
        if index not in wanted:
            continue
        if damaged:
            raise DamageError(path, f"frame {index} is damaged")
        sink.add(index, picture(shown))
    return times


def is_damaged(shown: Shown, *, after: bool) -> bool:
    """Say whether a frame is damaged, where the one before it is (`after`) or is not."""
    return shown.frame.is_corrupt or shown.damaged or (after and not shown.frame.key_frame)
