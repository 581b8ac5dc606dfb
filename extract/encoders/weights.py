"""Weights: an open_clip network with the right weights under the right config. The only door to open_clip."""

import contextlib
import difflib
import logging
import warnings
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import open_clip
import torch
from open_clip.factory import load_state_dict
from torch.overrides import TorchFunctionMode

from framebank.extract.adapters.adapted import read_adapted, weights_file
from framebank.extract.encoders.tokens import Tokenizer, in_turn
from framebank.store.digest import digest
from framebank.store.errors import DataError, reason_of

# Models that come with this package: name -> (open_clip config, weights).
DEMO = Path(__file__).parents[2] / "demo"
LOCAL_MODELS = {"demo": (DEMO / "tiny-clip.json", DEMO / "tiny-clip.pt")}

# OpenAI's own archives hold these beside the weights; all of its CLIPs were trained with quick-GELU.
OPENAI_MARKS = ("input_resolution", "context_length", "vocab_size")

NO_WEIGHTS = "none"  # what random weights are asked for by
OWN_WEIGHTS = "own"  # what a spec calls those that a model brings, from the Hugging Face hub or a folder
NUMPY = (".npz", ".npy")  # of big_vision; open_clip does not hold these to the tensors of the network
DRAWING = (
    torch.Tensor.normal_,
    torch.Tensor.uniform_,
    torch.nn.init.normal_,
    torch.nn.init.uniform_,
    torch.nn.init.kaiming_normal_,
    torch.nn.init.kaiming_uniform_,
)
NUM_TAGS = 6  # that a message names
TOKENIZER = "tokenizer.json"  # of the package transformers


def chosen_weights(model: str, pretrained: str | None) -> str | None:
    """Return which weights `build_network` is to load: `pretrained`, or None for those that the model brings.

    The folder of an adapted encoder stands for the weights in it.
    DataError for an unknown model, for other weights than the model brings with it, and for a model that brings none if
    none are named: only the word "none" gives random weights.
    """
    name = _config_name(model)
    if model not in LOCAL_MODELS and ":" not in name and name not in open_clip.list_models():
        near = difflib.get_close_matches(name, [*LOCAL_MODELS, *open_clip.list_models()], n=3, cutoff=0.5)
        raise DataError(f"no model {model!r} in open_clip; the nearest names: {', '.join(near) or 'none'}")
    if pretrained and ":" in name:  # open_clip would load the model's own, and say nothing
        raise DataError(f"{model} brings its own weights; expected no others, not {pretrained!r} (--pretrained)")
    if pretrained or model in LOCAL_MODELS or ":" in name:
        return weights_file(pretrained) if pretrained else None
    tags = _name_tags(name)
    choice = f"one of its tags ({tags})" if tags else "a checkpoint file (open_clip has no tag for it)"
    raise DataError(
        f"{model} is given without --pretrained, and the embeddings of random weights mean nothing; expected "
        f"--pretrained with {choice}, or with {NO_WEIGHTS} for random weights"
    )


def build_network(model: str, pretrained: str | None) -> Any:
    """Return the open_clip network of a name, on the CPU, with the weights that `chosen_weights` returns.

    Random weights, "none", are of a fixed seed. DataError for a tag that is unknown, and for weights that cannot be had
    or do not fit.
    """
    if model in LOCAL_MODELS:
        config, weights = LOCAL_MODELS[model]
        if config.stem not in open_clip.list_models():
            open_clip.add_model_config(config)
        pretrained = pretrained or str(weights)
    pretrained = None if pretrained == NO_WEIGHTS else pretrained
    name = _config_name(model)
    quick_gelu = _needs_quick_gelu(model, pretrained)
    filled = pretrained and not pretrained.endswith(NUMPY)
    with _quiet(), torch.random.fork_rng(devices=[]), _Undrawn() if filled else contextlib.nullcontext():
        torch.manual_seed(0)  # random weights are the same in every process, so that they can be resumed and prompted
        try:
            return open_clip.create_model(name, pretrained=pretrained, force_quick_gelu=quick_gelu)
        except (RuntimeError, OSError, ValueError, KeyError) as error:
            reason = str(error).splitlines()[0]
            raise DataError(f"the weights {pretrained!r} cannot be loaded into {model}: {reason}") from error


class _Undrawn(TorchFunctionMode):
    """Leaves tensors as they are where a network would draw random weights, because a checkpoint fills them all."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call a function of torch, unless it draws; then return the tensor that it would fill."""
        given = kwargs or {}
        if func in DRAWING:
            return args[0] if args else given["tensor"]
        return func(*args, **given)


def width_of(model: str) -> int | None:
    """Return the width of the embeddings of a model of open_clip's list; None if its config is in another place."""
    config = open_clip.get_model_config(_config_name(model))
    return int(config["embed_dim"]) if config else None


