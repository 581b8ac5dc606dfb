"""Published checkpoints: made here with the names and shapes of ActionCLIP's code, and scored by its formulas."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from framebank.heads.exchange.published import build_run, model_name, read_checkpoint, write_clip
from framebank.heads.training.run import Run
from framebank.store import DataError
from framebank.tests.worlds.heads import CLASSES, DIM, SPEC, prompts_of

pytestmark = pytest.mark.usefixtures("one_thread")

FRAMES = 6


class Block(nn.Module):
    """ActionCLIP's residual block, from torch's own attention: (T, B, D)."""

    def __init__(self, dim, heads):
        super().__init__()
        self.attn = nn.MultiheadAttention(dim, heads)
        self.ln_1 = nn.LayerNorm(dim, eps=1e-12)
        self.ln_2 = nn.LayerNorm(dim, eps=1e-12)
        self.mlp = nn.Sequential()
        self.mlp.add_module("c_fc", nn.Linear(dim, 4 * dim))
        self.mlp.add_module("c_proj", nn.Linear(4 * dim, dim))

    def forward(self, x):
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, need_weights=False)[0]
        y = self.mlp.c_fc(self.ln_2(x))
        return x + self.mlp.c_proj(y * torch.sigmoid(1.702 * y))


class Fusion(nn.Module):
    """Its fusion model of a kind, mean of (B, T, D) -> (B, D)."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        if kind != "mean":
            self.frame_position_embeddings = nn.Embedding(77, DIM)
        if kind == "transformer":
            self.transformer = nn.Module()
            self.transformer.resblocks = nn.Sequential(*[Block(DIM, 1) for _ in range(2)])
        if kind == "transformer-cls":
            layer = nn.TransformerEncoderLayer(DIM, 8)
            self.transformer = nn.Module()
            self.transformer.transformer_enc = nn.TransformerEncoder(layer, 2, norm=nn.LayerNorm(DIM))
            self.transformer.cls_token = nn.Parameter(torch.randn(1, 1, DIM))
            self.transformer.pos_embed = nn.Parameter(torch.randn(1, FRAMES + 1, DIM))
        if kind == "lstm":
            self.lstm_visual = nn.LSTM(DIM, DIM, batch_first=True)
        if kind == "conv1d":
            self.shift = nn.Conv1d(DIM, DIM, 3, padding=1, groups=DIM, bias=False)

    def forward(self, x):
        if self.kind == "transformer":
            mixed = x + self.frame_position_embeddings(torch.arange(x.shape[1]))
            return (self.transformer.resblocks(mixed.transpose(0, 1)).transpose(0, 1) + x).mean(1)
        if self.kind == "transformer-cls":
            tokens = torch.cat([self.transformer.cls_token.expand(len(x), 1, DIM), x], 1) + self.transformer.pos_embed
            return self.transformer.transformer_enc(tokens.transpose(0, 1))[0]
        if self.kind == "lstm":
            return (self.lstm_visual(x)[0] + x).mean(1)
        if self.kind == "conv1d":  # time and channels scrambled, as published
            return (self.shift(x.view(-1, DIM, x.shape[1])).permute(0, 2, 1) + x).mean(1)
        return x.mean(1)


def checkpoint(path, fusion, *, clip=None):
    torch.manual_seed(0)
    weights = {f"module.{name}": value for name, value in fusion.state_dict().items()}
    clip = {"module.logit_scale": torch.tensor(4.6)} if clip is None else clip
    torch.save({"epoch": 3, "model_state_dict": clip, "fusion_model_state_dict": weights}, path)
    return path


@pytest.mark.parametrize("kind", ["mean", "transformer", "transformer-cls", "lstm", "conv1d"])
def test_the_run_scores_as_the_published_test_does(tmp_path, kind):
    torch.manual_seed(1)
    fusion = Fusion(kind).eval()
    path = checkpoint(tmp_path / "best.pt", fusion)
    clip, weights = read_checkpoint(path)
    assert list(clip) == ["logit_scale"]
    prompts = prompts_of()
    run = build_run(weights, SPEC, prompts, where=path, legacy_axes=kind == "conv1d")
    run.write(tmp_path / "run", log=[]) if (tmp_path / "run").mkdir() is None else None
    run = Run.read(tmp_path / "run")
    assert run.recipe.head == kind
    assert run.labels == CLASSES
    x = 5 * torch.randn(4, FRAMES, DIM)
    with torch.inference_mode():
        video = F.normalize(fusion(x), dim=-1)
        texts = F.normalize(torch.from_numpy(prompts.embeddings), dim=-1).reshape(len(CLASSES), -1, DIM)
        each = (100 * torch.einsum("bd,cpd->bpc", video, texts)).softmax(-1)
        found = run.model(x, torch.ones(4, FRAMES, dtype=torch.bool)).softmax(-1)
    torch.testing.assert_close(found, each.mean(1), rtol=1e-4, atol=1e-5)


