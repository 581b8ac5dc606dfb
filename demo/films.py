"""Films: demo clips joined, with cuts, empty stretches and several frame rates, and the true spans of each film."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from framebank.demo.actions import ACTIONS, BY_NAME
from framebank.demo.backdrop import Bytes
from framebank.demo.clips import render_each, write_frames
from framebank.demo.motion import FPS, TAKES, Motion, draw_motion
from framebank.demo.scene import CANVAS, MARGIN, SIZE, Scene
from framebank.demo.stage import set_stage
from framebank.store.errors import DataError
from framebank.store.files.replacing import write_text
from framebank.store.shard import FRAME_STREAM, Embeddings
from framebank.store.spans.files import write_spans
from framebank.store.spans.span import Span

if TYPE_CHECKING:
    from framebank.extract.encoders.encoder import Encoder

FILM_SPACE = 3  # keeps the films apart from the clips and from the training frames of the encoder
RATES = (Fraction(25, 2), Fraction(24), Fraction(25), Fraction(30))  # frames a second
LENGTHS = (6, 20)  # parts of a film
EMPTY = 0.25  # the share of the parts that show a stage with nobody on it
PERFORMANCES = (1, 4)  # of the action in one part, each 2 to 3 seconds long


@dataclass(frozen=True)
class Part:
    """One shot of a film: an action performed several times in a row, or "" for an empty stage."""

    action: str
    performances: int
    num_frames: int  # at FPS
    rate: Fraction  # at which they are shown


@dataclass(frozen=True)
class Film:
    """A film and what it shows; `path` is relative to the folder of the films.

    `truth` has a span for each stretch of one action, labelled with the action. Empty stretches have none. `cuts` are
    the seconds where one part follows another.
    """

    video_id: str
    path: Path
    parts: tuple[Part, ...]

    @property
    def seconds(self) -> tuple[Fraction, ...]:
        """The length of each part: a whole number of its frames."""
        return tuple(Fraction(max(1, round(part.num_frames * part.rate / FPS))) / part.rate for part in self.parts)

    @property
    def times(self) -> tuple[Fraction, ...]:
        """The second of each frame."""
        begins = [sum(self.seconds[:number], Fraction(0)) for number in range(len(self.parts))]
        return tuple(
            begin + frame / part.rate
            for begin, part, seconds in zip(begins, self.parts, self.seconds, strict=True)
            for frame in range(round(seconds * part.rate))
        )

    @property
    def cuts(self) -> tuple[float, ...]:
        """The seconds where one part follows another."""
        return tuple(float(sum(self.seconds[:number])) for number in range(1, len(self.parts)))

    @property
    def truth(self) -> tuple[Span, ...]:
        """The spans of the performed actions."""
        edges = (0.0, *self.cuts, float(sum(self.seconds)))
        return tuple(
            Span(self.video_id, start, end, label=part.action, source="truth")
            for part, start, end in zip(self.parts, edges, edges[1:], strict=False)
            if part.action
        )


def list_films(
    number: int,
    *,
    seed: int = 0,
    actions: Sequence[str] = (),
    lengths: tuple[int, int] = LENGTHS,
    performances: tuple[int, int] = PERFORMANCES,
) -> list[Film]:
    """Draw films, the same ones for the same seed. `actions` are the names that may be in them, () for all.

    `lengths` limits the number of parts of a film, and `performances` limits how often a part shows its action. No
    action follows itself.
    """
    names = list(actions) or [action.name for action in ACTIONS]
    strange = next((name for name in names if name not in BY_NAME), None)
    if strange is not None or len(names) < 2:
        raise DataError(f"the actions of the films are {names}; expected two or more of {', '.join(BY_NAME)}")
    films = []
    for film in range(number):
        rng = np.random.default_rng([FILM_SPACE, seed, film])
        parts: list[Part] = []
        for _ in range(int(rng.integers(lengths[0], lengths[1] + 1))):
            before = parts[-1].action if parts else ""
            empty = rng.random() < EMPTY and (not parts or before)
            action = "" if empty else str(rng.choice([name for name in names if name != before]))
            count = 1 if empty else int(rng.integers(performances[0], performances[1] + 1))
            frames = sum(int(rng.integers(2 * FPS, 3 * FPS + 1)) for _ in range(count))
            parts.append(Part(action, count, frames, RATES[int(rng.integers(len(RATES)))]))
        films.append(Film(f"film_{film:03d}", Path(f"film_{film:03d}.mp4"), tuple(parts)))
    return films


def render_films(folder: Path, films: Sequence[Film], *, seed: int = 0, processes: int = 2) -> Iterator[Film]:
    """Write every film, then manifest.csv and truth.csv. Yield each film as it is written, in no fixed order."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(film, folder, seed) for film in films]
    yield from render_each(_write_film, jobs, processes=processes)
    rows = ["video_id,path", *(f"{film.video_id},{film.path}" for film in films)]
    write_text(folder / "manifest.csv", "\n".join(rows) + "\n")
    write_spans(folder / "truth.csv", [span for film in films for span in film.truth])


