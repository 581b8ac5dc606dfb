"""transformers: V-JEPA 2, VideoPrism, PE-Video, X-CLIP and VideoMAE, which read clips."""

import difflib
import io
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from framebank.extract.encoders.makers.families import FAMILIES, Family, RowFamily, TextFamily
from framebank.extract.encoders.makers.made import Made, RowSide, TextSide, no_streams
from framebank.extract.encoders.text_tower import TextTower
from framebank.extract.encoders.tokens import Tokenizer, in_turn
from framebank.extract.encoders.weights import NO_WEIGHTS, OWN_WEIGHTS
from framebank.store.errors import DataError
from framebank.store.formats.document import read_json
from framebank.store.lazy import require

# Where a model says how its frames are prepared; the first that is there counts.
PROCESSORS = ("video_preprocessor_config.json", "processor_config.json", "preprocessor_config.json")
# The vocabulary of a tokenizer, one of them. Without any, transformers may make one that knows no word.
VOCABULARIES = ("tokenizer.json", "vocab.json", "vocab.txt", "spiece.model", "sentencepiece.model")
FILTERS = {1: "lanczos", 2: "bilinear", 3: "bicubic"}  # numbers of Pillow


class TransformersModels:
    """The models of FAMILIES: a folder that transformers saved, or a name of the Hugging Face hub."""

    def settle(self, name: str, pretrained: str | None) -> tuple[str, str | None]:
        """Return the name of the folder and its full path, or the name on the hub and "own".

        A spec has the folder's name only, because a folder may move. DataError for what is neither, and for a model of
        no family that is known.
        """
        if pretrained == NO_WEIGHTS:
            raise DataError(f"hf:{name} brings its weights; expected no --pretrained, or the folder of the model")
        folder = Path(pretrained) if pretrained and pretrained != OWN_WEIGHTS else Path(name)
        if folder.is_dir():
            if not (folder / "config.json").is_file():
                raise DataError(f"{folder}: has no config.json; expected a folder that transformers saved")
            name, pretrained = folder.absolute().name, str(folder.absolute())
        elif pretrained not in (None, OWN_WEIGHTS) or not _may_be_on_the_hub(name):
            raise DataError(
                f"{str(folder)!r} is no folder of a model; expected a folder that transformers saved, or a name of the "
                f"Hugging Face hub such as facebook/vjepa2-vitl-fpc64-256{_near(folder)}"
            )
        else:
            pretrained = OWN_WEIGHTS
        _read_config(name, pretrained)
        return name, pretrained

    def clip_frames(self, name: str, pretrained: str | None) -> int:
        """Return how many frames a clip of the model has."""
        config, family = _read_config(name, pretrained)
        return family.clip_frames(config)

    def make(self, name: str, pretrained: str | None) -> Made:
        """Load the network with its weights, in float32."""
        config, family = _read_config(name, pretrained)
        model = _load(name, pretrained, config, family)
        return Made(
            model,
            tuple(getattr(model, part) for part in family.visual) or (model,),
            _preprocessing(_place(name, pretrained), family.preprocessing(config)),
            family.dim(config),
            partial(family.embed, model),
            no_streams(f"hf:{name}", why="it reads clips and not frames"),
            _texts(model, family.texts, name=name, pretrained=pretrained) if family.texts else None,
            clip_frames=family.clip_frames(config),
            rows=_rows(model, family.rows) if family.rows else None,
        )

    def weights_name(self, name: str, pretrained: str | None) -> str:
        """Return the full path of the folder, or "own" for a model of the hub."""
        return pretrained or OWN_WEIGHTS

    def weights_of(self, name: str, recorded: str) -> str | None:
        """Return the weights that a spec calls so."""
        return recorded


class PaddedTokenizer:
    """A tokenizer of transformers, called as one of open_clip: every text has the same number of tokens."""

    def __init__(self, tokenizer: Any, length: int) -> None:
        self._tokenizer = tokenizer
        self.length = length

    def __call__(self, texts: list[str], context_length: int | None = None) -> Tensor:
        """Return the tokens of sentences (N, L), cut and padded."""
        read = self._tokenizer(
            texts, padding="max_length", truncation=True, max_length=context_length or self.length, return_tensors="pt"
        )
        tokens: Tensor = read["input_ids"]
        return tokens


def _rows(model: Any, family: RowFamily) -> RowSide:
    return RowSide(partial(family.embed, model), lambda: family.tower(model).state_dict())


def _texts(model: Any, family: TextFamily, *, name: str, pretrained: str | None) -> TextSide:
    def read_tokenizer() -> Tokenizer:
        place = _place(name, pretrained)
        told = f"hf:{name}: its tokenizer, which texts need, cannot be read from {place}"
        if not any(_find(place, file) for file in VOCABULARIES):
            raise DataError(f"{told}; expected tokenizer.json and tokenizer_config.json there")
        try:
            with _quiet(_library(name)):
                tokenizer = _library(name).AutoTokenizer.from_pretrained(place)
        except Exception as error:  # each kind of tokenizer raises its own
            raise DataError(f"{told}: {_first_line(error)}") from error
        return in_turn(PaddedTokenizer(tokenizer, family.length(model.config)))

    def encode(tokens: Tensor) -> Tensor:
        return family.encode(model, tokens, (tokens != _padding(model.config)).long())

    def refuse(_tokenizer: Tokenizer) -> TextTower:
        raise DataError(f"hf:{name}: its text tower is not built like CLIP's; expected that of ViT-B-32 or a like one")

    return TextSide(encode, read_tokenizer, refuse, family.scale(model), family.bias(model))


