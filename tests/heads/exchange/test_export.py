import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from framebank.heads.exchange.export import export_onnx, export_weights
from framebank.heads.training.build import build_model
from framebank.heads.training.recipe import Recipe
from framebank.heads.training.run import Run
from framebank.store import DataError
from framebank.tests.worlds.heads import CLASSES, DIM, SPEC, prompts_of, texts_of

pytestmark = pytest.mark.usefixtures("one_thread")


def run_of(**choices):
    recipe = Recipe(**choices)
    texts = texts_of(prompts_of()) if recipe.reads_texts else None
    model = build_model(recipe, dim=DIM, num_classes=len(CLASSES), texts=texts).eval()
    with torch.no_grad():
        for parameter in model.head.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return Run(recipe, SPEC, CLASSES, model, "", {})


@pytest.mark.slow
@pytest.mark.parametrize("head", ["mean", "conv1d", "lstm", "transformer", "transformer-cls"])
def test_onnx_scores_as_the_run_does(tmp_path, head):
    """The transformers have two blocks: the exporter goes through each, and six are the same again."""
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    run = run_of(head=head, head_options={"num_layers": 2} if head.startswith("transformer") else {})
    path = tmp_path / "head.onnx"
    assert export_onnx(run, path) < 1e-4
    session = onnxruntime.InferenceSession(str(path))
    for batch, num_frames in ((1, 4), (1, 8), (5, 16), (2, 32), (7, 3)):
        frames = np.random.default_rng(num_frames).normal(size=(batch, num_frames, DIM)).astype(np.float32)
        mask = np.ones((batch, num_frames), dtype=bool)
        (found,) = session.run(["scores"], {"frames": frames, "mask": mask})
        for video, scores in zip(frames, found, strict=True):
            np.testing.assert_allclose(scores, run.score(video), atol=1e-4)
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["labels"]) == list(CLASSES)
    assert json.loads(about["spec"])["dim"] == DIM


@pytest.mark.slow
@pytest.mark.parametrize("classifier", ["knn", "tip-adapter", "vcs", "x-clip"])
def test_onnx_of_any_number_of_videos(tmp_path, classifier):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    run = run_of(head="mean", classifier=classifier, loss="ce")
    if hasattr(run.model.classifier, "fit"):
        videos = torch.randn(8, 1, DIM, generator=torch.Generator().manual_seed(0))
        run.model.classifier.fit(videos, torch.arange(8) % len(CLASSES), val=None)
    export_onnx(run, tmp_path / "head.onnx")
    session = onnxruntime.InferenceSession(str(tmp_path / "head.onnx"))
    for batch in (1, 70, 1100):  # more than are scored in one part
        frames = torch.randn(batch, 4, DIM, generator=torch.Generator().manual_seed(batch))
        mask = torch.ones(batch, 4, dtype=torch.bool)
        (found,) = session.run(["scores"], {"frames": frames.numpy(), "mask": mask.numpy()})
        with torch.inference_mode():
            expected = run.model(frames, mask).softmax(-1)
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


def test_a_file_that_does_not_run_is_one_sentence(tmp_path, monkeypatch):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")

    def fails(*given):
        raise onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument("no\nsuch shape")

    monkeypatch.setattr(onnxruntime.InferenceSession, "run", fails)
    with pytest.raises(DataError, match="what was exported does not run with 4 frames: no such shape"):
        export_onnx(run_of(head="mean"), tmp_path / "head.onnx")
    assert not list(tmp_path.iterdir())


def test_a_file_that_scores_otherwise_is_not_kept(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    run = run_of(head="mean")
    monkeypatch.setattr("framebank.heads.exchange.export.TOLERANCE", -1.0)
    with pytest.raises(DataError, match="the exported scores are up to"):
        export_onnx(run, tmp_path / "head.onnx")
    assert not list(tmp_path.iterdir())


def test_plain_weights(tmp_path):
    run = run_of(head="lstm", classifier="linear", loss="ce")
    about = json.loads(export_weights(run, tmp_path / "head.safetensors").read_text())
    found = load_file(tmp_path / "head.safetensors")
    assert set(found) == set(run.model.state_dict())
    assert all(torch.equal(found[name], value) for name, value in run.model.state_dict().items())
    assert about["labels"] == list(CLASSES)
    assert about["recipe"]["head"] == "lstm"


def test_score_is_the_models_probability():
    run = run_of(head="transformer")
    frames = np.random.default_rng(0).normal(size=(9, DIM)).astype(np.float16)
    x = torch.from_numpy(frames)[None]
    with torch.inference_mode():
        expected = run.model(x, torch.ones(1, 9, dtype=torch.bool)).softmax(-1)[0]
    np.testing.assert_allclose(run.score(frames), expected.numpy())
    with pytest.raises(DataError, match=r"frames are \(9, 4\); expected \(T, 16\), as tiny gives"):
        run.score(frames[:, :4])


def test_the_command(framebank, tmp_path):
    run = run_of(head="mean", classifier="linear", loss="ce")
    (tmp_path / "run").mkdir()
    run.write(tmp_path / "run", log=[])
    told = framebank("export-head", tmp_path / "run", tmp_path / "head.pt", exit_code=1).stderr
    assert "expected a name that ends in .onnx or .safetensors" in told
    assert "labels, recipe and encoder" in framebank("export-head", tmp_path / "run", tmp_path / "h.safetensors").stdout
    assert (tmp_path / "h.json").is_file()
