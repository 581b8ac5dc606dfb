"""Export: a trained model as a file for other programs: ONNX, frames in and class scores out, or plain weights."""

import json
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor, nn

from framebank.heads.training.run import Run
from framebank.store.errors import DataError
from framebank.store.files.replacing import replacing
from framebank.store.lazy import require

LENGTHS = (4, 8, 16, 32)  # frames that the written file is checked with
TOLERANCE = 1e-3  # of a probability
OPSET = 18


class Scores(nn.Module):
    """A model that gives probabilities instead of logits."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.model = run.model
        self.multi_label = run.recipe.is_multi_label

    def forward(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Score frames (B, T, D), mask (B, T) true where real -> probabilities (B, C)."""
        logits = self.model.scaled(self.model(frames, mask), multi_label=self.multi_label)
        return logits.sigmoid() if self.multi_label else F.softmax(logits, dim=-1)


def export_onnx(run: Run, path: Path) -> float:
    """Write a run with its class matrix as ONNX, B and T free; return how far its scores are from the run's at most.

    The file takes `frames` (B, T, D) float32 as stored, not normalised, and `mask` (B, T) bool, true for real frames.
    It gives `scores` (B, C). Its metadata holds the labels, the encoder, and the `thresholds` (C,) of several labels if
    the run has them. It is checked with the lengths LENGTHS before it gets its name. DataError if the packages are not
    installed, if the run reads another stream, or if the scores of the file differ from those of the run.
    """
    run.require_frames(path)
    onnx = require("onnx", extra="onnx", what=path.name)
    runtime = require("onnxruntime", extra="onnx", what=path.name)
    require("onnxscript", extra="onnx", what=path.name)  # torch's exporter asks for it
    model = Scores(run).eval()
    frames, mask = _example(run, num_videos=2, num_frames=16)
    free = {0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO}
    program = torch.onnx.export(
        model,
        (frames, mask),
        dynamo=True,
        opset_version=OPSET,
        input_names=["frames", "mask"],
        output_names=["scores"],
        dynamic_shapes={"frames": free, "mask": free},
        verbose=False,
    )
    if program is None:
        raise DataError(f"{path}: the exporter of torch gave nothing for {run.recipe.head} + {run.recipe.classifier}")
    proto = program.model_proto
    onnx.helper.set_model_props(proto, {name: json.dumps(value) for name, value in _told(run).items()})
    with replacing(path) as part:
        part.write_bytes(proto.SerializeToString())
        return _check(runtime.InferenceSession(str(part)), model, run, path)


def _check(session: Any, model: nn.Module, run: Run, path: Path) -> float:
    worst = 0.0
    for num_frames in LENGTHS:
        frames, mask = _example(run, num_videos=3, num_frames=num_frames)
        with torch.inference_mode():
            expected = model(frames, mask)
        try:
            found = session.run(None, {"frames": frames.numpy(), "mask": mask.numpy()})[0]
        except Exception as error:  # onnxruntime's own have no other common base
            reason = " ".join(str(error).split())
            raise DataError(f"{path}: what was exported does not run with {num_frames} frames: {reason}") from error
        worst = max(worst, float((expected - torch.from_numpy(found)).abs().max()))
    if not worst <= TOLERANCE:
        raise DataError(f"{path}: the exported scores are up to {worst:.2g} from the run's; expected {TOLERANCE:g}")
    return worst


def _example(run: Run, *, num_videos: int, num_frames: int) -> tuple[Tensor, Tensor]:
    """Return random frames, and a mask whose last video is shorter."""
    generator = torch.Generator().manual_seed(num_frames)
    frames = torch.randn(num_videos, num_frames, run.spec.dim, generator=generator)
    mask = torch.ones(num_videos, num_frames, dtype=torch.bool)
    mask[-1, num_frames - num_frames // 4 :] = False
    return frames, mask


def _told(run: Run) -> dict[str, Any]:
    """What an export says of a run: all but the marks of its training videos, and the thresholds of its scores."""
    told = {name: value for name, value in run.about().items() if name != "seen"}
    if run.thresholds is not None:
        told["thresholds"] = run.thresholds.tolist()
    return told


def export_weights(run: Run, path: Path) -> Path:
    """Write the weights of a run as safetensors, and everything else as JSON beside it. Return the path of the JSON."""
    about = path.with_suffix(".json")
    with replacing(about) as beside, replacing(path) as part:
        part.write_bytes(save({name: value.contiguous().cpu() for name, value in run.model.state_dict().items()}))
        beside.write_text(json.dumps(_told(run), indent=1), encoding="utf-8")
        about.unlink(missing_ok=True)  # it describes other weights; the new one is written last
    return about
