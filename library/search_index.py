"""SearchIndex: an index that is open, with its folder; it finds videos, learns classes from examples and labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, overload

from framebank.library.checks import Paths
from framebank.library.hits import Hits
from framebank.library.indexing.about import warn_if_older
from framebank.library.labels import Labels
from framebank.library.searching.answering import answer
from framebank.library.searching.asked import SearchOptions, SearchQuery
from framebank.library.searching.queries import (
    asked_by_file,
    asked_by_id,
    asked_by_image,
    asked_by_text,
    asked_by_vector,
    asked_without,
    is_file,
)
from framebank.library.watch import Watch, unwatched
from framebank.store.errors import DataError

if TYPE_CHECKING:
    import numpy as np

    from framebank.extract.encoders.encoder import Encoder
    from framebank.heads.labelling.table import Labelled
    from framebank.library.indexing.enrolled_class import EnrolledClass
    from framebank.library.indexing.thresholds import Thresholds
    from framebank.library.indexing.update import IndexUpdate
    from framebank.store import FeatureStore
    from framebank.store.indexes.index import Index
    from framebank.store.indexes.origin import Difference


@dataclass(eq=False)
class SearchIndex:
    """An index and the folder it lies in. It is read once; `enroll` and `unenroll` change the folder and this object.

    `difference` tells how the index's store differed from it when it was opened, None where the store is not at hand.
    `whole` is the index as it was read; `index` is without the videos that were removed from its store since, which are
    not found.
    """

    path: Path
    whole: "Index"
    difference: "Difference | None" = None
    device: str = "auto"
    given: Path | None = None  # the folder as the caller wrote it, for what is printed

    @classmethod
    def open(cls, path: str | Path, *, device: str = "auto") -> "SearchIndex":
        """Open the index in a folder; DataError where there is none. A DataWarning tells that its store has changed."""
        from framebank.store.indexes.index import Index

        loaded = Index.load(path)
        loaded.device = device
        return cls(Path(path).absolute(), loaded, warn_if_older(Path(path), loaded), device, Path(path))

    @cached_property
    def index(self) -> "Index":
        """The index without the videos that were removed from its store."""
        return self.whole.following(self.difference) if self.difference else self.whole

    @property
    def shown(self) -> Path:
        """The folder as the caller wrote it."""
        return self.given or self.path

    def __len__(self) -> int:
        return len(self.index)

    def __contains__(self, video_id: object) -> bool:
        return video_id in self.index

    @property
    def ids(self) -> tuple[str, ...]:
        """The video_ids, in their order."""
        return self.index.ids

    @property
    def enrolled(self) -> tuple[str, ...]:
        """The labels of the classes that were enrolled."""
        return self.whole.enrolment.labels

    def search(
        self,
        query: "str | Path | np.ndarray",
        *,
        k: int = 10,
        moments: bool = False,
        keep_all: bool = True,
        store: "FeatureStore | str | Path | None" = None,
        where: str | None = None,
        minus: str | None = None,
    ) -> Hits:
        """Find the k nearest videos, or with `moments` the k best stretches of them, best first.

        `query` is a text, the Path of a video file, the video_id of one of the index's own videos (which is left out of
        its hits) or an embedding (D,). A str that is a video_id here is one, else the path of a file where there is
        such a file, else a text; `search_text`, `search_file` and `search_id` take one of these alone.

        Where nothing stands out, `found` of the answer is false, and without `keep_all` it has no hits. An embedding is
        not judged. The rows of moments are read from the store that the index was made from, or from `store`. `where`
        is a filter, such as "label in ('surfing', 'archery') and split = 'train'": no other videos are answers.
        `minus` is a text that answers should be far from: its unit vector is taken from that of the query, which must
        be in the space of texts. A query that is no text is not judged then. `search_image` takes a picture. DataError
        where a file, a text or the filter is wrong, the store is not at hand, or no video fits the filter.
        """
        how = SearchOptions(k=k, moments=moments, keep_all=keep_all, store=store, where=where)
        if isinstance(query, Path):
            return self.search_file(query, minus=minus, **how)
        if not isinstance(query, str):
            return self._answer(asked_by_vector(self.index, query), minus, how)
        if query in self.index:
            return self.search_id(query, minus=minus, **how)
        return (self.search_file if is_file(query) else self.search_text)(query, minus=minus, **how)

    def search_text(self, text: str, *, minus: str | None = None, **how: Unpack[SearchOptions]) -> Hits:
        """Find what is nearest to a text, as `search`; DataError where it is empty, or the vectors are not of texts."""
        return self._answer(asked_by_text(self.path, self.index, lambda: self.encoder, text, how), minus, how)

    def search_file(self, path: str | Path, *, minus: str | None = None, **how: Unpack[SearchOptions]) -> Hits:
        """Find what is nearest to a video file, embedded and pooled as the index's own videos were; as `search`."""
        return self._answer(asked_by_file(self.index, self.encoder, Path(path), how), minus, how)

    def search_image(self, path: str | Path, *, minus: str | None = None, **how: Unpack[SearchOptions]) -> Hits:
        """Find what is nearest to a picture, embedded and pooled as a video of one frame; as `search`.

        >>> index.search_image("poster.png", k=3)                                              # doctest: +SKIP
        """
        return self._answer(asked_by_image(self.index, self.encoder, Path(path), how), minus, how)

    def search_id(
        self,
        video_id: str,
        *,
        within: tuple[float, float] | None = None,
        minus: str | None = None,
        **how: Unpack[SearchOptions],
    ) -> Hits:
        """Find what is nearest to one of the own videos, or to what it shows `within` some seconds; as `search`.

        The video itself is no answer; a copy of it that was enrolled under a label is another video, and is found.
        DataError where there is no such video, or the seconds lie outside it.
        """
        return self._answer(asked_by_id(self.index, video_id, how, within=within, where=self.path), minus, how)

    def _answer(self, asked: SearchQuery, minus: str | None, how: SearchOptions) -> Hits:
        """Return what is nearest to a query, or to what is left of it without the text `minus`."""
        if minus is not None:
            asked = asked_without(asked, self.index, lambda: self.encoder, minus, how)
        return answer(self.index, asked, **how)

    def enroll(
        self,
        label: str,
        videos: Sequence[str | Path] = (),
        *,
        ids: Sequence[str] = (),
        watch: Watch = unwatched,
    ) -> "EnrolledClass":
        """Make a label a class of the index by example clips, or by `ids` of its own videos; all of them or none.

        Returns the class as it stands now, with its threshold. DataError where no example is given, one cannot be read
        or is there already, or the label cannot be one.
        """
        from framebank.heads.labelling.enroll import check_label
        from framebank.heads.labelling.enroll import enroll as add
        from framebank.library.indexing.enrolled_class import EnrolledClass
        from framebank.store import Video

        videos = [videos] if isinstance(videos, str | Path) else list(videos)
        ids = [ids] if isinstance(ids, str) else list(ids)
        if not videos and not ids:
            raise DataError(f"{self.path}: no example of {label!r} is given; expected a clip at least, or an id")
        check_label(self.whole, label)
        examples: list[tuple[Video, np.ndarray]] = [
            (self.whole.video(video_id), self.whole.vector(video_id)) for video_id in ids
        ]
        if videos:
            self.encoder_of_examples()
        for path in watch(map(Path, videos), total=len(videos), unit="video"):
            examples.append((Video(path.stem or path.absolute().name, path.absolute()), self._pool(path)))
        self._become(add(self.path, label, examples, index=self.whole))
        return EnrolledClass.of(self.shown, self.whole, label, num_given=len(examples))

    def unenroll(self, label: str) -> int:
        """Remove the enrolled videos of a label and return how many; DataError where it was not enrolled."""
        from framebank.heads.labelling.enroll import unenroll as remove

        removed = remove(self.path, label, index=self.whole)
        self._become(self.whole.reread(self.path))
        return removed

    def calibrate(
        self, bank: "FeatureStore | str | Path | None" = None, split: str | None = None, *, share: float = 0.05
    ) -> "Thresholds":
        """Set the thresholds by held-out videos: those of a split ("val") of a store; without one by its own videos.

        At most `share` of the videos of other classes should pass each threshold. They hold for the classes that are
        enrolled now and later. DataError where the videos have no label, are in the index, were embedded in another
        way, or are too few.
        """
        from framebank.library.indexing.thresholds import set_thresholds

        self._become(set_thresholds(self.shown, self.whole, bank, split, share=share, device=self.device))
        return self.thresholds

    @property
    def thresholds(self) -> "Thresholds":
        """The cosines from which on a video passes, for each enrolled class and for the votes."""
        from framebank.library.indexing.thresholds import Thresholds

        return Thresholds.of(self.shown, self.whole)

    def update(self, bank: "FeatureStore | str | Path | None" = None) -> "IndexUpdate":
        """Follow the store: videos that joined, left, moved or were relabelled since; enrolled classes stay.

        `bank` is the store where it has moved. DataError where it is not there, or not the store of the index.
        """
        from framebank.library.indexing.update import update_index

        made = update_index(self.shown, bank, device=self.device)
        self.difference = None
        self._become(made.index)
        return made

    def _become(self, whole: "Index") -> None:
        """Be what the folder holds now."""
        self.whole = whole
        for name in ("index", "_labeller"):
            self.__dict__.pop(name, None)

    @overload
    def label(self, videos: str | Path, *, workers: int | None = None, watch: Watch = unwatched) -> "Labelled": ...

    @overload
    def label(self, videos: Paths, *, workers: int | None = None, watch: Watch = unwatched) -> Labels: ...

    def label(
        self, videos: str | Path | Paths, *, workers: int | None = None, watch: Watch = unwatched
    ) -> "Labelled | Labels":
        """Label a new video file, or several: by the classes that were enrolled, and the votes of the nearest videos.

        The label is "unknown" where nothing passes its threshold. As `TrainedRun.label` for what cannot be read.
        """
        from framebank.library.labelling import Asked
        from framebank.library.trained_run import label_by

        return label_by([Asked(self._labeller, self.index.spec, self.encoder)], videos, workers=workers, watch=watch)

    def _pool(self, path: Path) -> "np.ndarray":
        """The vector (D,) of a file."""
        from framebank.heads.labelling.neighbours import pool_query
        from framebank.library.labelling import embed_file

        vector: np.ndarray = pool_query(self.index, embed_file(path, self.index.spec, self.encoder))[0]
        return vector

    def encoder_of_examples(self) -> "Encoder":
        """Return the encoder of new videos; DataError with the way out where it is not here."""
        try:
            return self.encoder
        except DataError as error:
            raise DataError(f"{error}; ids (--id) take examples of the index") from error

    @cached_property
    def encoder(self) -> "Encoder":
        """The encoder of new videos and of texts; DataError where it is not here."""
        from framebank.library.labelling import encoder_of

        return encoder_of(self.whole.spec, where=self.path, device=self.device)

    @cached_property
    def _labeller(self) -> Any:
        from framebank.heads.labelling.labellers import IndexLabeller

        return IndexLabeller(self.index, where=self.path, knows_itself=True)

    def to_dict(self) -> dict[str, Any]:
        """Return what the index is made of as plain values."""
        from framebank.library.indexing.about import index_facts

        return index_facts(self.shown, self.whole)

    def lines(self) -> list[str]:
        """Return how many videos it has, and a line for each reason for which some are left out."""
        from framebank.library.indexing.about import index_lines

        return index_lines(self.shown, self.whole)

    def __repr__(self) -> str:
        enrolled = f", {len(self.index.enrolment.labels)} enrolled classes" if self.index.enrolment.labels else ""
        head = self.index.made_by.get("head")
        return f"SearchIndex({str(self.path)!r}: {self.index.num_own} videos, pooled by {head}{enrolled})"
