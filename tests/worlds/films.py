"""Three films of the demo and an index of them, for the tests of what a search gives."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from framebank.demo.films import Film, film_rows, list_films, render_films
from framebank.store import Manifest, ShardWriter, Video

ACTIONS = ("sitting down", "falling down", "waving", "walking", "clapping")


def three_films() -> list[Film]:
    """Three films of two or three parts."""
    return list_films(3, seed=7, actions=ACTIONS, lengths=(2, 3), performances=(1, 1))


def index_of_films(folder: Path, films: list[Film], framebank: Any) -> Path:
    """Write an index of films, at 4 rows a second; the file of the third film is missing."""
    from framebank.extract.encoders.encoder import Encoder

    assert len(list(render_films(folder, films[:2], processes=1))) == 2
    encoder = Encoder("demo", device="cpu")
    spec = replace(encoder.spec, sampling="fps:4", decoder="pyav")
    (folder / "bank").mkdir()
    with ShardWriter(folder / "bank", spec) as writer:
        for film in films:
            writer.add(film.video_id, film_rows(film, encoder, fps=4))
    videos = tuple(Video(film.video_id, folder / film.path) for film in films)
    Manifest(videos).write(folder / "bank" / "manifest.csv")
    framebank("index", folder / "bank", folder / "index")
    return folder / "index"
