"""Answers: the label of each video, and below it the answer of each source, with how sure it is."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, overload

from framebank.library.asking.made_by import LabelsMadeBy
from framebank.library.table import html_lines

if TYPE_CHECKING:
    from framebank.heads.labelling.answers import Answer
    from framebank.heads.labelling.table import Labelled
    from framebank.store.ledger import Failure

SHOWN = 3  # neighbours that are named in a line


@dataclass(frozen=True, repr=False)
class Answers(Sequence["Labelled"]):
    """The videos that got a label, in their order. `failed` has the videos that could not be read, with the reason.

    It prints as the command `label` does: the `top` labels of each source, and whether they pass a threshold. `made_by`
    says what gave them.
    """

    labelled: tuple["Labelled", ...]
    failed: tuple["Failure", ...]
    made_by: LabelsMadeBy
    top: int = 3

    @overload
    def __getitem__(self, place: int) -> "Labelled": ...

    @overload
    def __getitem__(self, place: slice) -> "Answers": ...

    def __getitem__(self, place: "int | slice") -> "Labelled | Answers":
        if isinstance(place, slice):
            return Answers(self.labelled[place], (), self.made_by, self.top)
        return self.labelled[place]

    def __len__(self) -> int:
        return len(self.labelled)

    def to_dict(self) -> dict[str, Any]:
        """Return the videos with all answers, the videos that failed, and what gave the labels, as plain values."""
        return {
            "videos": [self._video(one) for one in self.labelled],
            "failed": [failure.reason for failure in self.failed],
            "made_by": self.made_by.to_dict(),
        }

    def _video(self, one: "Labelled") -> dict[str, Any]:
        from framebank.heads.labelling.answers import MEASURES

        told = ("by", "passes", "unsure", "similarity", "threshold", "share")
        return {
            "video": str(one.video.path),
            "label": one.label,
            "confidence": one.top(1)[0][1],
            "by": one.by,
            "unsure": one.unsure,
            **({} if one.label_set is None else {"set": list(one.label_set)}),
            "labels": [
                {"label": name, "score": score, "by": answer.by, "measure": MEASURES[answer.by]}
                for answer in one.answers
                for name, score in answer.ranked[: self.top]
            ],
            "answers": [{name: getattr(answer, name) for name in told} | _evidence(answer) for answer in one.answers],
        }

    def lines(self) -> list[str]:
        """Return a line for each video with its label, below it each answer, and at the end what set the thresholds."""
        from framebank.heads.labelling.answers import MEASURES
        from framebank.heads.labelling.certainty import decimals

        lines = []
        for one in self.labelled:
            lines.append(f"{one.video.path}: {one.label}")
            for answer in one.answers:
                ranked = answer.ranked[: self.top]
                places = decimals([score for _, score in ranked])
                shown = ", ".join(f"{name} {score:.{places}f}" for name, score in ranked) or "no label"
                lines += [f"  {answer.by}: {shown} ({MEASURES[answer.by]})", *_verdict(answer), *_because(answer)]
                if answer.label_set is not None:
                    lines.append(f"    set: {', '.join(answer.label_set) or 'empty, no class is likely enough'}")
        if source := self.made_by.thresholds:
            share = f"{100 * source.share:g} % of the videos of other classes may pass each"
            lines.append(f"thresholds are set by {source}: {share}")
        return lines

    def __repr__(self) -> str:
        return "\n".join([*self.lines(), *(f"failed: {failure.reason}" for failure in self.failed)])

    def _repr_html_(self) -> str:
        return html_lines(repr(self).splitlines())


def _evidence(answer: "Answer") -> dict[str, Any]:
    """Return the neighbours that voted, and the seconds in which the label shows best, as plain values."""
    span = None if answer.span is None else {"start": answer.span[0], "end": answer.span[1]}
    return {"neighbours": [asdict(one) for one in answer.neighbours], "seconds": span}


def _because(answer: "Answer") -> list[str]:
    """Return the same in words: the nearest of the neighbours, and the seconds; nothing if there are none."""
    near = ", ".join(f"{one.video_id} {one.cosine:.3f}" for one in answer.neighbours[:SHOWN])
    span = f"seconds {answer.span[0]:.2f} to {answer.span[1]:.2f}" if answer.span else ""
    told = "; ".join(each for each in (f"neighbours {near}" if near else "", span) if each)
    return [f"    because of {told}"] if told and answer.by == "fused" else []


def _verdict(answer: "Answer") -> list[str]:
    """Return whether an answer passes and why, if there is something to say, and why it is unsure."""
    unsure = [f"    unsure: {answer.doubt}"] if answer.doubt else []
    if answer.similarity is None:
        return unsure
    verdict, against = "passes" if answer.passes else "does not pass", "no threshold"
    if answer.threshold is not None:
        against = f"threshold {answer.threshold:.3f}, {100 * (answer.share or 0.0):.2f} % of others come as near"
        if not answer.passes and answer.similarity > answer.threshold:
            verdict = "yields to the neighbours"
    return [f"    {verdict}: cosine {answer.similarity:.3f}, {against}", *unsure]
