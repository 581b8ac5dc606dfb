"""The tiny CLIP's file: plain open_clip weights, compressed; all unused token rows share one vector."""

import zipfile
from pathlib import Path

import open_clip
import torch
from torch import Tensor, nn

CONFIG = Path(__file__).with_name("tiny-clip.json")
MODEL = CONFIG.stem
UNKNOWN = 1


class Vocabulary:
    """The tokens that captions use, renumbered: 0 pads, 1 stands for every other token, the last ends a sentence."""

    def __init__(self, tokens: Tensor) -> None:
        used = tokens.unique()
        self.used = used[used != 0].sort().values
        self._numbers: dict[int, int] = {0: 0} | {int(token): n for n, token in enumerate(self.used, UNKNOWN + 1)}

    def __len__(self) -> int:
        return UNKNOWN + 1 + len(self.used)

    def number(self, tokens: Tensor) -> Tensor:
        """Translate open_clip's tokens (N, L) -> (N, L)."""
        numbers = [[self._numbers.get(token, UNKNOWN) for token in row] for row in tokens.tolist()]
        return torch.tensor(numbers).reshape(tokens.shape)


def new_model(vocabulary: Vocabulary) -> open_clip.CLIP:
    """Return the tiny CLIP without weights, with a token table reduced to the vocabulary."""
    open_clip.add_model_config(CONFIG)
    model = open_clip.create_model(MODEL)
    width = model.token_embedding.embedding_dim
    model.token_embedding = nn.Embedding(len(vocabulary), width)
    nn.init.normal_(model.token_embedding.weight, std=0.02)
    return model


def save_weights(model: nn.Module, vocabulary: Vocabulary, path: Path) -> None:
    """Write the model with open_clip's full token table. All tokens outside the vocabulary share one row."""
    # Half precision halves the file. open_clip loads it into any precision.
    state = {name: _half(tensor) for name, tensor in model.state_dict().items()}
    rows = state["token_embedding.weight"]
    table = rows[UNKNOWN].repeat(open_clip.get_tokenizer(MODEL).vocab_size, 1)
    table[0], table[vocabulary.used] = rows[0], rows[UNKNOWN + 1 :]
    state["token_embedding.weight"] = table
    plain, part = path.with_name(f"{path.name}.plain"), path.with_name(f"{path.name}.part")
    torch.save(state, plain)
    # torch does not compress its entries. The shared rows are what compresses well.
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as target:
        for entry in source.infolist():
            target.writestr(zipfile.ZipInfo(entry.filename), source.read(entry), zipfile.ZIP_DEFLATED)
    plain.unlink()
    part.replace(path)


def _half(tensor: Tensor) -> Tensor:
    tensor = tensor.detach().contiguous()
    return tensor.half() if tensor.is_floating_point() else tensor
