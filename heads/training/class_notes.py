"""Notes on the classes of a training: what its videos cannot teach, and what its validation videos cannot judge."""

from framebank.heads.bank import Bank
from framebank.store.counts import counted, listed
from framebank.store.errors import DataError
from framebank.store.videos.labels import LabelSet, class_text
from framebank.store.videos.manifest import Manifest


def class_notes(train: Bank, val: Bank | None, labels: LabelSet) -> list[str]:
    """Return a sentence if all training videos are of one class, and one if classes have no validation video."""
    if train.target.ndim == 2:  # a video may have several labels
        return []
    notes = []
    if len(train.target.unique()) < 2:
        name = labels.names[int(train.target[0])]
        notes.append(
            f"all {counted(len(train), 'training video')} are of the class {name!r}: there is nothing to tell apart"
        )
    if val:
        seen = set(val.target.tolist())
        without = [name for number, name in enumerate(labels.names) if number not in seen]
        if without:
            classes = listed(map(repr, without), most=1)
            notes.append(f"no validation video is of the class {classes}; what is chosen is not judged by it")
    return notes


def require_videos(labels: LabelSet, train: Manifest) -> None:
    """Refuse a class without a training video: DataError."""
    named = {class_text(name) for name in train.labels}
    without = [name for name in labels.names if class_text(name) not in named]
    if without:
        others = (
            f" and {counted(len(without) - 1, 'other class', 'other classes')} have" if len(without) > 1 else " has"
        )
        raise DataError(f"the class {without[0]!r}{others} no training video; expected only classes that have one")