def test_the_right_axes_are_the_default(tmp_path):
    path = checkpoint(tmp_path / "best.pt", Fusion("conv1d"))
    run = build_run(read_checkpoint(path)[1], SPEC, prompts_of(), where=path)
    assert run.recipe.head_options == {}
    with pytest.raises(DataError, match="only conv1d has legacy axes"):
        build_run(Fusion("lstm").state_dict(), SPEC, prompts_of(), where=path, legacy_axes=True)


@pytest.mark.parametrize(
    ("width", "patch", "grid", "name"),
    [(768, 32, 7, "ViT-B-32-quickgelu"), (768, 16, 14, "ViT-B-16-quickgelu"), (1024, 14, 24, "ViT-L-14-336-quickgelu")],
)
def test_the_name_is_told_from_the_shapes(tmp_path, width, patch, grid, name):
    clip = {
        "visual.conv1.weight": torch.zeros(width, 3, patch, patch),
        "visual.positional_embedding": torch.zeros(grid * grid + 1, width),
    }
    assert model_name(clip, where=tmp_path) == name
    with pytest.raises(DataError, match="768 wide with patches of 8 at 24 pixels, which is none of ViT-B-32"):
        odd = {"visual.conv1.weight": torch.zeros(768, 3, 8, 8), "visual.positional_embedding": torch.zeros(10, 768)}
        model_name(odd, where=tmp_path)
    with pytest.raises(DataError, match="holds no vision transformer that CLIP published"):
        model_name({}, where=tmp_path)


class Evil:
    def __reduce__(self):
        return print, ("run",)


def test_what_is_no_checkpoint(tmp_path, capsys):
    path = tmp_path / "bad.pt"
    with pytest.raises(DataError, match="not a checkpoint that loads without running code"):
        read_checkpoint(path)
    for content in (b"", b"nothing"):  # torch says nothing of the first, and of the second how to run its code
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"without running code \((EOFError|Weights only load failed)\)$"):
            read_checkpoint(path)
    with pytest.raises(DataError, match="not a checkpoint that loads without running code"):
        read_checkpoint(path)
    torch.save({"model_state_dict": Evil()}, path)
    with pytest.raises(DataError, match="not a checkpoint that loads without running code"):
        read_checkpoint(path)
    assert capsys.readouterr().out == ""
    torch.save({"state_dict": {}}, path)
    with pytest.raises(
        DataError, match="is not a checkpoint of ActionCLIP; expected one that holds model_state_dict and"
    ):
        read_checkpoint(path)
    with pytest.raises(DataError, match="the fusion model is not one of ActionCLIP's; it starts with 'vlad"):
        build_run({"vlad.weight": torch.zeros(1)}, SPEC, prompts_of(), where=path)
    wide = {"lstm_visual.weight_ih_l0": torch.zeros(4, 4)}
    with pytest.raises(DataError, match="the fusion model does not fit the encoder"):
        build_run(wide, SPEC, prompts_of(), where=path)


def test_through_the_door(framebank, tmp_path):
    """The demo's own CLIP stands for a fine-tuned one: the file that comes out gives the same embeddings."""
    from framebank.extract.encoders.weights import build_network

    clip = build_network("demo", None)
    weights = {f"module.{name}": value for name, value in clip.state_dict().items()}
    dim = clip.text_projection.shape[1]
    fusion = {"module.shift.weight": torch.randn(dim, 1, 3)}
    path = tmp_path / "best.pt"
    torch.save({"epoch": 1, "model_state_dict": weights, "fusion_model_state_dict": fusion}, path)
    (tmp_path / "classes.txt").write_text("waving\nclapping\n")
    run = tmp_path / "run"
    for options in ((), ("--labels", tmp_path / "classes.txt")):
        told = framebank("import-checkpoint", tmp_path / "gone.pt", run, *options, exit_code=1).stderr
        assert "gone.pt: no such file; expected a checkpoint" in told
    assert "--labels is required" in framebank("import-checkpoint", path, run, exit_code=2).stderr
    arguments = ("import-checkpoint", path, tmp_path / "run", "--labels", tmp_path / "classes.txt")
    told = framebank(*arguments, exit_code=1).stderr
    assert "name it with --model" in told
    wide = {"lstm_visual.weight_ih_l0": torch.zeros(4, 4)}
    torch.save({"model_state_dict": weights, "fusion_model_state_dict": wide}, tmp_path / "wide.pt")
    refused = ("import-checkpoint", tmp_path / "wide.pt", *arguments[2:], "--model", "demo")
    assert "the fusion model does not fit the encoder" in framebank(*refused, exit_code=1).stderr
    assert not run.exists()
    told = framebank(*arguments, "--model", "demo").stdout
    assert "conv1d of 2 classes" in told
    assert Run.read(run).spec.pretrained == str(run / "clip.safetensors")
    run = Run.read(tmp_path / "run")
    assert run.labels == ("waving", "clapping")
    again = build_network("demo", str(tmp_path / "run" / "clip.safetensors"))
    for name, value in clip.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    assert math.isclose(float(run.model.classifier.logit_scale), 100, rel_tol=1e-5)


def test_write_clip_makes_the_folder(tmp_path):
    path = write_clip({"a": torch.ones(2)}, tmp_path / "new" / "clip.safetensors")
    assert path.is_file()
