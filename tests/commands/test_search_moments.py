"""search --moments and "nothing found", on films whose truth is known."""

import json
import math
import shutil
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import framebank as fb
from framebank.demo.films import Film, film_rows, list_films
from framebank.store import Embeddings, FeatureStore, Manifest, ShardWriter, Video
from framebank.store.spans.files import read_spans
from framebank.store.vectors import unit
from framebank.tests.worlds.cli import sentence

PARTS = {"lengths": (3, 5), "performances": (1, 2)}
ACTIONS = ("sitting down", "falling down", "waving", "walking", "clapping")


@pytest.fixture(scope="module")
def films() -> list[Film]:
    return list_films(4, seed=7, actions=ACTIONS, **PARTS)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory, store: Path, films: list[Film]) -> Path:
    """The films' rows in a store of the tiny CLIP, at 4 frames a second."""
    from framebank.extract.encoders.encoder import encoder_like

    folder = tmp_path_factory.mktemp("films")
    spec = FeatureStore(store).spec
    encoder = encoder_like(spec, device="cpu")
    with ShardWriter(folder, replace(spec, sampling="fps:4")) as writer:
        for film in films:
            writer.add(film.video_id, film_rows(film, encoder, fps=4))
    videos = tuple(Video(film.video_id, folder / film.path) for film in films)
    Manifest(videos).write(folder / "manifest.csv")
    return folder


@pytest.fixture(scope="module")
def film_index(tmp_path_factory: pytest.TempPathFactory, bank: Path, framebank: Any) -> Path:
    folder = tmp_path_factory.mktemp("film index") / "index"
    framebank("index", bank, folder)
    return folder


def answer(framebank: Any, index: Path, *arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(framebank("search", index, *arguments, "--json").stdout)
    return found


@pytest.fixture(scope="module")
def opened(film_index: Path) -> Any:
    return fb.open(film_index, device="cpu")


def test_the_best_moment_is_where_the_action_is(opened: Any, films: list[Film]) -> None:
    for label in ("waving", "clapping"):
        truth = [span for film in films for span in film.truth if span.label == label]
        hits = opened.search(f"a person {label}", moments=True, k=3)
        assert hits.found and 0 < hits[0].chance <= 1
        assert max(hits.spans()[0].iou(one) for one in truth) > 0.5


def test_moments_of_the_command_are_those_in_python(framebank: Any, film_index: Path, opened: Any, bank: Path) -> None:
    hits = opened.search("a person waving", k=4, moments=True)
    told = answer(framebank, film_index, "--text", "a person waving", "--moments", "-k", 4)
    assert told["found"] is True
    assert set(told["hits"][0]) >= {"video_id", "start", "end", "score", "label", "chance"}
    assert [(hit.video_id, hit.start, hit.end) for hit in hits] == [
        (hit["video_id"], hit["start"], hit["end"]) for hit in told["hits"]
    ]
    rows = FeatureStore(bank)[hits[0].video_id]
    inside = (rows.timestamps >= hits[0].start) & (rows.timestamps < hits[0].end)
    query = unit(opened.encoder.encode_texts(["a person waving"])[0])
    best = np.sort(unit(rows.data[inside]) @ query)[-math.ceil(0.4 * inside.sum()) :]
    assert hits[0].score == pytest.approx(float(best.mean()), abs=1e-4)
    assert all(a.iou(b) <= 0.1 for a, b in combinations(hits.spans(), 2))
    header, first, *_ = hits.lines()
    assert header.split() == ["video", "seconds", "cosine", "chance", "label", "path"]
    assert " to " in first and " %" in first


def test_nothing_found_is_an_answer(framebank: Any, film_index: Path, opened: Any) -> None:
    text = "a xylophone beside a zeppelin"
    none = answer(framebank, film_index, "--text", text, "--moments")
    assert (none["found"], none["hits"]) == (False, [])
    for moments in (False, True):
        hits = opened.search(text, moments=moments, keep_all=False)
        assert (hits.found, len(hits)) == (False, 0) and "nothing found" in repr(hits)
        every = opened.search(text, moments=moments)
        assert not every.found and len(every) > 0 and "nothing found" in repr(every)


def test_a_video_like_none_of_the_others_is_not_found(store: Path, index: Path) -> None:
    opened = fb.open(index)
    own = [opened.search_id(video_id, k=1) for video_id in opened.ids]
    assert np.mean([hits.found for hits in own]) >= 0.9
    assert all("everyday names" not in repr(hits) for hits in own)  # the other videos judge it
    assert all(hits.found or "as they usually are to each other" in repr(hits) for hits in own)
    rng = np.random.default_rng(0)
    assert opened.search(rng.normal(size=128), k=2).found  # an embedding is not judged


def test_moments_like_another_video(opened: Any, films: list[Film]) -> None:
    hits = opened.search_id(films[0].video_id, moments=True, k=3)
    assert {hit.video_id for hit in hits} <= {film.video_id for film in films[1:]}
    assert len(hits.spans()) == 3


def test_a_moment_finds_others_like_it(framebank: Any, opened: Any, films: list[Film]) -> None:
    spans = [span for film in films for span in film.truth if span.label == "walking"]
    asked = spans[0]
    place = ("--id", asked.video_id, "--from", asked.start, "--to", asked.end)
    best = answer(framebank, opened.path, *place, "--moments", "-k", 1)["hits"][0]
    hits = opened.search_id(asked.video_id, within=(asked.start, asked.end), moments=True, k=20)
    assert (best["video_id"], best["start"], best["end"]) == (hits[0].video_id, hits[0].start, hits[0].end)
    same = [hit for hit in hits if hit.video_id == asked.video_id]
    assert same and all(hit.end <= asked.start or hit.start >= asked.end for hit in same)
    assert len(opened.search_id(asked.video_id, within=(asked.start, asked.end), k=2)) == 2
    for within in ((500.0, 501.0), (3.0, 2.0), (-1.0, 2.0)):
        with pytest.raises(fb.DataError, match="whose rows stand from"):
            opened.search_id("film_000", within=within, moments=True)


def test_a_folder_of_frames_is_a_video_and_a_word_is_a_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: Any
) -> None:
    from framebank.library.searching.queries import is_file

    (tmp_path / "surfing" / "one").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert is_file("surfing/one") and not is_file("surfing") and not is_file("surfing/two")
    with pytest.raises(fb.DataError, match="expected its start and its end"):
        opened.search_id("film_000", within=(3.0,), moments=True)


