"""FeatureSpec: how the embeddings of a store were made; its equality decides what may be mixed."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any

from framebank.store.errors import DataError
from framebank.store.formats.document import Fields, shown
from framebank.store.formats.text import is_text

SCHEMA_VERSION = 1

# What two things must agree on to live in one joint space: a video bank and class embeddings, say.
ENCODER_FIELDS = ("model", "weights_hash", "dim")


@dataclass(frozen=True)
class FeatureSpec:
    """Everything that decides the numbers in a store."""

    model: str
    pretrained: str  # an open_clip tag, the path of a checkpoint, or "" for random weights
    weights_hash: str
    dim: int
    preprocessing: str
    precision: str
    sampling: str  # "segments:16"
    decoder: str
    view: str = "centre"
    streams: str = "frame"
    pixels: str = "coded"  # "square" where frames were brought to square pixels; "+deinterlaced" may follow
    schema_version: int = SCHEMA_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)

    @classmethod
    def from_dict(cls, found: Mapping[str, Any], *, where: object) -> "FeatureSpec":
        """Build a spec from the fields read at `where`.

        DataError for a field that is missing or of another type, and for another schema.
        """
        if not isinstance(found, Mapping):
            raise DataError(f"{where}: is {shown(found)}; expected what a framebank file says of its embeddings")
        given = Fields({name: _plain(value) for name, value in found.items()}, where)
        version = given.whole("schema_version", default=SCHEMA_VERSION)
        if version != SCHEMA_VERSION:  # first, as another schema may have other fields
            raise DataError(f"{where}: written with schema version {version}, this framebank reads {SCHEMA_VERSION}")
        missing = [field.name for field in fields(cls) if field.name not in found and field.default is MISSING]
        if missing:
            raise DataError(f"{where}: no {', '.join(missing)} in its attributes; this is not a framebank file")
        values: dict[str, Any] = {
            field.name: given.whole(field.name, least=1) if field.type is int else given.text(field.name)
            for field in fields(cls)
            if field.name in found
        }
        strange = next((name for name, value in values.items() if isinstance(value, str) and not is_text(value)), None)
        if strange:
            raise given.refuse(strange, "a text in UTF-8")
        return cls(**values)

    @property
    def encoder(self) -> str:
        """The encoder in words: model, tag and the first figures of the weights' hash."""
        return f"{self.model}/{self.pretrained or 'RANDOM WEIGHTS'} ({self.weights_hash[:12]})"

    @property
    def stream_names(self) -> set[str]:
        """The names of the streams, without what follows a colon: "frame,regions:3" holds frame and regions."""
        return {stream.partition(":")[0] for stream in self.streams.split(",")}

    def require_equal(self, other: "FeatureSpec", *, mine: object, theirs: object) -> None:
        """Refuse to mix with `other`: DataError naming the first field that differs and both values.

        `pretrained` is left out: a checkpoint may move, and its hash tells whether it is the same.
        """
        names = [field.name for field in fields(self) if field.name != "pretrained"]
        _require(self, other, names, mine=mine, theirs=theirs)

    def require_same_encoder(self, other: "FeatureSpec", *, mine: object, theirs: object) -> None:
        """Refuse embeddings of another encoder: DataError naming the first field that differs and both values."""
        _require(self, other, ENCODER_FIELDS, mine=mine, theirs=theirs)


def _plain(value: Any) -> Any:
    """What an attribute of HDF5 says as a plain value: programs write numbers of numpy, arrays of one, and bytes."""
    if hasattr(value, "dtype") and getattr(value, "size", 0) == 1:
        value = value.item()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _require(
    a: FeatureSpec, b: FeatureSpec, names: "list[str] | tuple[str, ...]", *, mine: object, theirs: object
) -> None:
    for name in names:
        left, right = getattr(a, name), getattr(b, name)
        if left != right:
            raise DataError(
                f"{mine} was made with {name} {left!r}, {theirs} with {name} {right!r}; they cannot be mixed"
            )
