"""Given videos: which video of a store another program means, by its id, its path, its content or its name."""

from collections.abc import Mapping, Sequence
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

IDS = ("video_id", "id")  # the columns that may hold ids
ENCODED = "_hf_encoded"  # where the package datasets keeps the path and the bytes of an opened video


class GivenVideos:
    """The videos of a store that have rows, as another program names them.

    A video is looked for by its id, by the path of its file, by the content of its file, and last by the name of its
    file and the folders before it. Content is compared with what the store knows of the files that it was made from.
    """

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self._videos = [video for video in store.manifest.videos if video.video_id in store]
        self._known = {video.video_id for video in self._videos}
        self._by_path: dict[Path, list[Video]] = {}
        for video in self._videos:
            self._by_path.setdefault(video.path.absolute(), []).append(video)
        self._by_name_only = False

    def ids_of(self, batch: Mapping[str, Any], column: str = "video") -> list[str]:
        """Return the ids of the videos in a column of a batch, (B,). DataError if one of them is not in the store."""
        given = list(batch[column])
        named: Sequence[object] = next((batch[name] for name in IDS if name in batch), ())
        names = [str(name) for name in named]
        if len(names) != len(given):
            names = [""] * len(given)
        return [self.id_of(one, name=name) for one, name in zip(given, names, strict=True)]

    def id_of(self, given: object, *, name: str = "") -> str:
        """Return the id of one video: a path, {"path", "bytes"}, or what the package datasets opened.

        `name` is an id that stands beside it. DataError if nothing says which video it is, if the store does not have
        it, or if it may be several.
        """
        if name in self._known:
            return name
        path, content = _said_of(given)
        if not path and content is None:
            raise DataError(
                f"{self._store.path}: a video is given as {type(given).__name__}, which does not say which one it is; "
                f"expected a column {' or '.join(IDS)}, or videos with a path or bytes"
            )
        found = (self._by_path.get(Path(path).absolute()) if path else None) or self._of_content(path, content)
        if not found:
            found = self._of_name(path)
        if not found:
            what = f"the video {path!r}" if path else "a video without a name"
            raise DataError(
                f"{self._store.path}: has no row of {what}, neither by its name nor by its content; extract it first"
            )
        wholes = [video for video in found if video.start is None and video.end is None]
        if len({video.path for video in wholes}) != len(wholes) or not wholes:
            raise DataError(
                f"{self._store.path}: {path!r} is the file of {counted(len(found), 'video')}, such as "
                f"{found[0].video_id!r}; expected a column {' or '.join(IDS)} that says which one"
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
        identity = identify_quietly(Path(path))
        return self._by_digest.get(identity.digest, []) if identity else []

    def _of_name(self, path: str) -> list[Video]:
        """The videos of one file whose path has the longest common end with `path`; DataError for several files."""
        if not path:
            return []
        places = self._ends.paths_of([path])
        if len(places) > 1:
            first, second, *_ = sorted(map(str, places))
            raise DataError(
                f"{self._store.path}: {path!r} may be {first} or {second}; expected a column {' or '.join(IDS)}, or "
                "the folders before the name"
            )
        found = [video for video in self._videos if video.path in places or Path(video.video_id) in places]
        if found and not self._by_name_only:
            self._by_name_only = True
            warn(
                f"{self._store.path}: {path!r} and maybe others are known by their names alone; their files are not "
                "those that the rows were made from, as far as the store knows"
            )
        return found


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
