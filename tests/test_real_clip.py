"""Real CLIP embeddings of UCF101 (one middle frame a video) through the commands: figures, predict, enroll, calibrate.

Each figure is held to what the command gave when this was written: to half a point where it comes of a closed form, to
one and a half where it was trained by steps, whose rounding differs between machines.
"""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framebank.heads.labelling.enroll import enroll
from framebank.heads.labelling.labellers import IndexLabeller
from framebank.heads.labelling.table import Labelled, label_store
from framebank.store import FeatureStore
from framebank.store.indexes.index import Index

FEATURES = Path(__file__).parents[2] / "shared" / "data" / "features" / "clip-vit-b32"
UCF, LVIS = FEATURES / "ucf101-midframes.npz", FEATURES / "lvis-names.npz"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not UCF.exists() or not LVIS.exists(), reason=f"the real embeddings are not in {FEATURES}"),
]

# Classes that an object names, fixed before any was scored.
OBJECTS = {
    "Archery": "bow_(weapon)", "BaseballPitch": "baseball", "Basketball": "basketball", "Biking": "bicycle",
    "Billiards": "pool_table", "BlowDryHair": "hair_dryer", "BlowingCandles": "birthday_cake",
    "Bowling": "bowling_ball", "BrushingTeeth": "toothbrush", "Drumming": "drum_(musical_instrument)",
    "FrisbeeCatch": "frisbee", "GolfSwing": "golf_club", "Haircut": "scissors", "Hammering": "hammer",
    "HorseRiding": "horse", "Kayaking": "kayak", "MoppingFloor": "mop", "PizzaTossing": "pizza",
    "PlayingGuitar": "guitar", "PlayingPiano": "piano", "PlayingViolin": "violin", "Rafting": "raft",
    "SkateBoarding": "skateboard", "Skiing": "ski", "SkyDiving": "parachute", "SoccerJuggling": "soccer_ball",
    "Surfing": "surfboard", "TableTennisShot": "table-tennis_table", "TennisSwing": "tennis_racket",
    "TrampolineJumping": "trampoline", "Typing": "computer_keyboard", "VolleyballSpiking": "volleyball",
    "WalkingWithDog": "dog",
}  # fmt: skip
ENCODER = ("--describe", "model=ViT-B-32,pretrained=openai")
FITTED = ("--head", "mean", "--loss", "ce", "--epochs", 0)