def test_what_all_videos_share_does_not_decide_where_an_example_is_shown_again(store: Path, tmp_path: Path) -> None:
    spec = FeatureStore(store).spec
    shared, action, place = np.eye(spec.dim, dtype=np.float32)[:3]
    shown = {
        "asked": shared + 0.5 * action,
        "again, elsewhere": shared + 0.5 * action + 0.6 * place,
        **{f"nothing {number}": shared for number in range(20)},
    }
    cosines = {name: float(unit(row) @ unit(shown["asked"])) for name, row in shown.items()}
    assert cosines["again, elsewhere"] < cosines["nothing 0"]
    noise = np.random.default_rng(0).normal(size=(20, spec.dim)).astype(np.float32) * 1e-3
    (tmp_path / "bank").mkdir()
    with ShardWriter(tmp_path / "bank", spec) as writer:
        for name, row in shown.items():
            writer.add(name, Embeddings(unit(row + noise), (np.arange(20) + 0.5) / 2, np.arange(20)))
    Manifest(tuple(Video(name, tmp_path / name) for name in shown)).write(tmp_path / "bank" / "manifest.csv")
    made = fb.index(tmp_path / "bank", tmp_path / "index")
    first, *_, last = hits = made.search_id("asked", moments=True, k=21)
    assert first.video_id == "again, elsewhere" and hits.by_videos
    assert first.chance == pytest.approx(1 / 21)  # none of the 20 videos beside it and the query fits as well
    assert last.chance > 0.5


def test_a_moment_is_found_again_in_its_own_video(store: Path, tmp_path: Path) -> None:
    spec = FeatureStore(store).spec
    shown = np.zeros((40, spec.dim), dtype=np.float32)  # at 2 rows a second
    shown[:, 0] = 1.0
    shown[6:10, 1] = shown[30:34, 1] = 1.0
    (tmp_path / "bank").mkdir()
    with ShardWriter(tmp_path / "bank", spec) as writer:
        writer.add("film", Embeddings(unit(shown), (np.arange(40) + 0.5) / 2, np.arange(40)))
    Manifest((Video("film", tmp_path / "film"),)).write(tmp_path / "bank" / "manifest.csv")
    made = fb.index(tmp_path / "bank", tmp_path / "index")
    hits = made.search_id("film", within=(3.0, 5.0), moments=True)
    assert (hits[0].start, hits[0].end) == (15.0, 17.0)
    assert all(hit.end <= 3.0 or hit.start >= 5.0 for hit in hits)
    twice = [fb.Query(video_id="film", within=seconds) for seconds in ((3.0, 5.0), (15.0, 17.0))]
    for hit in made.search(twice, moments=True):
        assert hit.end <= 3.0 or 5.0 <= hit.start < hit.end <= 15.0 or hit.start >= 17.0
    with pytest.raises(fb.DataError, match="the index has no video but 'film' to look at"):
        made.search_id("film", moments=True)
    with pytest.raises(fb.DataError, match="shows nothing but 'film, 0 to 20 s' itself"):
        made.search_id("film", within=(0.0, 20.0), moments=True)


