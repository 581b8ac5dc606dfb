"""Commands that export a trained model and import a published one."""

from dataclasses import replace
from pathlib import Path

import click

from framebank.commands.options import PATH, device_option, json_option, template_option
from framebank.commands.printing import print_report, progress
from framebank.library.texts import embed_texts
from framebank.store.counts import counted


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
    from framebank.store import DataError

    if file.suffix not in (".onnx", ".safetensors"):
        raise DataError(f"{file}: expected a name that ends in .onnx or .safetensors")
    from framebank.heads.exchange.export import export_onnx, export_weights
    from framebank.heads.training.run import Run
    from framebank.store.files.kinds import refuse_own_file

    refuse_own_file(file)

    trained = Run.read(run)
    report = {"file": str(file), "labels": len(trained.labels)}
    if file.suffix == ".onnx":
        off = export_onnx(trained, file)
        report["largest_difference"] = off
        lines = [
            f"{file}: {counted(len(trained.labels), 'class', 'classes')}; its scores are within {off:.1g} of the run's"
        ]
    else:
        about = export_weights(trained, file)
        lines = [f"{file}: the weights; {about}: labels, recipe and encoder"]
    print_report(report, as_json=as_json, lines=lines)


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
    from framebank.store import DataError, LabelSet

    if not checkpoint.is_file():
        raise DataError(f"{checkpoint}: no such file; expected a checkpoint of ActionCLIP")
    if not labels:
        raise click.UsageError("--labels is required: the classes that the checkpoint was trained on, in their order")
    from framebank.extract.encoders.encoder import Encoder
    from framebank.heads.exchange.published import CLIP, build_run, model_name, read_checkpoint, write_clip
    from framebank.heads.training.folder import taking
    from framebank.store.files.replacing import replacing_together

    click.get_current_context().with_resource(taking(run, what="run", overwrite=False))
    clip, fusion = read_checkpoint(checkpoint)
    name = model or model_name(clip, where=checkpoint)
    classes = LabelSet.read(labels)
    weights = run / CLIP
    with replacing_together(run) as part:
        try:
            encoder = Encoder(name, str(write_clip(clip, part / CLIP)), device=device)
        except DataError as error:
            raise DataError(str(error).replace(str(part / CLIP), str(checkpoint))) from error
        prompts = embed_texts(classes, encoder, templates=templates, texts="names", watch=progress)
        prompts = replace(prompts, encoder=replace(prompts.encoder, pretrained=str(weights.absolute())))
        made = build_run(fusion, prompts.encoder, prompts, where=checkpoint, legacy_axes=legacy_axes)
        made.put(part, log=[])
    report = {
        "run": str(run),
        "head": made.recipe.head,
        "model": name,
        "pretrained": str(weights),
        "classes": len(classes),
    }
    lines = [
        f"{made.recipe.head} of {counted(len(classes), 'class', 'classes')} -> {run}",
        f"next: framebank extract VIDEOS STORE --model {name} --pretrained {weights}",
        f"      framebank evaluate {run} --store STORE",
    ]
    print_report(report, as_json=as_json, lines=lines)