def read_tokenizer(model: str, pretrained: str | None = None) -> Tokenizer:
    """Return what turns sentences into the tokens (N, L) of that model.

    Some models, such as SigLIP 2, have a tokenizer of the package transformers. Its files are read from the folder of
    the checkpoint if they lie there, or else from the cache of the Hugging Face hub. DataError if it is not here.
    """
    beside = Path(pretrained or "").parent if Path(pretrained or "").is_file() else None
    try:
        if beside and _has_own_tokenizer(model) and (beside / TOKENIZER).is_file():
            text = open_clip.get_model_config(_config_name(model))["text_cfg"]
            own: Tokenizer = open_clip.tokenizer.HFTokenizer(
                str(beside), context_length=text["context_length"], **text.get("tokenizer_kwargs", {})
            )
            return in_turn(own)
        return _tokenizer_of(_config_name(model))
    except ImportError as error:
        raise DataError(
            f"the tokenizer of {model}, which texts need, is not available: transformers is not installed "
            "(pip install framebank[hf])"
        ) from error
    except Exception as error:  # each kind of tokenizer raises its own
        raise DataError(
            f"the tokenizer of {model}, which texts need, is not available ({_first_line(error)}); expected it in the "
            f"cache of the Hugging Face hub, or {TOKENIZER} and tokenizer_config.json beside the checkpoint file"
        ) from error


@lru_cache(maxsize=4)  # it reads a vocabulary, and each encoder asks for it twice
def _tokenizer_of(name: str) -> Tokenizer:
    with _quiet():
        tokenizer: Tokenizer = open_clip.get_tokenizer(name)
    return in_turn(tokenizer)


def _has_own_tokenizer(model: str) -> bool:
    return bool(
        ((open_clip.get_model_config(_config_name(model)) or {}).get("text_cfg") or {}).get("hf_tokenizer_name")
    )


def pretrained_name(model: str, pretrained: str | None) -> str:
    """Return the name of these weights in a spec: a tag, the full path of a file, "own", or "" for random ones."""
    if pretrained == NO_WEIGHTS:
        return ""
    if not pretrained:
        return model if model in LOCAL_MODELS else OWN_WEIGHTS
    return str(Path(pretrained).absolute()) if Path(pretrained).is_file() else pretrained


def weights_of(model: str, pretrained: str) -> str | None:
    """Return the value that loads the weights that a spec calls `pretrained`: the inverse of `pretrained_name`."""
    if model in LOCAL_MODELS and pretrained == model:
        return None
    if ":" in model and pretrained in (OWN_WEIGHTS, ""):  # stores from before 0.2 called them "", as random ones
        return None
    return pretrained or NO_WEIGHTS


def hash_weights(network: Any) -> str:
    """Return a hash that is the same for the same weights, whatever file they came from."""
    return digest({name: tensor.detach().cpu().numpy() for name, tensor in network.state_dict().items()})


def _needs_quick_gelu(model: str, pretrained: str | None) -> bool:
    """Whether the weights were trained with quick-GELU though the config of that model has none.

    open_clip only warns in that case, and its embeddings are wrong. A tag says how it was trained, so this can be
    corrected, and so does the file of an adapted encoder; others do not, so OpenAI's files are refused.
    """
    if not pretrained:
        return False
    name = _config_name(model)
    configured = bool((open_clip.get_model_config(name) or {}).get("quick_gelu", False))
    tag = open_clip.get_pretrained_cfg(name, pretrained)
    if tag:
        return bool(tag.get("quick_gelu", False)) and not configured
    if ":" in name:
        return False
    if not Path(pretrained).is_file():
        raise DataError(
            f"{pretrained!r} is neither a tag of {model} ({_name_tags(name) or 'none'}) nor a checkpoint file"
        )
    if adapted := read_adapted(pretrained):
        if _config_name(adapted.model) != name:
            raise DataError(f"{pretrained}: was adapted from {adapted.model}, not from {model}; use {adapted.model}")
        return adapted.quick_gelu and not configured
    if not configured and _is_from_openai(Path(pretrained)):
        raise DataError(
            f"{pretrained}: OpenAI weights need quick-GELU, which {model} does not have; use {name}-quickgelu"
        )
    return False


def _name_tags(name: str) -> str:
    tags = open_clip.list_pretrained_tags_by_model(name)
    return ", ".join([*tags[:NUM_TAGS], *["..."] * (len(tags) > NUM_TAGS)])


def _is_from_openai(path: Path) -> bool:
    try:
        return not set(OPENAI_MARKS).isdisjoint(load_state_dict(str(path)))
    except Exception as error:  # any error of torch, safetensors or zip on a damaged file
        reason = reason_of(error).partition(". ")[0]  # torch goes on to advise that the code be run
        raise DataError(f"{path}: is not a checkpoint that loads without running code ({reason})") from error


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence open_clip while it builds: this module checks or says the same."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _config_name(model: str) -> str:
    return (
        LOCAL_MODELS[model][0].stem if model in LOCAL_MODELS else model.replace("/", "-") if ":" not in model else model
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