def _write_film(film: Film, folder: Path, seed: int) -> Film:
    write_frames(zip(film.times, film_pictures(film, seed=seed), strict=True), folder / film.path)
    return film


def film_pictures(film: Film, rows: Sequence[int] | None = None, *, seed: int = 0) -> Iterator[Bytes]:
    """Draw the frames of a film, (SIZE, SIZE, 3) each: all, or those of some ascending rows of its `times`."""
    wanted = set(range(len(film.times)) if rows is None else rows)
    first = 0
    for number, (part, seconds) in enumerate(zip(film.parts, film.seconds, strict=True)):
        frames = range(round(seconds * part.rate))
        if not wanted.isdisjoint(range(first, first + len(frames))):
            scene = _scene(part, np.random.default_rng([FILM_SPACE, seed, number, *film.video_id.encode()]))
            for frame in frames:
                if first + frame in wanted:
                    at = min(int(frame * FPS / part.rate), len(scene) - 1)
                    yield scene.render(at) if part.action else _empty(scene, at)
        first += len(frames)


def film_rows(film: Film, encoder: "Encoder", *, fps: float, seed: int = 0) -> Embeddings:
    """Return the rows (T, D) that `extract --fps` would give for a film, without the losses of the codec and a file.

    This takes a tenth of the time.
    """
    from framebank.extract.sampling import read_sampling

    times = np.array([float(second) for second in film.times])
    rows = read_sampling(f"fps:{fps:g}")(times)[0]
    pixels = np.concatenate(
        [encoder.preprocessing(picture) for picture in film_pictures(film, rows.tolist(), seed=seed)]
    )
    batches = [encoder.encode_frames(pixels[at : at + 64])[FRAME_STREAM] for at in range(0, len(pixels), 64)]
    return Embeddings(np.concatenate(batches).astype(np.float16), times[rows], rows)


def _scene(part: Part, rng: np.random.Generator) -> Scene:
    """Return one figure on one stage that performs the action of a part again and again."""
    action = BY_NAME[part.action] if part.action else ACTIONS[int(rng.integers(len(ACTIONS)))]
    edges = np.linspace(0, part.num_frames, part.performances + 1).round().astype(int)
    takes = [
        draw_motion(action, take=TAKES[int(rng.integers(len(TAKES)))], num_frames=int(length), rng=rng)
        for length in np.diff(edges)
    ]
    channels = np.concatenate([take.channels for take in takes])
    return set_stage(Motion(channels, np.concatenate([take.held for take in takes])), action=action, rng=rng)


def _empty(scene: Scene, frame: int) -> Bytes:
    """Return the backdrop of a scene without the figure."""
    x, y, zoom = scene.camera[frame]
    middle, reach = MARGIN + CANVAS / 2, CANVAS / 2 / zoom
    x, y = x + middle + scene.track[frame], y + middle
    image = scene.backdrop.resize((CANVAS, CANVAS), box=(x - reach, y - reach, x + reach, y + reach))
    return np.asarray(image.reduce(CANVAS // SIZE), dtype=np.uint8)