def test_one_long_film_gives_as_many_moments_as_are_asked_for(store: Path, tmp_path: Path) -> None:
    spec = FeatureStore(store).spec
    shown = np.zeros((400, spec.dim), dtype=np.float32)
    shown[:, 0] = 1.0
    for first in range(10, 400, 40):  # ten times, four seconds each
        shown[first : first + 8, 1] = 1.0
    (tmp_path / "bank").mkdir()
    times = (np.arange(400) + 0.5) / 2
    with ShardWriter(tmp_path / "bank", spec) as writer:
        writer.add("film", Embeddings(unit(shown), times, np.arange(400)))
        writer.add("short", Embeddings(unit(shown[:40]), times[:40], np.arange(40)))
    Manifest((Video("film", tmp_path / "f"), Video("short", tmp_path / "s"))).write(tmp_path / "bank" / "manifest.csv")
    made = fb.index(tmp_path / "bank", tmp_path / "index")
    asked = made.search_id("film", within=(5.0, 9.0), moments=True, k=20)
    found = {hit.start: hit.end - hit.start for hit in asked if hit.video_id == "film" and hit.score > 0.9}
    assert found == {5.0 + 20.0 * number: 4.0 for number in range(1, 10)}


def test_the_best_moment_of_a_film_comes_before_weaker_ones_of_it(store: Path, tmp_path: Path) -> None:
    spec = FeatureStore(store).spec
    rng = np.random.default_rng(0)
    kinds = unit(rng.normal(size=(12, spec.dim))).astype(np.float32)
    kinds[0] = unit((0.5 * kinds[2] + kinds[0])[None])[0]
    shown = np.repeat(kinds[[1, 0, 3, 0, 4, 0, 5, 0, 6, 2, 7, 8, 2, 9]], 8, axis=0)  # 4 s each, at 2 rows a second
    (tmp_path / "bank").mkdir()
    with ShardWriter(tmp_path / "bank", spec) as writer:
        for name, rows in (
            ("film", shown),
            *((f"other {at}", np.repeat(kinds[[10, 11]], 8, axis=0)) for at in range(6)),
        ):
            writer.add(name, Embeddings(rows, (np.arange(len(rows)) + 0.5) / 2, np.arange(len(rows))))
    names = ("film", *(f"other {at}" for at in range(6)))
    Manifest(tuple(Video(name, tmp_path / name) for name in names)).write(tmp_path / "bank" / "manifest.csv")
    hits = fb.index(tmp_path / "bank", tmp_path / "index").search_id("film", within=(36.0, 40.0), moments=True, k=4)
    assert (hits[0].video_id, hits[0].start, hits[0].end) == ("film", 48.0, 52.0)
    assert sum(hit.video_id == "film" for hit in hits) <= 3


