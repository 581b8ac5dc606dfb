"""search --export-clips, --sheet and --preview, on three films of which one is not there."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import framebank as fb
from framebank.demo.films import Film
from framebank.extract.decoders.decode import read_clip, read_frames
from framebank.library.searching.places import require_places
from framebank.library.searching.playing import read_playing
from framebank.store.indexes.index import Hit
from framebank.tests.worlds.cli import sentence
from framebank.tests.worlds.films import index_of_films, three_films

ASKED = ("--id", "film_000", "--moments", "--all")


@pytest.fixture(scope="module")
def films() -> list[Film]:
    return three_films()


@pytest.fixture(scope="module")
def film_index(tmp_path_factory: pytest.TempPathFactory, films: list[Film], framebank: Any) -> Path:
    return index_of_films(tmp_path_factory.mktemp("films"), films, framebank)


@pytest.fixture(scope="module")
def opened(film_index: Path) -> Any:
    return fb.open(film_index, device="cpu")


def test_clips_are_cut_and_a_missing_video_is_one_line(framebank: Any, film_index: Path, tmp_path: Path) -> None:
    asked = ("search", film_index, *ASKED, "-k", 6, "--export-clips", tmp_path / "clips", "--json")
    result = framebank(*asked, exit_code=1)
    told = json.loads(result.stdout)
    assert len(told["clips"]) == len(told["hits"])
    made = [(clip, hit) for clip, hit in zip(told["clips"], told["hits"], strict=True) if not clip["error"]]
    gone = [clip for clip in told["clips"] if clip["error"]]
    assert made and gone and {clip["video_id"] for clip in gone} == {"film_002"}
    lines = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(lines) == len(gone) and all("film_002.mp4: there is no such file" in line for line in lines)
    for clip, hit in made:
        path = Path(clip["path"])
        assert path.parent == tmp_path / "clips"
        assert path.name == f"{hit['video_id']}_{hit['start']:.2f}-{hit['end']:.2f}s.mp4"
        assert clip["start"] <= clip["wanted_start"] == hit["start"]
        clock = read_clip(Path(hit["path"]), lambda times: np.arange(len(times))).timestamps
        first = int(np.abs(clock - clip["start"]).argmin())
        frames = read_clip(path, lambda times: np.arange(len(times)))
        assert np.array_equal(frames.data[:3], read_frames(Path(hit["path"]), np.arange(first, first + 3)).data)
        assert clock[first] + frames.timestamps[-1] >= hit["end"] - 0.1
    assert {path.name for path in (tmp_path / "clips").iterdir()} == {Path(clip["path"]).name for clip, _ in made}
    again = framebank(*asked, exit_code=1)
    assert again.stderr.count("is there already, and is not written over") == len(made)


def test_exact_clips_start_where_the_hit_does(opened: Any, tmp_path: Path) -> None:
    hits = opened.search_id("film_002", moments=True, k=2)
    clips = hits.export_clips(tmp_path / "exact", exact=True)
    assert not clips.failed and len(clips) == len(hits) == 2
    for clip, hit in zip(clips, hits, strict=True):
        assert hit.start <= clip.start < hit.start + 0.09 and abs(clip.end - hit.end) < 0.09
        seconds = read_clip(clip.path, lambda times: np.arange(len(times))).timestamps[-1]
        assert seconds == pytest.approx(clip.end - clip.start, abs=0.1)
    assert "2 clips -> " in repr(clips) and "<table>" in clips._repr_html_()
    assert clips[:1].to_dict()["clips"][0]["path"] == str(clips[0].path)


def test_names_of_clips_lead_nowhere_else(opened: Any, tmp_path: Path) -> None:
    path = opened.index.video("film_000").path
    hits = (Hit("../up/there", 0.5, "", 0.0, 0.5, path=path), Hit("x" * 400, 0.5, "", 0.0, 0.5, path=path))
    clips = fb.library.hits.Hits("x", hits).export_clips(tmp_path / "clips")
    assert not clips.failed
    assert {clip.path.parent for clip in clips} == {tmp_path / "clips"}
    assert [path.name for path in tmp_path.iterdir()] == ["clips"]
    (tmp_path / "file").touch()
    with pytest.raises(fb.DataError, match="is a file; expected a folder for the clips"):
        fb.library.hits.Hits("x", hits).export_clips(tmp_path / "file")


def test_the_sheet_has_a_row_for_each_hit(framebank: Any, film_index: Path, opened: Any, tmp_path: Path) -> None:
    asked = (*ASKED, "-k", 6, "--sheet")
    told = framebank("search", film_index, *asked, tmp_path / "sheet.png", exit_code=1)
    hits = opened.search_id("film_000", moments=True, k=6)
    assert f"{len(hits)} rows of frames -> " in told.stdout
    assert "no frames of film_002" in sentence(told)
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB")).astype(int)
    assert pixels.shape[0] == 4 + 40 + len(hits) * 120
    for row, hit in enumerate(hits):
        cells = pixels[44 + 120 * row : 140 + 120 * row, 8:]
        if hit.video_id == "film_002":
            assert (cells == 255).all()
            continue
        clip = read_clip(hit.path, lambda times, one=hit: np.flatnonzero((times >= one.start) & (times < one.end)))
        for column in range(6):
            frame = clip.data[int((column + 0.5) * len(clip) / 6)]
            cell = np.asarray(Image.fromarray(frame).resize((96, 96), Image.Resampling.BICUBIC)).astype(int)
            assert np.abs(cells[:, 100 * column : 100 * column + 96] - cell).mean() < 2, column
    with pytest.raises(fb.DataError, match="expected one that ends in"):
        hits.sheet(tmp_path / "sheet.jpg")
    with pytest.raises(fb.DataError, match="there is no hit to draw"):
        hits[:0].sheet(tmp_path / "none.png")


def test_places_are_checked_before_the_search(framebank: Any, film_index: Path, opened: Any, tmp_path: Path) -> None:
    for flag, name in (("--preview", "x.gif"), ("--sheet", "x.jpg")):
        told = framebank("search", film_index, "--id", "film_000", "-k", 1, flag, tmp_path / name, exit_code=1)
        assert "expected one that ends in" in sentence(told)
    away = replace(opened, path=tmp_path / "index")
    for where in ("sheet", "preview", "clips"):
        places: Any = dict.fromkeys(("sheet", "preview", "clips")) | {where: film_index.parent / "new" / "a.webp"}
        places["sheet"] = places["sheet"] and places["sheet"].with_suffix(".png")
        with pytest.raises(fb.DataError, match="is among the videos of"):
            require_places(away, **places)
        require_places(opened, **places)  # the index lies beside single files


def test_other_pictures_of_a_folder_are_told_of(opened: Any, tmp_path: Path) -> None:
    hits = opened.search_id("film_002", k=2)
    assert len(hits.preview(tmp_path / "new").lines()) == 1
    told = hits[:1].preview(tmp_path / "new").lines()
    assert "also holds 1 other picture" in told[1]


def test_a_preview_plays_the_frames_of_each_hit(framebank: Any, film_index: Path, opened: Any, tmp_path: Path) -> None:
    asked = ("search", film_index, *ASKED, "-k", 6, "--json", "--preview")
    told = framebank(*asked, tmp_path / "hits.webp", exit_code=1)
    hits = opened.search_id("film_000", moments=True, k=6)
    there = [hit for hit in hits if hit.video_id != "film_002"]
    made = json.loads(told.stdout)["preview"]
    assert (made["files"], made["hits"]) == ([str(tmp_path / "hits.webp")], len(there))
    assert "no preview of film_002 from " in sentence(told)
    pages, shown = _pages(tmp_path / "hits.webp")
    at = 0
    for hit in there:
        clip = read_clip(hit.path, lambda times, one=hit: np.flatnonzero((times >= one.start) & (times < one.end)))
        taken = [row for row, before in enumerate(clip.timestamps) if _is_due(before, clip.timestamps, row, fps=8)]
        for row in taken:
            frame = np.asarray(Image.fromarray(clip.data[row])).astype(int)
            assert np.abs(pages[at][: frame.shape[0], : frame.shape[1]] - frame).mean() < 8, (hit, row)
            at += 1
        assert sum(shown[at - len(taken) : at]) == pytest.approx(1000 * (hit.end - clip.timestamps[0]), abs=120)
    assert at == len(pages)
    assert (pages[0][-40:] < 128).any(axis=(0, 2)).sum() > 40  # the caption and the clock
    assert (pages[0][-20:] != pages[1][-20:]).any()  # the clock goes on


def _is_due(second: float, times: np.ndarray, row: int, *, fps: int) -> bool:
    """Whether a frame is on the screen at a multiple of 1 / fps after the first one."""
    after = times[row + 1] if row + 1 < len(times) else second + 1e-3
    due = np.arange(100) / fps + times[0]
    return bool(((due >= second - 1e-3) & (due < after - 1e-3)).any())


def _pages(path: Path) -> tuple[list[np.ndarray], list[int]]:
    """The pages of an animation, and the milliseconds that each is shown."""
    with Image.open(path) as image:
        pages, shown = [], []
        for page in range(image.n_frames):
            image.seek(page)
            pages.append(np.asarray(image.convert("RGB")).astype(int))
            shown.append(image.info["duration"])
    return pages, shown


def test_the_caption_of_a_preview_is_one_line_and_its_end_is_cut_off(opened: Any, tmp_path: Path) -> None:
    hit = replace(opened.search_id("film_002", moments=True, k=1)[0], start=None, end=None)
    lines = {}
    for told in ("a", "a\n" + 40 * "W", "a " + 400 * "W"):
        made = fb.library.hits.Hits("x", (replace(hit, label=told),)).preview(tmp_path / "one.webp")
        (first, *_), _ = _pages(made.files[0])
        assert first.shape == (128 + 40, 128, 3)  # as wide as the frame
        lines[told] = (first[128:148] < 128).any(axis=(0, 2))  # the columns that have ink
        assert not lines[told][-3:].any()  # no letter is cut in two
        assert not (first[-2:] < 128).any()
    short, broken, long = lines.values()
    assert short[:30].tolist() == broken[:30].tolist() == long[:30].tolist()  # the cosine stands first
    assert min(np.flatnonzero(long)[-1], np.flatnonzero(broken)[-1]) > 128 - 4 - 14


def test_an_extraction_after_a_preview_takes_no_picture_for_a_video(
    framebank: Any, film_index: Path, tmp_path: Path
) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    for name in ("film_000.mp4", "film_001.mp4"):
        shutil.copy(film_index.parent / name, videos / name)
    extract = ("extract", videos, tmp_path / "bank", "--model", "demo", "--frames", 4, "--workers", 1)
    framebank(*extract)
    before = (tmp_path / "bank" / "manifest.csv").read_text()
    framebank("index", tmp_path / "bank", tmp_path / "index")
    ask = ("search", tmp_path / "index", "--id", "film_000", "--all", "-k", 1, "--preview")
    told = framebank(*ask, videos / "hits.webp", exit_code=1)
    assert f"is among the videos of {videos}" in sentence(told) and len(list(videos.iterdir())) == 2
    told = framebank(*ask, videos / "previews", exit_code=1)
    assert f"is among the videos of {videos}" in sentence(told) and len(list(videos.iterdir())) == 2
    assert "1 hit in 1 animated picture -> " in framebank(*ask, tmp_path / "hits.webp").stdout
    assert "1 hit in 1 animated picture -> " in framebank(*ask, tmp_path / "previews").stdout
    framebank(*extract)
    assert (tmp_path / "bank" / "manifest.csv").read_text() == before
    assert not (tmp_path / "bank" / "failed.csv").exists()


def test_previews_in_a_folder_are_a_file_for_each_hit(opened: Any, tmp_path: Path) -> None:
    hits = opened.search_id("film_002", moments=True, k=2)
    for _ in range(2):  # what is there is replaced
        made = hits.preview(tmp_path / "previews")
        names = [f"{hit.video_id}_{hit.start:.2f}-{hit.end:.2f}s.webp" for hit in hits]
        assert [path.name for path in made.files] == names and made.hits == 2 and not made.failed
        assert sorted(path.name for path in (tmp_path / "previews").iterdir()) == sorted(names)
    assert "2 hits in 2 animated pictures -> " in repr(made) and "2 hits" in made._repr_html_()
    long = replace(hits[0], start=None, end=None)
    whole = fb.library.hits.Hits("x", (long,)).preview(tmp_path / "whole.webp")
    pages, shown = _pages(whole.files[0])
    clock = read_clip(long.path, lambda times: np.arange(len(times))).timestamps
    assert len(pages) == min(48, int(clock[-1] * 8) + 1)
    assert sum(shown) == pytest.approx(1000 * min(6, clock[-1]), abs=150)  # 48 frames play 6 s at most
    fast = read_playing("x", long.path, most=10)
    assert len(fast.frames) == 10 and fast.shown.sum() == pytest.approx(1250, abs=150)
    with pytest.raises(fb.DataError, match="expected one that ends in"):
        hits.preview(tmp_path / "hits.gif")
    with pytest.raises(fb.DataError, match="there is no hit to show"):
        hits[:0].preview(tmp_path / "none.webp")
    (tmp_path / "file").touch()
    with pytest.raises(fb.DataError, match="is a file; expected a folder for the previews"):
        hits.preview(tmp_path / "file")


def test_nothing_found_makes_no_file(framebank: Any, film_index: Path, tmp_path: Path) -> None:
    text = ("--text", "a xylophone beside a zeppelin", "--moments")
    made = ("--sheet", tmp_path / "sheet.png", "--preview", tmp_path / "out.webp", "--export-clips", tmp_path / "clips")
    told = json.loads(framebank("search", film_index, *text, *made, "--json").stdout)
    assert (told["found"], told["sheet"], told["preview"], told["clips"]) == (False, None, None, [])
    lines = framebank("search", film_index, *text, *made).stdout.splitlines()
    assert lines[0].startswith("nothing found: ")
    assert lines[-2:] == [f"no picture -> {tmp_path / name}" for name in ("sheet.png", "out.webp")]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (("--exact",), "--exact says how --export-clips cuts"),
        (("--minus-text", " "), "--minus-text is empty"),
    ],
)
def test_wrong_usage_is_told(framebank: Any, film_index: Path, arguments: tuple[str, ...], what: str) -> None:
    assert what in framebank("search", film_index, "--text", "a person", *arguments, exit_code=2).stderr