def _padding(config: Any) -> int:
    """Return the number of the padding token; -1, which no token has, where none is told."""
    told = config.text_config.pad_token_id
    return -1 if told is None else int(told)


def _library(name: str) -> ModuleType:
    return require("transformers", extra="hf", what=f"hf:{name}")


def _place(name: str, pretrained: str | None) -> str:
    return name if pretrained in (None, OWN_WEIGHTS) else str(pretrained)


def _may_be_on_the_hub(name: str) -> bool:
    owner, _, model = name.partition("/")
    return bool(owner and model) and "/" not in model and not name.startswith((".", "~"))


def _near(folder: Path) -> str:
    """Return the folders beside a missing one that have a similar name, for a message."""
    names = [path.parent.name for path in folder.absolute().parent.glob("*/config.json")]
    near = difflib.get_close_matches(folder.name, names, n=3, cutoff=0.5)
    return f"; near it: {', '.join(near)}" if near else ""


def _read_config(name: str, pretrained: str | None) -> tuple[Any, Family]:
    """Return the config of a model and its family. DataError if it cannot be read, or is of no family."""
    place = _place(name, pretrained)
    library = _library(name)
    try:
        with _quiet(library):
            config = library.AutoConfig.from_pretrained(place)
    except Exception as error:  # a damaged file can raise anything
        raise DataError(f"hf:{name}: its config cannot be read from {place}: {_first_line(error)}") from error
    family = FAMILIES.get(config.model_type)
    if family is None:
        near = difflib.get_close_matches(config.model_type, FAMILIES, n=1, cutoff=0.4)
        raise DataError(
            f"hf:{name} is a model of the type {config.model_type!r}; expected one of {', '.join(FAMILIES)}"
            + (f" (the nearest is {near[0]})" if near else "")
        )
    return family.part(config), family


def _load(name: str, pretrained: str | None, config: Any, family: Family) -> Any:
    library = _library(name)
    place = _place(name, pretrained)
    try:
        with _quiet(library):
            model, told = library.AutoModel.from_pretrained(
                place, config=config, key_mapping=dict(family.renamed), dtype=torch.float32, output_loading_info=True
            )
    except Exception as error:  # a damaged file can raise anything
        raise DataError(f"hf:{name}: its weights cannot be loaded from {place}: {_first_line(error)}") from error
    missing = sorted(key for key in told["missing_keys"] if not key.startswith(family.unread))
    if missing:
        raise DataError(f"hf:{name}: {place} lacks the weights {', '.join(missing[:3])}; expected all of the model")
    return model.eval()


def _preprocessing(place: str, usual: dict[str, Any]) -> dict[str, Any]:
    """Return how frames are prepared: as the model's own file says, or as is usual for its family."""
    found = next((told for file in PROCESSORS if (told := _read_json(place, file))), None)
    if found is None:
        return usual
    told = found.get("video_processor") or found.get("image_processor") or found
    made = {**usual}
    size, crop = told.get("size"), told.get("crop_size") if told.get("do_center_crop") else None
    if size is not None:
        try:
            made = {key: value for key, value in made.items() if key != "scaled"} | _sizes(size, crop)
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{place}: the size of its pictures is {size!r}, cut to {crop!r}; expected height and width, or "
                "shortest_edge"
            ) from error
    if told.get("resample") in FILTERS:
        made["interpolation"] = FILTERS[told["resample"]]
    if told.get("do_normalize") is False:
        made |= {"mean": [0.0] * 3, "std": [1.0] * 3}
    elif told.get("image_mean") and told.get("image_std"):
        made |= {"mean": list(told["image_mean"]), "std": list(told["image_std"])}
    return made


def _sizes(size: Any, crop: Any) -> dict[str, Any]:
    """Return the size, the mode and the scaled size of a processor's `size` and `crop_size`."""
    size = size if isinstance(size, dict) else {"shortest_edge": size}
    if "shortest_edge" in size:
        short = int(size["shortest_edge"])
        cut = _pair(crop, short)
        more = {"scaled": [short, short]} if cut != [short, short] else {}
        return {"size": cut, "resize_mode": "shortest", **more}
    whole = [int(size["height"]), int(size["width"])]
    cut = _pair(crop, whole)
    return {"size": cut, "resize_mode": "squash", **({"scaled": whole} if cut != whole else {})}


def _pair(crop: Any, usual: Any) -> list[int]:
    if crop is None:
        return [usual, usual] if isinstance(usual, int) else list(usual)
    return [int(crop["height"]), int(crop["width"])] if isinstance(crop, dict) else [int(crop), int(crop)]


def _read_json(place: str, file: str) -> dict[str, Any] | None:
    """Return a JSON file of a folder or of the hub's cache; None if it is not there."""
    path = _find(place, file)
    told = read_json(path) if path else None
    return told if isinstance(told, dict) else None


def _find(place: str, file: str) -> Path | None:
    """Return the path of a file of a folder or of the hub's cache; None if it is not there."""
    if Path(place).is_dir():
        return path if (path := Path(place) / file).is_file() else None
    found = require("transformers.utils", extra="hf", what=f"hf:{place}").cached_file(
        place, file, _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False
    )
    return Path(found) if found else None


@contextmanager
def _quiet(library: ModuleType) -> Iterator[None]:
    """Silence transformers while it loads: this module checks or says the same."""
    log = library.utils.logging
    before, bars = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    log.disable_progress_bar()
    try:
        with redirect_stdout(io.StringIO()):  # one of its modules prints when it is loaded
            yield
    finally:
        log.set_verbosity(before)
        if bars:
            log.enable_progress_bar()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
