"""Views: the parts of a frame that become pictures of the encoder's size."""

from dataclasses import dataclass

from framebank.store.errors import DataError


@dataclass(frozen=True)
class View:
    """One picture cut from a frame.

    `resize` is "model" (the model's own way), "shortest" (the picture fits inside the frame), "larger" (the same, with
    an eighth to spare) or "letterbox" (the frame fits inside the picture). `at` says where the picture is cut, down and
    across: 0 is the top or the left, 1 the bottom or the right.
    """

    resize: str
    at: tuple[float, float] = (0.5, 0.5)
    mirrored: bool = False


CORNERS = {
    "top-left": (0.0, 0.0),
    "top-right": (0.0, 1.0),
    "bottom-left": (1.0, 0.0),
    "bottom-right": (1.0, 1.0),
    "middle": (0.5, 0.5),
}

VIEWS = {
    "centre": View("model"),
    "flip": View("model", mirrored=True),
    # Only the long side has pixels to spare, so these crops move along it.
    "first-crop": View("shortest", (0.0, 0.0)),
    "middle-crop": View("shortest"),
    "last-crop": View("shortest", (1.0, 1.0)),
    "letterbox": View("letterbox"),
    **{name: View("larger", at) for name, at in CORNERS.items()},
    **{f"{name}-flip": View("larger", at, mirrored=True) for name, at in CORNERS.items()},
}

# What a user asks for: name -> the views that are stored for it. Ten crops: Krizhevsky et al., NeurIPS 2012.
GROUPS = {
    "centre": ("centre",),
    "flip": ("flip",),
    "three-crop": ("first-crop", "middle-crop", "last-crop"),
    "letterbox": ("letterbox",),
    "ten-view": (*CORNERS, *(f"{name}-flip" for name in CORNERS)),
}


def view_names(spec: str) -> tuple[str, ...]:
    """Return the name of each stored view of a spec such as "centre+flip", in order.

    DataError for a name that is not known, and for one that is given twice.
    """
    asked = spec.split("+")
    for name in asked:
        if name not in GROUPS:
            raise DataError(f"the view {name!r} is not known; expected {', '.join(GROUPS)}, or some joined by +")
    if len(set(asked)) < len(asked):
        raise DataError(f"the views {spec!r} name a view twice; expected each once")
    return tuple(view for name in asked for view in GROUPS[name])
