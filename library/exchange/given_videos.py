"""Given videos: which video of a store another program means, by its id, its path, its content or its name."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from framebank.store.counts import counted
from framebank.store.errors import DataError, warn
from framebank.store.features import FeatureStore
from framebank.store.upkeep.known_files import known_identities
from framebank.store.videos.identity import digest_of_bytes, identify_quietly
from framebank.store.videos.matching import Ends
from framebank.store.videos.video import Video

OWN_ID, OTHER_ID = "video_id", "id"  # the columns that may hold ids; the second may be a number of the task's own
ENCODED = "_hf_encoded"  # where the package datasets keeps the path and the bytes of an opened video


class GivenVideos:
    """The videos of a store that have rows, as another program names them.

    A video is looked for by its video_id, by the path of its file, by the content of its file, by the name of its file
    and the folders before it, and last by a column of the name "id". That column decides where a file is several
    videos. Content is compared with what the store knows of the files that it was made from.
    """

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self._videos = [video for video in store.manifest.videos if video.video_id in store]
        self._known = {video.video_id for video in self._videos}
        self._by_path: dict[Path, list[Video]] = {}
        for video in self._videos:
            self._by_path.setdefault(video.path.absolute(), []).append(video)
        self._told: set[str] = set()

    def ids_of(self, batch: Mapping[str, Any], column: str = "video") -> list[str]:
        """Return the ids of the videos in a column of a batch, (B,). DataError if one of them is not in the store."""
        given = list(batch[column])
        own, other = (_texts(batch.get(name, ()), len(given)) for name in (OWN_ID, OTHER_ID))
        rows = zip(given, own, other, strict=True)
        return [self.id_of(one, video_id=video_id, other_id=other_id) for one, video_id, other_id in rows]

    def id_of(self, given: object, *, video_id: str = "", other_id: str = "") -> str:
        """Return the id of one video: a path, {"path", "bytes"}, or what the package datasets opened.

        `video_id` and `other_id` stand beside it, each in a column of that name. DataError if nothing says which video
        it is, if the store does not have it, or if it may be several.
        """
        if video_id in self._known:
            return video_id
        path, content = _said_of(given)
        says_nothing = not path and content is None
        if says_nothing and other_id not in self._known:
            raise DataError(
                f"{self._store.path}: a video is given as {type(given).__name__}, which does not say which one it is; "
                f"expected a column {OWN_ID} or {OTHER_ID}, or videos with a path or bytes"
            )
        found = (self._by_path.get(Path(path).absolute()) if path else None) or self._of_content(path, content)
        if not found:
            found = self._of_name(path, other_id)
        if not found and other_id in self._known:
            self._warn(f"{other_id!r}", f"are known by the column {OTHER_ID} alone, which may be the task's own number")
            return other_id
        if not found:
            what = f"the video {path!r}" if path else "a video without a name"
            raise DataError(
                f"{self._store.path}: has no row of {what}, neither by its name nor by its content; extract it first"
            )
        if len(found) > 1 and any(video.video_id == other_id for video in found):
            return other_id
        wholes = [video for video in found if video.start is None and video.end is None]
        if len({video.path for video in wholes}) != len(wholes) or not wholes:
            raise DataError(
                f"{self._store.path}: {path!r} is the file of {counted(len(found), 'video')}, such as "
                f"{found[0].video_id!r}; expected a column {OWN_ID} or {OTHER_ID} that says which one"
            )
        return wholes[0].video_id  # several are copies

    @cached_property
    def _by_digest(self) -> dict[str, list[Video]]:
        known = known_identities(self._store)
        found: dict[str, list[Video]] = {}
        for video in self._videos:
            if video.video_id in known:
                found.setdefault(known[video.video_id].digest, []).append(video)
        return found

    @cached_property
    def _ends(self) -> Ends:
        return Ends(self._videos)

    def _of_content(self, path: str, content: bytes | None) -> list[Video]:
        if content is not None:
            return self._by_digest.get(digest_of_bytes(content), [])
        identity = identify_quietly(Path(path)) if path else None
        return self._by_digest.get(identity.digest, []) if identity else []

    def _of_name(self, path: str, other_id: str) -> list[Video]:
        """The videos of one file whose path has the longest common end with `path`; DataError for several files.

        Of several files, `other_id` chooses one.
        """
        if not path:
            return []
        places = self._ends.paths_of([path])
        found = [video for video in self._videos if video.path in places or Path(video.video_id) in places]
        chosen = [video for video in found if video.video_id == other_id]
        if len(places) > 1 and not chosen:
            first, second, *_ = sorted(map(str, places))
            raise DataError(
                f"{self._store.path}: {path!r} may be {first} or {second}; expected a column {OWN_ID} or {OTHER_ID}, "
                "or the folders before the name"
            )
        if found:
            self._warn(
                f"{path!r}",
                "are known by their names alone; their files are not those that the rows were made from, as far as the "
                "store knows",
            )
        return chosen or found

    def _warn(self, which: str, how: str) -> None:
        """Warn once of the way in which videos are known."""
        if how not in self._told:
            self._told.add(how)
            warn(f"{self._store.path}: {which} and maybe others {how}")


def _texts(values: Iterable[object], count: int) -> list[str]:
    """The ids of a column as texts; of a column of another length, "" for each video."""
    found = [str(value) for value in values]
    return found if len(found) == count else [""] * count


def _said_of(given: object) -> tuple[str, bytes | None]:
    """Return the path and the bytes that a video says of itself, "" and None for what it does not say."""
    if isinstance(given, str | Path):
        return str(given), None
    if isinstance(given, bytes):
        return "", given
    said = given if isinstance(given, Mapping) else getattr(given, ENCODED, None)
    if not isinstance(said, Mapping):
        return "", None
    content = said.get("bytes")
    return str(said.get("path") or ""), content if isinstance(content, bytes) else None