def test_the_names_are_embedded_once(film_index: Path, opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    opened.search("a person waving")
    assert (film_index / "names.npz").is_file()
    texts: list[str] = []
    embed = opened.encoder.encode_texts

    def counted(asked: list[str], **more: Any) -> np.ndarray:
        texts.extend(asked)
        return embed(asked, **more)

    monkeypatch.setattr(opened.encoder, "encode_texts", counted)
    opened.search("a person waving")
    assert texts == ["a person waving"]


def test_a_store_that_is_not_at_hand(framebank: Any, opened: Any, bank: Path, store: Path, tmp_path: Path) -> None:
    from framebank.store.indexes.index import Index

    shutil.copytree(bank, tmp_path / "moved")
    made = Index.load(opened.path)
    made.origin, made.made_by["store"] = None, str(tmp_path / "gone")
    made.save(tmp_path / "other")
    asked = ("--text", "a person waving", "--moments")
    told = sentence(framebank("search", tmp_path / "other", *asked, exit_code=1))
    assert "moments are read from the store of the index" in told and "gone" in told
    made.made_by["store"] = ""  # as index-merge leaves it
    made.save(tmp_path / "merged")
    told = sentence(framebank("search", tmp_path / "merged", *asked, exit_code=1))
    assert "the index knows none" in told and "--store" in told
    other = fb.open(tmp_path / "other")
    assert other.search_id("film_000", moments=True, store=tmp_path / "moved").found
    with pytest.raises(fb.DataError, match="holds no video of the 4 videos of the index"):
        opened.search("a person waving", moments=True, store=store)


def test_shots_end_where_the_parts_do(framebank: Any, bank: Path, films: list[Film], tmp_path: Path) -> None:
    found = json.loads(framebank("shots", bank, "--csv", tmp_path / "shots.csv", "--json").stdout)
    spans = read_spans(tmp_path / "shots.csv")
    assert all(one["end"] == round(one["end"], 6) for one in found["shots"])  # 1.86, and not 1.8599999999999999
    assert [(one["video_id"], one["start"], one["end"]) for one in found["shots"]] == [
        (span.video_id, span.start, span.end) for span in spans
    ]
    cuts = [(film.video_id, cut) for film in films for cut in film.cuts]
    starts = [(span.video_id, span.start) for span in spans if span.start]
    near = [any(name == other and abs(cut - start) < 0.3 for other, start in starts) for name, cut in cuts]
    assert sum(near) >= 0.7 * len(cuts) and len(starts) <= 1.5 * len(cuts)
    assert f"{len(spans)} shots in 4 videos" in framebank("shots", bank).stdout
    assert "does not have the name of a file of spans" in sentence(
        framebank("shots", bank, "--csv", tmp_path / "s.txt", exit_code=1)
    )


def test_shots_of_rows_far_apart_say_so(store: Path) -> None:
    found = fb.shots(store, split="test")
    assert len(found.sparse) == 0 and len(found) >= 16
    assert fb.Shots(found.spans[:1], sparse=("a", "b", "c", "d")).lines()[-1].endswith("gives more): a, b, c, ...")


def test_a_filter_knows_how_long_the_videos_are(framebank: Any, bank: Path, films: list[Film], tmp_path: Path) -> None:
    lengths = {film.video_id: float(sum(film.seconds)) for film in films}
    shortest, second, *_, longest = sorted(lengths, key=lambda name: lengths[name])
    below = f"duration < {(lengths[shortest] + lengths[second]) / 2}"
    for level in ("video", "clip", "frame"):
        framebank("index", bank, tmp_path / level, "--level", level)
        told = answer(framebank, tmp_path / level, "--id", longest, "--where", below)
        assert {hit["video_id"] for hit in told["hits"]} == {shortest}
        for name, seconds in lengths.items():
            about = f"duration between {seconds - 0.25} and {seconds + 0.25} and video_id = '{name}'"
            told = answer(framebank, tmp_path / level, "--text", "a person", "--all", "--where", about)
            assert {hit["video_id"] for hit in told["hits"]} == {name}


def test_a_filter_leaves_only_what_it_means(framebank: Any, opened: Any, index: Path) -> None:
    clips = fb.open(index)
    query = np.random.default_rng(1).normal(size=128)
    for where in ("label = 'waving'", "label in ('waving', 'walking') and split = 'test'", "video_id like 'fall%'"):
        hits = clips.search(query, k=64, where=where)
        every = [hit for hit in clips.search(query, k=64) if hit.video_id in {one.video_id for one in hits}]
        assert [(hit.video_id, hit.score) for hit in hits] == [
            (hit.video_id, pytest.approx(hit.score)) for hit in every
        ]
    assert {hit.label for hit in clips.search(query, k=64, where="label = 'waving'")} == {"waving"}
    hits = opened.search("a person waving", moments=True, keep_all=True, where="video_id in ('film_002', 'film_003')")
    assert {hit.video_id for hit in hits} == {"film_002", "film_003"}
    both = ("--where", "video_id != 'film_001' or split = 'val'", "--where", "video_id != 'film_002'")
    told = answer(framebank, opened.path, "--id", "film_000", *both)
    assert {hit["video_id"] for hit in told["hits"]} == {"film_003"}
    wrong = ("--id", "film_000", "--where", "colour = 'red'")
    told = sentence(framebank("search", opened.path, *wrong, exit_code=1))
    assert "names 'colour', which is no column" in told
