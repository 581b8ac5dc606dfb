"""Adapt: train the last blocks of an encoder on the tokens of a store, and keep the weights."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from framebank.heads.progress import Tell, tell_nobody
from framebank.library.adapting.adapted_encoder import AdaptedEncoder
from framebank.library.adapting.adapted_texts import AdaptedTexts, require_texts
from framebank.library.checks import require_among, require_least, typed
from framebank.library.training import SAVE_EVERY
from framebank.library.watch import Watch, unwatched
from framebank.store.errors import DataError, warn

if TYPE_CHECKING:
    from framebank.extract.adapters.methods import Live
    from framebank.extract.encoders.encoder import Encoder
    from framebank.heads.training.job import TrainingJob
    from framebank.heads.training.loop import Epoch
    from framebank.heads.training.recipe import Recipe
    from framebank.store import FeatureStore, LabelSet, PromptBank

METHOD_NAMES = ("full", "lora", "ted")  # those of framebank.extract.adapters.methods, which loads torch
# ActionCLIP's rate for the encoder; adapters start as nothing and take that of a head.
RATES = {"full": 5e-6, "lora": 5e-4, "ted": 5e-4}
FIGURES = "adapted.json"


@typed
def adapt(
    bank: "FeatureStore | str | Path",
    folder: str | Path,
    *,
    blocks: int | None = None,
    method: str = "full",
    rank: int = 8,
    text_adapter: bool = False,
    head: str = "mean",
    classifier: str = "text",
    loss: str | None = None,
    frames: int = 0,
    split: str = "train",
    val_split: str | None = None,
    val_fraction: float = 0.1,
    shots: int = 0,
    labels: "LabelSet | Sequence[str] | str | Path | None" = None,
    prompts: "PromptBank | str | Path | None" = None,
    templates: "str | Sequence[str] | None" = None,
    texts: str | None = None,
    epochs: int = 50,
    batch_size: int = 32,
    lr: float | None = None,
    weight_decay: float = 0.2,
    seed: int = 0,
    overwrite: bool = False,
    resume: bool = False,
    save_every: float = SAVE_EVERY,
    device: str = "auto",
    watch: Watch = unwatched,
    tell: Tell = tell_nobody,
) -> AdaptedEncoder:
    """Train the last blocks of a store's encoder on its stream trunk, and write the weights into `folder`.

    The store was extracted with the stream "trunk:K". `blocks` of these K blocks learn; by default all do. `method`
    says how: "full" trains the blocks and what follows them, as ActionCLIP does (Wang et al. 2021, arXiv 2109.08472),
    "lora" a change of a low `rank` of each matrix (Hu et al. 2021, arXiv 2106.09685), and "ted" M2-CLIP's adapters
    (Wang et al. 2024, arXiv 2401.11649). With `text_adapter`, as many of the last blocks of the text tower learn with
    them, in the same way; "ted" has M2-CLIP's adapters of texts there. `head` pools the frames in training and
    `classifier`, "text" or "linear", scores them; both are thrown away, and "ted" takes only the head "mean". The
    `loss` is ActionCLIP's "kl", or "ce" without texts. `frames` takes that many of the stored frames of a video, or all
    if it is 0. `lr` is 5e-6 for "full" and 5e-4 for the others. The epoch is chosen as `fb.train` chooses it. `extract`
    with the folder as `pretrained` gives the embeddings of the adapted encoder. After "ted", the encoder reads clips of
    as many frames as were used of a video, and gives one row for each clip. The state of the training is kept in
    `folder` after an epoch, every `save_every` seconds, until it has ended; with `resume` it goes on from there after a
    kill, to the same weights, or starts where there is none. DataError if the store has no stream trunk, or if the
    encoder that made it is not here.

    >>> import framebank as fb
    >>> bank = fb.extract("videos/", "bank", model="demo", frames=8, streams="frame,trunk:2")  # doctest: +SKIP
    >>> fb.adapt(bank, "adapted", method="lora").val_score                                     # doctest: +SKIP
    0.81
    >>> fb.extract("videos/", "better", model="demo", pretrained="adapted", frames=8)          # doctest: +SKIP
    """
    from framebank.library.stores import open_store, require_val_split

    require_among("method", method, METHOD_NAMES)
    require_among("classifier", classifier, ("text", "linear"))
    require_least("rank", rank, 1)
    store, folder = open_store(bank), Path(folder)
    _require_other_weights(folder, store)
    split = store.manifest.split_named(split)
    manifest = store.split(split)
    require_val_split(store, val_split)
    stored = _stored_blocks(store)
    blocks = stored if blocks is None else blocks
    if not 1 <= blocks <= stored:
        raise DataError(f"blocks is {blocks}; expected 1 to {stored}, the blocks that {store.path} keeps the tokens of")
    if method == "ted" and head != "mean":
        raise DataError(f"head is {head!r}; expected mean, because ted makes one embedding of all frames of a clip")

    from framebank.extract.encoders.device import resolve_device
    from framebank.extract.encoders.encoder import encoder_like
    from framebank.heads.training.folder import taking
    from framebank.heads.training.resume import Keeping
    from framebank.library.training import recipe_of, training_job

    choices: dict[str, Any] = {
        "head": head,
        "classifier": classifier,
        "stream": "trunk",
        "frames": frames,
        "frame_norm": method != "ted",
        "shots": shots,
        "val_fraction": val_fraction,
        "epochs": epochs,
        "min_steps": 0,
        "batch_size": batch_size,
        "lr": RATES[method] if lr is None else lr,
        "weight_decay": weight_decay,
        "seed": seed,
    }
    recipe = recipe_of(None, choices if loss is None else {**choices, "loss": loss}, {})
    if text_adapter:
        require_texts(recipe)
    with taking(folder, what="encoder", overwrite=overwrite):
        started = time.perf_counter()
        encoder = encoder_like(store.spec, device=device, precision="fp32")
        live = _live(encoder, store, recipe, method=method, stored=stored, blocks=blocks, rank=rank)
        own = AdaptedTexts.of(encoder, method=method, blocks=blocks, rank=rank, seed=seed) if text_adapter else None
        job = training_job(
            store,
            manifest,
            recipe,
            val_split=val_split,
            labels=labels,
            prompts=prompts,
            templates=templates,
            texts=texts,
            live=live.tail,
            live_texts=own.embed if own else None,
            device=resolve_device(device),
            watch=watch,
        )
        if method == "ted":  # the frames that a short video repeats are read, as an encoder of clips reads them
            _show_repeats(job)
        for note in job.notes:
            warn(note)
        about = {"method": method, "number of blocks": blocks, "rank": rank if method == "lora" else 0}
        about |= {"text adapter": text_adapter, "encoder": store.spec.weights_hash}
        keeping = Keeping(folder, seconds=save_every, resumes=resume, about=lambda: about)
        log = list(watch(job.epochs(tell=tell, keeping=keeping), total=job.num_epochs, unit="epoch"))
        lives = (live, own.live) if own else (live,)
        made = _result(folder, job, lives, log, method=method, blocks=blocks, model=store.spec.model)
        made = replace(made, seconds=round(time.perf_counter() - started, 2))
        _write(made, encoder, lives, job, log)
    return made


def _require_other_weights(folder: Path, store: "FeatureStore") -> None:
    """Refuse to write over the weights that made the store: DataError."""
    made_by = Path(store.spec.pretrained)
    if made_by.is_absolute() and made_by.resolve().parent == folder.resolve():
        raise DataError(
            f"{folder}: holds the weights that made {store.path}, and no others make its embeddings; expected another "
            "folder for the adapted encoder"
        )


def _stored_blocks(store: "FeatureStore") -> int:
    """Return the K of the stream trunk:K of a store. DataError if it has no such stream."""
    found = dict(stream.partition(":")[::2] for stream in store.spec.streams.split(","))
    if "trunk" not in found:
        raise DataError(
            f"{store.path}: has no stream trunk, whose tokens the last blocks are trained on; expected a store "
            "extracted with the streams frame,trunk:2"
        )
    return int(found["trunk"])


def _live(
    encoder: "Encoder", store: "FeatureStore", recipe: "Recipe", *, method: str, stored: int, blocks: int, rank: int
) -> "Live":
    """Return the last blocks of an encoder as the method trains them."""
    from framebank.extract.adapters.methods import TowerCut, make_live
    from framebank.extract.sampling import read_sampling

    num_frames = int(read_sampling(store.spec.sampling).numbers[-1])
    num_frames = min(recipe.frames or num_frames, num_frames)
    cut = TowerCut(encoder.trunk(stored), stored, blocks, num_frames, store.spec.dim, rank)
    return make_live(method, cut, seed=recipe.seed)


def _show_repeats(job: "TrainingJob") -> None:
    job.train = replace(job.train, mask=job.train.mask.new_ones(job.train.mask.shape))
    if job.val:
        job.val = replace(job.val, mask=job.val.mask.new_ones(job.val.mask.shape))


def _result(
    folder: Path,
    job: "TrainingJob",
    lives: "Sequence[Live]",
    log: "list[Epoch]",
    *,
    method: str,
    blocks: int,
    model: str,
) -> AdaptedEncoder:
    """Return the figures; `lives` are the image tower, and the text tower if it was adapted."""
    from framebank.extract.adapters.adapted import WEIGHTS
    from framebank.heads.training.loop import chosen_epoch

    kept = chosen_epoch(log)
    return AdaptedEncoder(
        path=folder.absolute(),
        weights=folder.absolute() / WEIGHTS,
        model=model,
        method=method,
        blocks=blocks,
        trained_parameters=sum(live.num_trained for live in lives),
        val_score=kept.val_score if kept else None,
        train_videos=len(job.train),
        val_videos=len(job.val) if job.val else 0,
        epoch=kept.number if kept else len(log),
        epochs=len(log),
        loss=log[-1].loss if log else None,
        num_frames=job.train.x.shape[1] if method == "ted" else 0,
        seconds=0.0,
        text_adapter=len(lives) > 1,
    )


def _write(
    made: AdaptedEncoder, encoder: "Encoder", lives: "Sequence[Live]", job: "TrainingJob", log: "list[Epoch]"
) -> None:
    """Write the weights, the adapters that are not part of them, and the figures with their recipe."""
    from framebank.extract.adapters.adapted import ADAPTERS, Adapted
    from framebank.extract.adapters.text_adapters import both_towers
    from framebank.heads.classifiers.text import TextClassifier
    from framebank.heads.training.resume import STATE
    from framebank.store.files.replacing import remove_together, replacing_together

    adapters = both_towers(*(live.merge() for live in lives))
    weights = encoder.weights()
    if isinstance(job.model.classifier, TextClassifier):  # it learned the scale
        weights["logit_scale"] = job.model.classifier.logit_scale.log().reshape(weights["logit_scale"].shape)
    said = Adapted(
        made.model,
        made.method,
        made.blocks,
        encoder.spec.preprocessing,
        quick_gelu=encoder.uses_quick_gelu,
        num_frames=made.num_frames,
    )
    figures = {**made.to_dict(), "recipe": job.recipe.to_dict(), "store": str(job.store.path.absolute())}
    figures |= {"encoder": job.store.spec.to_dict(), "log": [asdict(epoch) for epoch in log]}
    with replacing_together(made.path) as part:
        said.write(part, weights, adapters)
        (part / FIGURES).write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        gone = [STATE, *([ADAPTERS] if adapters is None else [])]
        for name in gone:
            if (made.path / name).exists():
                remove_together(part, name)
