"""Commands that export a trained model and import a published one."""

from pathlib import Path

import click

from framebank.commands.options import PATH, device_option, json_option, template_option
from framebank.commands.printing import print_report, progress


@click.command("export-head", short_help="Write a trained model as ONNX or safetensors.")
@click.argument("run", type=PATH)
@click.argument("file", type=PATH)
@json_option
def export_head(run: Path, file: Path, as_json: bool) -> None:
    """Write the model of RUN to FILE: .onnx for other runtimes, or .safetensors with a .json beside it.

    The ONNX file takes frames (B, T, D) and mask (B, T), any B and T, and gives the probability of each class; its
    scores are compared with those of the run before it is kept. The safetensors file holds only the weights.

    \b
    framebank export-head run head.onnx
    """
    from framebank.library.exchange.heads import export_head as exported

    done = exported(run, file)
    print_report(done.to_dict(), as_json=as_json, lines=done.lines())


@click.command("import-checkpoint", short_help="Make a run from a published ActionCLIP checkpoint.")
@click.argument("checkpoint", type=PATH)
@click.argument("run", type=PATH)
@click.option("--labels", type=PATH, help="The classes of the checkpoint, in their order; required.")
@click.option("--model", help="Its name in open_clip.  [found from the shapes of the weights]")
@click.option("--legacy-axes", is_flag=True, help="Keep the wrong axes of the published Conv_1D.")
@template_option
@device_option
@json_option
def import_checkpoint(
    checkpoint: Path,
    run: Path,
    labels: Path | None,
    model: str | None,
    legacy_axes: bool,
    templates: str | None,
    device: str,
    as_json: bool,
) -> None:
    """Make a RUN of a published ActionCLIP CHECKPOINT: its head, and its fine-tuned CLIP as RUN/clip.safetensors.

    \b
    framebank import-checkpoint vit-b-16-8f.pt k400 --labels kinetics400.txt
    framebank extract VIDEOS STORE --model ViT-B-16-quickgelu --pretrained k400/clip.safetensors --frames 8
    framebank evaluate k400 --store STORE
    """
    from framebank.store import DataError

    if not checkpoint.is_file():
        raise DataError(f"{checkpoint}: no such file; expected a checkpoint of ActionCLIP")
    if not labels:
        raise click.UsageError("--labels is required: the classes that the checkpoint was trained on, in their order")
    from framebank.library.exchange.heads import import_checkpoint as imported

    done = imported(
        checkpoint,
        run,
        labels=labels,
        model=model,
        legacy_axes=legacy_axes,
        templates=templates,
        device=device,
        watch=progress,
    )
    print_report(done.to_dict(), as_json=as_json, lines=done.lines())
