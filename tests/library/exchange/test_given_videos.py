"""Given videos: what another program says of a video leads to its rows, or is refused in one sentence."""

import shutil
from pathlib import Path

import pytest

from framebank.library.exchange.given_videos import GivenVideos
from framebank.store import DataError, DataWarning, FeatureStore, Manifest, Video
from framebank.tests.worlds.bank import put, write_store


class Opened:
    """A video as the package datasets opens it."""

    def __init__(self, path: str | None = None, content: bytes | None = None) -> None:
        self._hf_encoded = {"path": path, "bytes": content}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """A store of four files: two have one name, in different folders."""
    folder = tmp_path_factory.mktemp("given")
    for name in ("run/1.mp4", "jump/1.mp4", "run/v_Run_g01.avi", "jump/long.mp4"):
        put(folder / "videos" / name, name * (200_000 if "long" in name else 1))
    return FeatureStore(write_store(folder / "bank", folder / "videos"))


def id_of(store: FeatureStore, end: str) -> str:
    return next(video.video_id for video in store.manifest.videos if video.path.as_posix().endswith(end))


def test_by_id_path_content_and_name(store: FeatureStore, tmp_path: Path) -> None:
    given, root = GivenVideos(store), store.path.parent / "videos"
    first, second = id_of(store, "run/1.mp4"), id_of(store, "jump/1.mp4")
    assert given.ids_of({"video": [object(), object()], "video_id": [second, first]}) == [second, first]
    assert given.ids_of({"video": [root / "run/1.mp4", str(root / "jump/1.mp4")]}) == [first, second]
    # the content leads to the video, whatever the name is and however the bytes come
    for content in ("jump/1.mp4", "jump/long.mp4"):
        copy = Path(shutil.copy(root / content, tmp_path / "renamed.mp4"))
        for one in (copy, copy.read_bytes(), Opened(str(copy)), Opened("1.mp4", copy.read_bytes())):
            assert given.ids_of({"video": [one]}) == [id_of(store, content)]
    # a file of other bytes is known by its name, and the caller hears of it once
    other = put(tmp_path / "elsewhere" / "v_Run_g01.mp4", "encoded again")
    with pytest.warns(DataWarning, match=r"'.*v_Run_g01.mp4' and maybe others are known by their names alone"):
        assert given.ids_of({"video": [Opened(str(other))]}) == [id_of(store, "v_Run_g01.avi")]
    assert given.ids_of({"video": [{"path": "run/1.mp4", "bytes": b"encoded again"}]}) == [first]


def test_what_does_not_say_which_video_it_is(store: FeatureStore) -> None:
    given = GivenVideos(store)
    with pytest.raises(DataError, match="a video is given as list"):
        given.ids_of({"video": [[1, 2, 3]]})
    with pytest.raises(
        DataError, match=r"has no row of the video 'nobody.mp4', neither by its name nor by its content"
    ):
        given.ids_of({"video": ["nobody.mp4"]})
    with pytest.raises(DataError, match="has no row of a video without a name"):
        given.ids_of({"video": [b"other bytes"]})
    with pytest.raises(
        DataError, match=r"'1.mp4' may be .*jump/1.mp4 or .*run/1.mp4; expected a column video_id or id"
    ):
        given.ids_of({"video": [{"path": "1.mp4", "bytes": b"encoded again"}]})


def test_the_parts_of_a_file_need_ids(store: FeatureStore) -> None:
    film = store.path.parent / "videos" / "run" / "1.mp4"
    parts = FeatureStore(store.path)
    parts.manifest = Manifest(
        tuple(
            Video(video_id, film, "run", "test", start, start + 1.0)
            for start, video_id in enumerate([id_of(store, "run/1.mp4"), id_of(store, "jump/1.mp4")])
        )
    )
    given = GivenVideos(parts)
    with pytest.raises(DataError, match=r"is the file of 2 videos, such as .*; expected a column video_id or id"):
        given.ids_of({"video": [film]})
    second = id_of(store, "jump/1.mp4")
    assert given.ids_of({"video": [film], "video_id": [second]}) == [second]


def test_a_column_id_may_be_the_number_of_a_task(store: FeatureStore, tmp_path: Path) -> None:
    given, root = GivenVideos(store), store.path.parent / "videos"
    first, second = id_of(store, "run/1.mp4"), id_of(store, "jump/1.mp4")
    # what the video itself says counts first, and the name of a file too
    assert given.ids_of({"video": [root / "run/1.mp4", {"bytes": b"jump/1.mp4"}], "id": [second, first]}) == [
        first,
        second,
    ]
    with pytest.warns(DataWarning, match="known by their names alone"):
        assert given.ids_of({"video": [{"path": "run/1.mp4", "bytes": b"other"}], "id": [second]}) == [first]
    # of two files that fit, or where nothing else leads to a video, the column decides
    assert given.ids_of({"video": [{"path": "1.mp4", "bytes": b"other"}], "id": [second]}) == [second]
    with pytest.warns(DataWarning, match=r"and maybe others are known by the column id alone"):
        assert given.ids_of({"video": [object(), tmp_path / "gone.mp4"], "id": [first, second]}) == [first, second]
    # a column video_id is ours
    assert given.ids_of({"video": [root / "run/1.mp4"], "video_id": [second], "id": [first]}) == [second]
