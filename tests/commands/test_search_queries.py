"""What a search asks for: a picture, a text to be far from, and several queries together, on three films."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import framebank as fb
from framebank.demo.films import Film, film_pictures
from framebank.store.indexes.index import Index
from framebank.store.vectors import unit
from framebank.tests.worlds.cli import sentence
from framebank.tests.worlds.films import index_of_films, three_films


@pytest.fixture(scope="module")
def films() -> list[Film]:
    return three_films()


@pytest.fixture(scope="module")
def film_index(tmp_path_factory: pytest.TempPathFactory, films: list[Film], framebank: Any) -> Path:
    return index_of_films(tmp_path_factory.mktemp("films"), films, framebank)


@pytest.fixture(scope="module")
def opened(film_index: Path) -> Any:
    return fb.open(film_index, device="cpu")


def test_a_picture_finds_what_looks_like_it(framebank: Any, opened: Any, films: list[Film], tmp_path: Path) -> None:
    row = len(films[1].times) // 2
    (shown,) = film_pictures(films[1], [row])
    Image.fromarray(shown).save(tmp_path / "picture.png")
    found = ("search", opened.path, "--image", tmp_path / "picture.png", "--moments", "--all", "-k", 1, "--json")
    best = json.loads(framebank(*found).stdout)["hits"][0]
    assert best["video_id"] == films[1].video_id
    before = max(cut for cut in (0.0, *films[1].cuts) if cut <= float(films[1].times[row]))
    assert best["start"] >= before - 0.3  # in the part that the picture is of
    hits = opened.search_image(tmp_path / "picture.png", k=3)
    vector = opened.encoder.encode_frames(opened.encoder.preprocessing(shown))["frame"][0]
    assert hits[0].score == pytest.approx(float(unit(vector) @ unit(opened.index.vector(hits[0].video_id))), abs=1e-3)
    (tmp_path / "text.png").write_text("no picture")
    for name, what in (("text.png", "the image is damaged"), ("gone.png", "no such file; expected a picture")):
        assert what in sentence(framebank("search", opened.path, "--image", tmp_path / name, exit_code=1))


def test_what_is_found_without_a_text_is_far_from_it(framebank: Any, opened: Any) -> None:
    plus, minus = unit(opened.encoder.encode_texts(["a person waving", "a person walking"]))
    hits = opened.search("a person waving", minus="a person walking", k=3)
    told = framebank("search", opened.path, "--text", "a person waving", "--minus-text", "a person walking", "--json")
    scores = {one: float(unit(plus - minus) @ unit(opened.index.vector(one))) for one in opened.ids}
    assert {hit.video_id: pytest.approx(hit.score, abs=1e-4) for hit in hits} == scores
    if json.loads(told.stdout)["found"]:
        assert [hit["video_id"] for hit in json.loads(told.stdout)["hits"]] == [hit.video_id for hit in hits]
    assert hits[0].chance is not None
    moments = opened.search_id("film_000", minus="a person walking", moments=True, k=2)
    assert moments.found and moments.query == "film_000 (minus a person walking)"
    for text, what in (("a person waving", "leaves nothing to search for"), (" ", "is empty")):
        with pytest.raises(fb.DataError, match=what):
            opened.search("a person waving", minus=text)


def test_several_queries_are_searched_for_together(framebank: Any, opened: Any) -> None:
    texts = ("a person waving", "a person walking")
    one, two = unit(opened.encoder.encode_texts(list(texts)))
    like = unit(opened.index.vector("film_000"))
    parts = [*texts, fb.Query(video_id="film_000", weight=0.5), fb.Query(text="a person clapping", weight=-2)]
    away = unit(opened.encoder.encode_texts(["a person clapping"]))[0]
    hits = opened.search(parts, k=9)
    vector = unit((one + two + 0.5 * like - 2 * away)[None])[0]
    scores = {name: float(vector @ unit(opened.index.vector(name))) for name in opened.ids if name != "film_000"}
    assert {hit.video_id: pytest.approx(hit.score, abs=1e-4) for hit in hits} == scores
    assert hits.query == f"{texts[0]} + {texts[1]} + 0.5 x film_000 (minus 2 x a person clapping)"
    asked = ("--text", texts[0], "--text", texts[1], "--id", "film_000", "--minus-text", "a person clapping")
    told = framebank("search", opened.path, *asked, "--weight", "id=0.5", "--weight", "minus-text=2", "--json")
    assert [hit["video_id"] for hit in json.loads(told.stdout)["hits"]] == [hit.video_id for hit in hits]
    both = opened.search([fb.Query(text=texts[0], weight=3), texts[1]], k=1)
    told = framebank("search", opened.path, *asked[:4], "--weight", "text=3,1", "--all", "-k", 1, "--json")
    assert json.loads(told.stdout)["hits"][0]["score"] == pytest.approx(both[0].score)
    small = opened.search([fb.Query(text=text, weight=1e-5) for text in texts], k=1)
    assert small[0].score == pytest.approx(opened.search(texts, k=1)[0].score) and small.found
    assert opened.search(["zeppelin", "film_000"]).found  # a sum is not judged, though no one knows the word
    others = [name for name in opened.ids if name not in ("film_000", "film_001")]
    assert {hit.video_id for hit in opened.search(["film_000", "film_001"], k=9)} == set(others)
    for wrong, what in (
        ([fb.Query(text="a", weight=-1)], "below 0; expected something to look for"),
        ([], "the list of queries is empty"),
        (["film_000", np.zeros(opened.index.spec.dim)], "'an embedding' is all zeros"),
        ([like, -like], "leaves nothing to search for"),
        ([None], "item 0 of the queries is None"),
        (["a", 5], "item 1 of the queries is 5"),
    ):
        with pytest.raises(fb.DataError, match=what):
            opened.search(wrong)
    for given, what in (
        ({}, "a query has nothing; expected one of"),
        ({"text": "a", "video_id": "b"}, "a query has text and video_id"),
        ({"text": "a", "within": (1, 2)}, "a query by text has seconds"),
        ({"text": "a", "weight": 0}, "the weight of a query is 0"),
        ({"text": "a", "weight": "2"}, "Query: weight is '2'; expected a number"),
        ({"text": 5}, "Query: text is 5; expected a text or None"),
        ({"video_id": "film_000", "within": 3}, "Query: within is 3; expected a list or None"),
    ):
        with pytest.raises(fb.DataError, match=what):
            fb.Query(**given)


def test_texts_are_taken_only_from_vectors_of_their_space(film_index: Path, tmp_path: Path) -> None:
    other = Index.load(film_index)
    other.made_by |= {"in_text_space": False, "run": "a run", "classifier": "linear"}
    other.save(tmp_path / "index")
    with pytest.raises(fb.DataError, match="its vectors cannot be compared with texts"):
        fb.open(tmp_path / "index", device="cpu").search_id("film_000", minus="a person waving")


@pytest.mark.parametrize("moments", [False, True])
def test_a_filter_that_leaves_the_query_alone_is_told(opened: Any, *, moments: bool) -> None:
    for asked, where in (
        ("film_000", "video_id = 'film_000'"),
        (["film_000", "film_001"], "video_id in ('film_000', 'film_001')"),
    ):
        with pytest.raises(fb.DataError, match=r"^the filter .* leaves no video but the query, '.*'; expected another"):
            opened.search(asked, where=where, moments=moments)
    assert opened.search("film_000", where="video_id != 'film_002'", moments=moments)[0].video_id == "film_001"


def test_a_store_that_is_named_is_looked_at_even_if_no_row_is_read(opened: Any, tmp_path: Path) -> None:
    with pytest.raises(fb.DataError, match="no such store"):
        opened.search("a person waving", store=tmp_path / "gone")
