"""Films: their truth follows from their parts, and their files show it."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from framebank.demo.films import LENGTHS, RATES, Film, Part, film_pictures, film_rows, list_films, render_films
from framebank.store import DataError
from framebank.store.spans.files import read_spans

FILM = Film(
    "film_000",
    Path("film_000.mp4"),
    (
        Part("waving", 1, 50, Fraction(25)),
        Part("", 1, 26, Fraction(25, 2)),
        Part("falling down", 2, 60, Fraction(30)),
    ),
)


def test_the_same_seed_gives_the_same_films() -> None:
    films = list_films(40, seed=3)
    assert films == list_films(40, seed=3) != list_films(40, seed=4)
    for film in films:
        assert LENGTHS[0] <= len(film.parts) <= LENGTHS[1]
        assert len(film.truth) == sum(bool(part.action) for part in film.parts) < len(film.parts) + 1
        assert all(a.action != b.action for a, b in zip(film.parts, film.parts[1:], strict=False))
    assert {part.rate for film in films for part in film.parts} == set(RATES)
    assert any(not part.action for film in films for part in film.parts)


def test_only_the_actions_that_are_named_are_in_them() -> None:
    films = list_films(5, actions=("waving", "walking"))
    assert {span.label for film in films for span in film.truth} == {"waving", "walking"}
    with pytest.raises(DataError, match="expected two or more of"):
        list_films(1, actions=("waving", "flying"))


def test_truth_and_cuts_are_where_the_parts_meet() -> None:
    assert FILM.cuts == (2.0, 3.04)  # 50 frames at 25; 26 at 25 shown as 13 at 12.5
    assert [(span.label, span.start, span.end) for span in FILM.truth] == [
        ("waving", 0.0, 2.0),
        ("falling down", 3.04, pytest.approx(5.44)),
    ]
    assert len(FILM.times) == 50 + 13 + 72
    assert np.diff([float(second) for second in FILM.times]).min() == pytest.approx(1 / 30)


def test_a_film_on_disk_gives_the_rows_that_need_no_file(framebank, tmp_path: Path) -> None:
    from framebank.extract.encoders.device import resolve_device
    from framebank.extract.encoders.encoder import Encoder
    from framebank.store import FeatureStore

    assert list(render_films(tmp_path, [FILM], processes=1)) == [FILM]
    assert read_spans(tmp_path / "truth.csv") == FILM.truth
    framebank("extract", tmp_path / "manifest.csv", tmp_path / "s", "--model", "demo", "--fps", 4)
    stored = FeatureStore(tmp_path / "s")["film_000"]
    drawn = film_rows(FILM, Encoder("demo", device=resolve_device("cpu")), fps=4)
    assert stored.timestamps == pytest.approx(drawn.timestamps, abs=1e-3)
    a, b = (rows.data.astype(np.float32) for rows in (stored, drawn))
    cosines = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    assert np.median(cosines) > 0.95  # the codec loses a little


def test_an_empty_stage_shows_nobody() -> None:
    first, last = film_pictures(FILM, [52, 60])
    assert first.shape == (128, 128, 3) and first.dtype == np.uint8
    assert np.abs(first.astype(int) - last).mean() < 40  # the camera alone moves
