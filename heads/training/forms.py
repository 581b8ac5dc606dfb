"""Forms: how methods computed before they were made equal to their authors' code, for runs that were trained then."""

from collections.abc import Mapping
from typing import Any

EARLIER, PUBLISHED = 1, 2  # a file that names no form has the earlier one
FORMS = (EARLIER, PUBLISHED)

# (what, its name) -> the options that give its earlier form
EARLIER_OPTIONS: dict[tuple[str, str], dict[str, Any]] = {
    ("head", "attentive"): {"projection": True},
    ("classifier", "vcs"): {"unit_video": True, "head_frames": False},
    ("classifier", "x-clip"): {"num_heads": 8, "text_norms": False},
    ("classifier", "tip-adapter"): {"unit_views": True, "wide": False},
    ("classifier", "tip-adapter-f"): {"unit_views": True},
    ("text", "context"): {"stop": False, "std": 0.01},
    ("matcher", "hyrsm"): {"eps": 0.01, "doubled_positions": False},
    ("matcher", "hyrsm++"): {"eps": 0.01, "doubled_positions": False, "frame_scale": 10.0},
    ("matcher", "clip-fsar"): {"mlp_ratio": 4},
    ("matcher", "sloshnet"): {"negated": False},
}


def options_of_form(form: int, what: str, name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options with those that give this method its `form`. Options that are given keep their value."""
    return {**(EARLIER_OPTIONS.get((what, name), {}) if form == EARLIER else {}), **options}
