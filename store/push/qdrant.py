"""Qdrant: a collection of a server, or of a folder that the client itself keeps, as a target of points."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from framebank.store.errors import DataError, reason_of
from framebank.store.lazy import require
from framebank.store.push.points import Points

KEY = "QDRANT_API_KEY"  # the variable of the environment with the key of a server
SECONDS = 60  # that a server may take for an answer
HOST_AND_PORT = re.compile(r"[\w.-]+:\d+")  # a server without its http://, which would become a folder of this name
MARK = "meta.json"  # the file by which Qdrant's client knows its folder


class Qdrant:
    """A collection of Qdrant: `place` is a URL, ":memory:" or a folder. Its one vector is compared by the cosine."""

    def __init__(self, place: str, collection: str) -> None:
        self.collection = collection
        self._place = _without_password(place)
        self._library: ModuleType = require("qdrant_client", extra="qdrant", what=self.shown)
        remote = place.startswith(("http://", "https://"))
        if not remote and ("://" in place or HOST_AND_PORT.fullmatch(place)):
            raise DataError(f"{self.shown}: is not an address of Qdrant; expected http://HOST:6333 or a folder")
        if not remote and place != ":memory:":
            self._require_own(Path(place))
        with self._telling():
            if remote:
                more: dict[str, Any] = {"api_key": os.environ.get(KEY), "timeout": SECONDS}
                self._client = self._library.QdrantClient(url=place, check_compatibility=False, **more)
            elif place == ":memory:":
                self._client = self._library.QdrantClient(":memory:")
            else:
                self._client = self._library.QdrantClient(path=place)

    def __repr__(self) -> str:
        return f"Qdrant({self.shown!r})"

    def _require_own(self, folder: Path) -> None:
        """Refuse a folder that holds something else: Qdrant's client would write among it."""
        try:
            is_free = not folder.exists() or (folder / MARK).is_file() or not any(folder.iterdir())
        except OSError as error:
            raise DataError(f"{self.shown}: cannot be read as a folder ({error.strerror or error})") from error
        if not is_free:
            raise DataError(f"{self.shown}: holds other files; expected a new folder, or one of Qdrant's client")

    @property
    def shown(self) -> str:
        """Where it is."""
        return f"qdrant:{self._place}, collection {self.collection!r}"

    def prepare(self, dim: int) -> None:
        """Make the collection if it is not there. DataError if its vectors have another width, or several names."""
        models = self._library.models
        with self._telling():
            if not self._client.collection_exists(self.collection):
                vectors = models.VectorParams(size=dim, distance=models.Distance.COSINE)
                self._client.create_collection(self.collection, vectors_config=vectors)
                return
            found = self._client.get_collection(self.collection).config.params.vectors
        width = getattr(found, "size", None)
        if width is None:
            raise DataError(f"{self.shown}: has vectors with names; expected one vector without a name")
        if width != dim:
            raise DataError(
                f"{self.shown}: holds vectors of width {width}, those of the index have {dim}; expected a collection "
                "of this width, or a name that is not taken"
            )

    def write(self, points: Points) -> None:
        """Write points in place of those with the same ids."""
        batch = self._library.models.Batch(
            ids=list(points.ids), vectors=points.vectors.tolist(), payloads=list(points.payloads)
        )
        with self._telling():
            self._client.upsert(self.collection, points=batch, wait=True)

    def count(self) -> int:
        """Return how many points the collection has."""
        with self._telling():
            return int(self._client.count(self.collection, exact=True).count)

    def close(self) -> None:
        """End the connection."""
        with contextlib.suppress(Exception):  # what was written is written
            self._client.close()

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn what the client raises into one sentence."""
        from qdrant_client.http.exceptions import ApiException, ResponseHandlingException

        try:
            yield
        except ResponseHandlingException as error:  # no answer came, or none that can be read
            raise DataError(f"{self.shown}: does not answer ({reason_of(error)})") from error
        except (ApiException, RuntimeError, ValueError, OSError) as error:
            raise DataError(f"{self.shown}: does not do what was asked ({reason_of(error)})") from error


def _without_password(place: str) -> str:
    parts = urlsplit(place)
    if not parts.hostname or "@" not in parts.netloc:
        return place
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
