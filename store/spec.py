"""FeatureSpec: how the embeddings of a store were made. Equal specs may be mixed."""

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from framebank.store.errors import DataError
from framebank.store.formats.document import Fields, shown
from framebank.store.formats.text import is_text

SCHEMA_VERSION = 1
EIGHT_BITS = "8"  # what is written behind a stream that is kept in 8 bits, as in tokens:7:8

# The fields that two things must share to live in one joint space, such as a video bank and class embeddings.
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
    pixels: str = "coded"  # "square" if frames were brought to square pixels; "+deinterlaced" may follow
    schema_version: int = SCHEMA_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)

    @classmethod
    def from_dict(cls, found: Mapping[str, Any], *, where: object) -> "FeatureSpec":
        """Build a spec from the fields read at `where`.

        DataError if a field is missing or has another type, or if the schema is another one.
        """
        if not isinstance(found, Mapping):
            raise DataError(f"{where}: is {shown(found)}; expected what a framebank file says of its embeddings")
        given = Fields({name: _plain(value) for name, value in found.items()}, where)
        version = given.whole("schema_version", default=SCHEMA_VERSION)
        if version != SCHEMA_VERSION:  # check this first, because another schema may have other fields
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
        """The encoder as text: model, tag or file, and the first digits of the weights' hash."""
        return f"{self.encoder_name} ({self.weights_hash[:12]})"

    @property
    def encoder_name(self) -> str:
        """The model and its tag, or the file of its weights."""
        return name_of_encoder(self.model, self.pretrained)

    @property
    def stream_names(self) -> set[str]:
        """The names of the streams, without the part after a colon: "frame,regions:3" holds frame and regions."""
        return {stream.partition(":")[0] for stream in self.streams.split(",")}

    @property
    def packed_streams(self) -> set[str]:
        """The names of the streams that are kept in 8 bits, as tokens in "frame,tokens:7:8"."""
        found = (part.split(":") for part in self.streams.split(","))
        return {name for name, *numbers in found if numbers[1:] == [EIGHT_BITS]}

    def require_equal(self, other: "FeatureSpec", *, mine: object, theirs: object) -> None:
        """Raise DataError, with the first field that differs and both values, if `other` may not be mixed with it.

        `pretrained` is ignored: a checkpoint may move, and its hash tells whether it is the same.
        """
        names = [field.name for field in fields(self) if field.name != "pretrained"]
        _require(self, other, names, mine=mine, theirs=theirs)

    def require_same_encoder(self, other: "FeatureSpec", *, mine: object, theirs: object) -> None:
        """Raise DataError, with the first field that differs and both values, if the encoders differ."""
        _require(self, other, ENCODER_FIELDS, mine=mine, theirs=theirs)


def _plain(value: Any) -> Any:
    """Return an HDF5 attribute as a plain value. Other programs write numpy numbers, arrays of one, and bytes."""
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


def name_of_encoder(model: str, pretrained: str) -> str:
    """Return a model and its tag, or the file of its weights, as text."""
    if Path(pretrained).is_absolute():
        return f"{model} with {pretrained}"
    return f"{model}/{pretrained or 'RANDOM WEIGHTS'}"
