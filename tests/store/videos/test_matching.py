"""A row of a list means a file: a whole video, all its parts, or one of the videos that an import made of the file."""

from pathlib import Path

import pytest

from framebank.store import DataError, Video
from framebank.store.videos.lists import ListedVideo
from framebank.store.videos.matching import match

LIST = Path("list.txt")
FILM = Path("/films/film.mp4")


def meant(name: str, videos: list[Video]) -> list[str]:
    return [video.video_id for _, video in match([ListedVideo(name)], videos, where=LIST)]


def test_a_row_means_all_parts_of_its_file_and_the_whole_video() -> None:
    videos = [
        Video("whole", FILM),
        Video("first", FILM, end=5.0),
        Video("second", FILM, start=5.0, end=9.0),
        Video("third", FILM, start=9.0),
        Video("other", Path("/films/other.mp4")),
    ]
    assert meant("film.mp4", videos) == ["whole", "first", "second", "third"]
    assert meant("films/other.mp4", videos) == ["other"]


def test_videos_that_were_imported_from_one_file_are_known_by_their_ids() -> None:
    videos = [Video(f"run/clip_{number}", Path("/features.npz")) for number in (1, 2)]
    assert meant("run/clip_2.avi", videos) == ["run/clip_2"]
    with pytest.raises(DataError, match=r"none of its 1 videos is among the 2 given; .* the first given 'run/clip_1'"):
        match([ListedVideo("features.npz")], videos, where=LIST)
