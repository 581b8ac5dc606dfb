"""LabelSources: the run, the index and the texts that give labels, each read once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.library.checks import Naming, as_argument, require_among, require_least
from framebank.library.labelling import Asked, encoder_of, pixels_of
from framebank.library.search_index import SearchIndex
from framebank.library.stores import open_store
from framebank.library.texts import embed_texts, label_set
from framebank.library.trained_run import TrainedRun
from framebank.library.watch import Watch, unwatched
from framebank.store.errors import DataError

if TYPE_CHECKING:
    from framebank.extract.encoders.encoder import Encoder
    from framebank.store import FeatureSpec, FeatureStore, LabelSet, PromptBank

FUSED = 50  # labels by the texts that are joined with the votes of an index


@dataclass(frozen=True)
class LabelSources:
    """The sources of labels, and what embeds texts. DataError if the fields do not go together.

    `run`, `index`, `prompts` and `like` are open objects or paths. `labels` are names, or a file of them.
    """

    run: "TrainedRun | str | Path | None" = None
    index: "SearchIndex | str | Path | None" = None
    labels: "LabelSet | Sequence[str] | str | Path | None" = None
    prompts: "PromptBank | str | Path | None" = None
    like: "FeatureStore | str | Path | None" = None
    model: str | None = None
    pretrained: str | None = None
    templates: str | Sequence[str] | None = None
    texts: str | None = None
    frames: int = 16
    k: int | None = None
    sets: float | None = None
    sets_by_class: bool = False
    abstain_below: float = 0.0

    def __post_init__(self) -> None:
        """Check that there is a source, and that every given field is used."""
        if told := clash(vars(self), as_argument, prompts=True):
            raise DataError(told)
        require_among("texts", self.texts, ("names", "descriptions"))
        require_least("frames", self.frames, 1)
        require_least("k", self.k, 1)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files and folders of those who are asked, and of the store in `like`."""
        given = (self.index, self.run, self.labels, self.prompts, self.like)
        return tuple(path for path in map(path_of, given) if path)

    @property
    def places(self) -> tuple[str, ...]:
        """The paths of the sources, or their kind if they have no path."""
        index, run = _place(self.index, "an index"), _place(self.run, "a run")
        found = (index, run, _place(self.labels, "labels"), _place(self.prompts, "prompts"))
        return tuple(place for place in found if place)

    def ask(
        self,
        store: "FeatureStore | None" = None,
        *,
        top: int,
        knows_itself: bool,
        shows_seconds: bool = False,
        device: str,
        watch: Watch = unwatched,
    ) -> list[Asked]:
        """Read every source once: for the rows of a store, or else each with an encoder for new videos.

        A run and texts give their `top` likeliest classes. With `knows_itself`, a video of the index votes for itself.
        With `shows_seconds`, texts say where in a video their label shows. DataError if a source cannot be read, or if
        it cannot embed videos here.
        """
        from framebank.extract.encoders.device import resolve_device
        from framebank.heads.labelling.labellers import ModelLabeller

        asked: list[Asked] = []
        if self.index:
            asked.append(self._ask_index(knows_itself=knows_itself, embeds=store is None, device=device))
        if self.run:
            asked.append(self._ask_run(asked, top=top, embeds=store is None, device=device))
        if self.labels or self.prompts:
            spec, encoder, bank = self._texts(asked, store, device=device, watch=watch)
            where = _place(self.labels, "the labels") or _place(self.prompts, "the prompts")
            labeller = ModelLabeller.of_texts(
                bank,
                where=where,
                top=max(top, FUSED) if self.index else top,
                device=resolve_device(device),
                shows_seconds=shows_seconds,
            )
            asked.append(Asked(labeller, spec, encoder))
        return asked

    def _ask_index(self, *, knows_itself: bool, embeds: bool, device: str) -> Asked:
        from framebank.heads.labelling.calibrate import source_of
        from framebank.heads.labelling.labellers import IndexLabeller

        opened = self.index if isinstance(self.index, SearchIndex) else SearchIndex.open(str(self.index), device=device)
        where = opened.path if isinstance(self.index, SearchIndex) else Path(str(self.index))
        index = opened.index
        encoder = encoder_of(index.spec, where=where, device=device) if embeds else None
        thresholds = None if index.enrolment.is_empty else source_of(index)
        labeller = IndexLabeller(index, where=where, k=self.k, knows_itself=knows_itself)
        return Asked(labeller, index.spec, encoder, thresholds)

    def _ask_run(self, others: Sequence[Asked], *, top: int, embeds: bool, device: str) -> Asked:
        from framebank.extract.encoders.device import resolve_device
        from framebank.heads.labelling.labellers import ModelLabeller
        from framebank.heads.training.run import Run

        where = self.run.path if isinstance(self.run, TrainedRun) else Path(str(self.run))
        run = self.run.run if isinstance(self.run, TrainedRun) else Run.read(where)
        labeller = ModelLabeller.of_run(
            run,
            where=where,
            top=top,
            device=resolve_device(device),
            sets=self.sets,
            sets_by_class=self.sets_by_class,
            abstain_below=self.abstain_below,
        )
        if not embeds:
            return Asked(labeller, run.spec)
        run.require_frames(where)  # new videos are embedded as frames only
        encoder = next((other.encoder for other in others if pixels_of(other.spec) == pixels_of(run.spec)), None)
        if not encoder and isinstance(self.run, TrainedRun):
            encoder = self.run.encoder
        return Asked(labeller, run.spec, encoder or encoder_of(run.spec, where=where, device=device))

    def _texts(
        self, asked: Sequence[Asked], store: "FeatureStore | None", *, device: str, watch: Watch
    ) -> "tuple[FeatureSpec, Encoder | None, PromptBank]":
        """Return the texts of the classes, and how videos are embedded for them."""
        from framebank.store import PromptBank

        if self.prompts:
            bank = self.prompts if isinstance(self.prompts, PromptBank) else PromptBank.read(self.prompts)
            if store:
                return store.spec, None, bank
            spec, encoder = self._text_encoder(asked, made_by=bank.encoder, device=device)
            where = _place(self.prompts, "the prompts")
            bank.encoder.require_same_encoder(spec, mine=where, theirs="the encoder")
            return spec, encoder, bank
        assert self.labels
        classes = label_set(self.labels)
        if store:
            spec, encoder = store.spec, encoder_of(store.spec, where=store.path, device=device)
        else:
            spec, encoder = self._text_encoder(asked, device=device)
        kind = self.texts or ("descriptions" if classes.described else "names")
        return spec, encoder, embed_texts(classes, encoder, templates=self.templates, texts=kind, watch=watch)

    def _text_encoder(
        self, asked: Sequence[Asked], *, device: str, made_by: "FeatureSpec | None" = None
    ) -> "tuple[FeatureSpec, Encoder]":
        """Return the encoder of a store or of a model, or else of the index, of the run or of the texts."""
        from framebank.extract.encoders.encoder import Encoder, encoder_like

        if self.like:
            spec = open_store(self.like).spec
            return spec, encoder_like(spec, device=device)
        if asked and asked[0].encoder and not self.model:
            return asked[0].spec, asked[0].encoder
        if made_by and not self.model:
            encoder = encoder_like(made_by, device=device)
        elif self.model:
            encoder = Encoder(self.model, self.pretrained, device=device)
        else:
            raise DataError("the labels need an encoder; expected a store that has it (like), or a model (model)")
        return replace(encoder.spec, sampling=f"segments:{self.frames}"), encoder