@pytest.fixture(scope="module")
def ucf(framebank: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ucf") / "bank"
    framebank("store", "import", UCF, folder, *ENCODER)
    return folder


@pytest.fixture(scope="module")
def objects(framebank: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The videos of the classes that an object names, and the texts of the objects."""
    folder = tmp_path_factory.mktemp("objects")
    names, prompts = folder / "names.txt", folder / "prompts.h5"
    names.write_text("\n".join(OBJECTS))
    framebank("store", "import", UCF, folder / "bank", *ENCODER, "--only-labels", names)
    maps = [part for pair in OBJECTS.items() for part in ("--map", "=".join(pair))]
    framebank("prompts", names, prompts, "--like", folder / "bank", "--import", LVIS, *maps)
    return folder / "bank", prompts


def share_right(table: Path) -> float:
    with np.load(UCF) as saved:
        truth = dict(zip(saved["video"].tolist(), saved["label"].tolist(), strict=True))
    with table.open(newline="", encoding="utf-8") as file:
        return float(np.mean([truth[row["video_id"]] == row["label"] for row in csv.DictReader(file)]))


def evaluated(framebank: Any, store: Path, run: Path, tmp_path: Path) -> dict[str, Any]:
    """What evaluate says, after the table of predict was found to be as right."""
    report: dict[str, Any] = json.loads(framebank("evaluate", run, "--json").stdout)
    framebank("predict", store, "--run", run, "--split", "test", "--csv", tmp_path / "o.csv")
    assert share_right(tmp_path / "o.csv") == report["top1"]
    assert report["top5"] >= report["top1"]
    return report


@pytest.mark.parametrize(
    ("options", "top1", "within"),
    [
        (("--recipe", "ridge"), 76.4, 0.5),
        (("--recipe", "ridge", "--set", "classifier.standardise=false"), 76.5, 0.5),
        (("--recipe", "ridge", "--set", "classifier.penalty=0.1"), 76.4, 0.5),
        (("--recipe", "linear-probe", "--set", "schedule=paper"), 80.0, 1.5),
        ((*FITTED, "--classifier", "lda"), 78.3, 0.5),
        ((*FITTED, "--classifier", "knn", "--set", "classifier.k=1"), 70.1, 0.5),
    ],
)
def test_sixteen_shots(
    framebank: Any, ucf: Path, tmp_path: Path, options: tuple[object, ...], top1: float, within: float
) -> None:
    framebank("train", ucf, tmp_path / "run", *options, "--shots", 16)
    report = evaluated(framebank, ucf, tmp_path / "run", tmp_path)
    assert report["videos_evaluated"] == 3783
    assert 100 * report["top1"] == pytest.approx(top1, abs=within)


def test_zero_shot_by_the_names_of_objects(framebank: Any, objects: tuple[Path, Path], tmp_path: Path) -> None:
    store, prompts = objects
    report = json.loads(framebank("zeroshot", store, "--prompts", prompts, "--json").stdout)
    assert 100 * report["top1"] == pytest.approx(77.1, abs=0.5)
    framebank("predict", store, "--prompts", prompts, "--split", "test", "--csv", tmp_path / "o.csv")
    assert share_right(tmp_path / "o.csv") == report["top1"]


@pytest.mark.parametrize(
    ("options", "top1", "within"),
    [
        (("--recipe", "tip-adapter"), 88.9, 0.5),
        (("--recipe", "tip-adapter-f", "--set", "schedule=paper"), 91.3, 1.5),
        (
            (
                *("--head", "mean", "--set", "text=residual", "--loss", "ce", "--scoring", "embeddings", "--shots", 16),
                *("--set", "schedule=paper"),
            ),
            91.3,
            1.5,
        ),
    ],
)
def test_texts_and_sixteen_shots(
    framebank: Any,
    objects: tuple[Path, Path],
    tmp_path: Path,
    options: tuple[object, ...],
    top1: float,
    within: float,
) -> None:
    store, prompts = objects
    framebank("train", store, tmp_path / "run", "--prompts", prompts, *options)
    assert 100 * evaluated(framebank, store, tmp_path / "run", tmp_path)["top1"] == pytest.approx(top1, abs=within)


def test_enrolled_classes_and_thresholds_of_held_out_videos(framebank: Any, tmp_path: Path) -> None:
    """Five classes are not in the index: before they are enrolled they are unknown, afterwards known."""
    new = ("Biking", "PlayingPiano", "Surfing", "Archery", "SkyDiving")
    with np.load(UCF) as saved:
        arrays = dict(saved)
    row = np.arange(len(arrays["split"]))
    arrays["split"] = np.where((arrays["split"] == "test") & (row % 2 == 0), "val", arrays["split"])
    arrays["split"] = np.where((arrays["split"] == "train") & np.isin(arrays["label"], new), "few", arrays["split"])
    np.savez(tmp_path / "ucf.npz", **arrays)
    framebank("store", "import", tmp_path / "ucf.npz", tmp_path / "bank", *ENCODER)
    framebank("index", tmp_path / "bank", tmp_path / "index", "--split", "train")
    framebank("calibrate", tmp_path / "index", tmp_path / "bank", "--split", "val")
    store = FeatureStore(tmp_path / "bank")

    def shares() -> tuple[float, float, float]:
        """How many of the new classes are labelled rightly, and of the others rightly or as a new class."""
        labeller = IndexLabeller(Index.load(tmp_path / "index"), where=tmp_path / "index")
        found = [one for one in label_store(store, store.split("test"), [labeller]) if isinstance(one, Labelled)]
        of_new = [one.label == one.video.label for one in found if one.video.label in new]
        others = [one for one in found if one.video.label not in new]
        right = np.mean([one.label == one.video.label for one in others])
        return float(np.mean(of_new)), float(right), float(np.mean([one.label in new for one in others]))

    known, right, _ = shares()
    assert known == 0
    for label in new:
        videos = [video for video in store.split("few").videos if video.label == label][:5]
        examples = [(video, store[video.video_id].data.astype(np.float32).mean(0)) for video in videos]
        enroll(tmp_path / "index", label, examples, index=Index.load(tmp_path / "index"))
    known_now, right_now, taken = shares()
    assert known_now > 0.8
    assert taken <= 0.25  # each of five thresholds lets up to 5 % of others pass; 16 % was measured
    assert right_now > right - 0.05
