"""SearchIndex: an open index and its folder. It finds videos, learns classes from examples and labels videos."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, overload

from framebank.library.checks import Paths, typed
from framebank.library.hits import Hits
from framebank.library.indexing.about import index_facts, index_lines, warn_if_older
from framebank.library.labels import Labels
from framebank.library.searching.answering import answer
from framebank.library.searching.asked import SearchOptions
from framebank.library.searching.queries import asked_by, queries_of
from framebank.library.searching.query import Query
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
    from framebank.store.indexes.tuning import Measured


@typed
@dataclass(eq=False)
class SearchIndex:
    """An index and its folder. It is read once; `enroll` and `unenroll` change the folder and this object.

    `difference` says how the store differed at opening, and is None if the store was not found. `whole` is the index as
    it was read. `index` leaves out the videos that were removed from the store since then.
    """

    path: Path
    whole: "Index"
    difference: "Difference | None" = None
    device: str = "auto"
    given: Path | None = None  # the folder as the caller wrote it, for messages

    def __post_init__(self) -> None:
        """Let the index search on the device."""
        self.whole.device = self.device

    @classmethod
    def open(cls, path: str | Path, *, device: str = "auto") -> "SearchIndex":
        """Open the index in a folder. A DataWarning says if its store has changed. DataError if there is no index."""
        from framebank.store.indexes.index import Index

        loaded = Index.load(path)
        return cls(Path(path).absolute(), loaded, warn_if_older(Path(path), loaded), device, Path(path))

    @cached_property
    def index(self) -> "Index":
        """The index, without the videos that were removed from its store."""
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
        """The video_ids, in the order of the index."""
        return self.index.ids

    @property
    def measured(self) -> "Measured | None":
        """The recall at 10 against exact search, the seconds and the bytes that were measured; None if unknown."""
        return self.whole.searched.measured

    @property
    def enrolled(self) -> tuple[str, ...]:
        """The labels of the enrolled classes."""
        return self.whole.enrolment.labels

    def search(
        self,
        query: "str | Path | np.ndarray | Query | Sequence[str | Path | np.ndarray | Query]",
        *,
        k: int = 10,
        moments: bool = False,
        keep_all: bool = True,
        store: "FeatureStore | str | Path | None" = None,
        where: str | None = None,
        minus: str | None = None,
    ) -> Hits:
        """Find the k nearest videos, or with `moments` the k best stretches of videos, best first.

        `query` is a text, the Path of a video file, a video_id of the index (its video is left out of the hits), an
        embedding (D,) or a `Query`. A str is taken as a video_id if the index has it, as a path if such a file exists,
        else as a text. `search_text`, `search_file` and `search_id` each accept one kind only. Several in a list are
        searched for together, by the sum of their unit vectors; a `Query` has a weight.

        If nothing stands out, `found` of the answer is false, and it has no hits unless `keep_all` is given. The answer
        to an embedding is not judged. `moments` reads its rows from the store of the index, or from `store`. `where` is
        a filter, such as "label in ('surfing', 'archery') and split = 'train'": only videos that pass it can be hits.
        `minus` is a text that hits should be far from: its unit vector is taken from that of the query, and a query
        that is not a text is not judged then. DataError if a file, text or filter is wrong, or no video or store found.

        >>> index.search(["a person falls", fb.Query(video_id="film_002", weight=0.5)])        # doctest: +SKIP
        """
        how = SearchOptions(k=k, moments=moments, keep_all=keep_all, store=store, where=where)
        return self._answer(queries_of(self.index, query), minus, how)

    def search_text(self, text: str, *, minus: str | None = None, **how: Unpack[SearchOptions]) -> Hits:
        """Find what is nearest to a text, as `search`. DataError if it is empty or does not fit the vectors."""
        return self._answer([Query(text=text)], minus, how)

    def search_file(self, path: str | Path, *, minus: str | None = None, **how: Unpack[SearchOptions]) -> Hits:
        """Find what is nearest to a video file, as `search`. It is embedded and pooled like the indexed videos."""
        return self._answer([Query(file=path)], minus, how)

    def search_image(self, path: str | Path, *, minus: str | None = None, **how: Unpack[SearchOptions]) -> Hits:
        """Find what is nearest to a picture, as `search`. It is embedded and pooled as a video of one frame.

        >>> index.search_image("poster.png", k=3)                                              # doctest: +SKIP
        """
        return self._answer([Query(image=path)], minus, how)

    def search_id(
        self,
        video_id: str,
        *,
        within: tuple[float, float] | None = None,
        minus: str | None = None,
        **how: Unpack[SearchOptions],
    ) -> Hits:
        """Find what is nearest to an indexed video, or to some seconds `within` it, as `search` does.

        The video itself is not a hit; with `moments`, the rest of it around the seconds is searched too. A copy of it
        that was enrolled under a label counts as another video and can be a hit. DataError if the index has no such
        video, or if the seconds lie outside it.
        """
        return self._answer([Query(video_id=video_id, within=within)], minus, how)

    def _answer(self, parts: Sequence[Query], minus: str | None, how: SearchOptions) -> Hits:
        """Return what is nearest to queries, or to what is left of them without the text `minus`."""
        parts = parts if minus is None else [*parts, Query(text=minus, weight=-1)]
        asked = asked_by(self.index, parts, how, folder=self.path, load=lambda: self.encoder)
        return answer(self.index, asked, **how)

    def enroll(
        self,
        label: str,
        videos: Sequence[str | Path] = (),
        *,
        ids: Sequence[str] = (),
        watch: Watch = unwatched,
    ) -> "EnrolledClass":
        """Make a label a class of the index, from example clips or the `ids` of indexed videos: all or none.

        Returns the class as it now is, with its threshold. DataError if no example is given, if one cannot be read or
        is enrolled already, or if the label is not allowed.
        """
        from framebank.heads.labelling.enroll import enroll as add
        from framebank.heads.labelling.enroll import label_in
        from framebank.heads.labelling.neighbours import pool_query
        from framebank.library.indexing.enrolled_class import EnrolledClass
        from framebank.library.labelling import embed_file
        from framebank.store import Video

        videos, ids = list(videos), list(ids)
        if not videos and not ids:
            raise DataError(f"{self.path}: no example of {label!r} is given; expected a clip at least, or an id")
        label = label_in(self.whole, label)
        examples: list[tuple[Video, np.ndarray]] = [(self.whole.video(one), self.whole.vector(one)) for one in ids]
        if videos:
            self.encoder_of_examples()
        for path in watch(map(Path, videos), total=len(videos), unit="video"):
            vector = pool_query(self.index, embed_file(path, self.index.spec, self.encoder))[0]
            examples.append((Video(path.stem or path.absolute().name, path.absolute()), vector))
        self._become(add(self.path, label, examples, index=self.whole))
        return EnrolledClass.of(self.shown, self.whole, label, num_given=len(examples))

    def unenroll(self, label: str) -> int:
        """Remove the enrolled videos of a label and return how many. DataError if it was not enrolled."""
        from framebank.heads.labelling.enroll import unenroll as remove

        removed = remove(self.path, label, index=self.whole)
        self._become(self.whole.reread(self.path))
        return removed

    def calibrate(
        self, bank: "FeatureStore | str | Path | None" = None, split: str | None = None, *, share: float = 0.05
    ) -> "Thresholds":
        """Set the thresholds from held-out videos: a split ("val") of a store, or without one the indexed videos.

        At most `share` of the videos of other classes should pass each threshold. The thresholds hold for the classes
        that are enrolled now and for later ones. DataError if the videos have no label, are in the index, were embedded
        in another way, or are too few.
        """
        from framebank.library.indexing.thresholds import set_thresholds

        self._become(set_thresholds(self.shown, self.whole, bank, split, share=share, device=self.device))
        return self.thresholds

    @property
    def thresholds(self) -> "Thresholds":
        """The cosine that a video must reach, for each enrolled class and for the votes."""
        from framebank.library.indexing.thresholds import Thresholds

        return Thresholds.of(self.shown, self.whole)

    def update(
        self, bank: "FeatureStore | str | Path | None" = None, *, remove: Sequence[str] = (), add: Sequence[str] = ()
    ) -> "IndexUpdate":
        """Update the index to its store: videos that joined, left, moved or got another label. Enrolled classes stay.

        `bank` is the store, if it has moved. Videos to `remove`, by their ids, leave the index and stay out of it until
        they are named in `add`. DataError if the store is not found, or if it is not the store of this index.
        """
        from framebank.library.indexing.update import update_index

        made = update_index(self.shown, bank, device=self.device, remove=remove, add=add)
        self.difference = None
        self._become(made.index)
        return made

    def _become(self, whole: "Index") -> None:
        """Replace the index by what the folder holds now."""
        self.whole = whole
        whole.device = self.device
        for name in ("index", "_labeller"):
            self.__dict__.pop(name, None)

    @overload
    def label(self, videos: str | Path, *, workers: int | None = None, watch: Watch = unwatched) -> "Labelled": ...

    @overload
    def label(self, videos: Paths, *, workers: int | None = None, watch: Watch = unwatched) -> Labels: ...

    def label(
        self, videos: str | Path | Paths, *, workers: int | None = None, watch: Watch = unwatched
    ) -> "Labelled | Labels":
        """Label a new video file, or several, by the enrolled classes and by the votes of the nearest videos.

        The label is "unknown" if nothing passes its threshold. Files that cannot be read: see `TrainedRun.label`.
        """
        from framebank.library.labelling import Asked
        from framebank.library.trained_run import label_by

        return label_by([Asked(self._labeller, self.index.spec, self.encoder)], videos, workers=workers, watch=watch)

    def encoder_of_examples(self) -> "Encoder":
        """Return the encoder of new videos. DataError, with a way out, if it is not installed here."""
        try:
            return self.encoder
        except DataError as error:
            raise DataError(f"{error}; ids (--id) take examples of the index") from error

    @cached_property
    def encoder(self) -> "Encoder":
        """The encoder of new videos and of texts. DataError if it is not installed here."""
        from framebank.library.labelling import encoder_of

        return encoder_of(self.whole.spec, where=self.path, device=self.device)

    @cached_property
    def _labeller(self) -> Any:
        from framebank.heads.labelling.labellers import IndexLabeller

        return IndexLabeller(self.index, where=self.path, knows_itself=True)

    def to_dict(self) -> dict[str, Any]:
        """Return the facts of the index as plain values."""
        return index_facts(self.shown, self.whole)

    def lines(self) -> list[str]:
        """Return how many videos it has, and one line for each reason why some are left out."""
        return index_lines(self.shown, self.whole)

    def __repr__(self) -> str:
        enrolled = f", {len(self.index.enrolment.labels)} enrolled classes" if self.index.enrolment.labels else ""
        head = self.index.made_by.get("head")
        return f"SearchIndex({str(self.path)!r}: {self.index.num_own} videos, pooled by {head}{enrolled})"
