"""The command that trains inside the last blocks of an encoder: adapt."""

from pathlib import Path
from typing import Any

import click

from framebank.commands.names import HEADS, require_losses
from framebank.commands.options import PATH, device_option, json_option, require_alone, text_options
from framebank.commands.printing import BarOfParts, print_report
from framebank.commands.train import epoch_facts
from framebank.heads.training.recipe import Recipe
from framebank.library.adapting.adapt import METHOD_NAMES, RATES
from framebank.library.adapting.adapt import adapt as adapted
from framebank.library.training import SAVE_EVERY

RATES_TOLD = ", ".join(f"{name} {rate:g}" for name, rate in RATES.items())


@click.command(short_help="Train the last blocks of a store's encoder.")
@click.argument("store", type=PATH)
@click.argument("out", type=PATH)
@click.option("--blocks", type=click.IntRange(1), help="How many of the last blocks learn.  [all that STORE keeps]")
@click.option(
    "--method",
    type=click.Choice(METHOD_NAMES),
    default="full",
    help="Train the blocks, LoRA's change of each matrix, or M2-CLIP's TED adapters.",
)
@click.option("--rank", type=click.IntRange(1), default=8, help="Of LoRA's change.")
@click.option("--text-adapter", is_flag=True, help="Adapt as many blocks of the text tower too.")
@click.option("--head", type=click.Choice(HEADS), default="mean", metavar="HEAD", help="Pools the frames in training.")
@click.option("--classifier", type=click.Choice(["text", "linear"]), default="text", help="Scores them in training.")
@click.option("--loss", help="A loss of docs/methods.md, such as kl, or a sum: 'kl + ce'.  [kl; without texts: ce]")
@click.option("--frames", type=click.IntRange(0), default=0, help="Use N of the stored frames of a video; 0: all.")
@text_options
@click.option("--shots", "--shot", type=click.IntRange(0), default=0, help="Train on K videos of each class; 0: all.")
@click.option("--split", default="train", help="The split to train on, or all.")
@click.option("--val-split", help="Choose the epoch by this split.  [val, else a part of the training videos]")
@click.option("--val-fraction", type=float, default=0.1, help="That part; 0 keeps the last epoch, and so do --shots.")
@click.option("--epochs", type=click.IntRange(0), default=Recipe.epochs, help="Passes over the training videos.")
@click.option("--batch-size", type=click.IntRange(1), default=32, help="Videos of a step.")
@click.option("--lr", type=float, help=f"AdamW's, after a rise, before a cosine fall.  [{RATES_TOLD}]")
@click.option("--weight-decay", type=float, default=Recipe.weight_decay, help="AdamW's, on matrices.")
@click.option("--seed", type=int, default=0, help="Draws the adapters, the order and the validation videos.")
@device_option
@click.option("--overwrite", is_flag=True, help="Replace an adapted encoder in OUT.")
@click.option("--resume", is_flag=True, help="Go on from the last state that a killed training of OUT kept.")
@click.option(
    "--save-every",
    type=click.FloatRange(0),
    default=SAVE_EVERY,
    help="Seconds between two states, which are kept after an epoch.",
)
@json_option
def adapt(store: Path, out: Path, as_json: bool, **choices: Any) -> None:
    """Train the last blocks of the encoder of STORE and write its weights into the folder OUT.

    STORE keeps what enters these blocks: it was extracted with --streams frame,trunk:K. The weights are for `extract
    --pretrained OUT`, which then gives the embeddings of the adapted encoder.

    \b
    framebank extract videos/ bank --model ViT-B-32 --pretrained openai --frames 8 --streams frame,trunk:2
    framebank adapt bank adapted --method lora
    framebank extract videos/ better --model ViT-B-32 --pretrained adapted --frames 8
    """
    if choices["loss"]:
        require_losses(choices["loss"])
    alone = {name: choices[name] for name in ("labels", "templates", "texts")}
    require_alone(choices["prompts"], **alone)
    bar = BarOfParts(per="epoch", unit="step", facts=epoch_facts)
    made = adapted(store, out, **choices, watch=bar.watch, tell=bar.tell)
    print_report(made.to_dict(), as_json=as_json, lines=made.lines())