def clash(given: Mapping[str, Any], named: Naming, *, prompts: bool) -> str:
    """Return which fields of LabelSources exclude each other, or "" if none do. `named` writes the name of a field.

    Without `prompts`, the caller has no such field.
    """
    known = ("run", "index", "labels", *["prompts"] * prompts)
    if not any(given[name] for name in known):
        *others, last = map(named, known)
        return f"give at least one of {', '.join(others)} and {last}"
    if prompts and given["prompts"] and any(given[name] for name in ("labels", "templates", "texts")):
        return f"{named('prompts')} holds its own classes, templates and texts; give it without {named('labels')}"
    ways = ("like", "model", "pretrained", "templates", "texts")
    if not (given["labels"] or (prompts and given["prompts"])) and any(given[name] for name in ways):
        return f"{', '.join(map(named, ways[:-1]))} and {named(ways[-1])} go with {named('labels')}"
    if (given["sets"] is not None or given["abstain_below"]) and not given["run"]:
        return f"{named('sets')} and {named('abstain_below')} go with {named('run')}"
    if given["sets_by_class"] and given["sets"] is None:
        return f"{named('sets_by_class')} goes with {named('sets')}"
    if given["like"] and (given["model"] or given["pretrained"]):
        return f"{named('like')} brings its own {named('model')} and {named('pretrained')}"
    return ""


def path_of(source: object) -> Path | None:
    """Return where a source lies, such as a store that is open or a path; None if it lies nowhere."""
    from framebank.store import FeatureStore

    if isinstance(source, TrainedRun | SearchIndex | FeatureStore):
        return Path(source.path)
    return Path(source) if isinstance(source, str | Path) else None


def _place(source: object, what: str) -> str:
    """Return the path of a source; `what` if it has no path, "" if none is given."""
    if not source:
        return ""
    if isinstance(source, TrainedRun | SearchIndex):
        return str(source.path)
    return str(source) if isinstance(source, str | Path) else what
