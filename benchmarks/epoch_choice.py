"""What the epoch of the highest top-1 on the validation videos is worth, and that of the lowest loss on them.

python benchmarks/epoch_choice.py STORE RECIPE [--seeds 3] [--prompts names.h5] [--set KEY=VALUE ...]

One training for each seed on the split train of STORE, of which a part is held out. At the end of each epoch the test
videos are scored too; both rules then choose an epoch by the validation videos alone, and what is printed is the top-1
of the test videos in it, and in the last epoch.
"""

from pathlib import Path

import click


@click.command()
@click.argument("store", type=click.Path(path_type=Path, exists=True))
@click.argument("recipe")
@click.option("--seeds", default=3, help="Trainings.")
@click.option("--prompts", type=click.Path(path_type=Path, exists=True), help="The texts of the classes.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="A key of the recipe.")
def main(store: Path, recipe: str, seeds: int, prompts: Path | None, settings: tuple[str, ...]) -> None:
    """Print a line for each seed."""
    import torch

    from framebank.heads.bank import load_bank
    from framebank.heads.metrics import score_targets
    from framebank.heads.predictions import predict_logits
    from framebank.heads.training.job import TrainingJob
    from framebank.heads.training.loop import chosen_epoch
    from framebank.heads.training.recipe import read_recipe
    from framebank.store import FeatureStore, PromptBank

    torch.set_num_threads(1)
    cpu, features = torch.device("cpu"), FeatureStore(store)
    texts = PromptBank.read(prompts) if prompts else None
    for seed in range(seeds):
        keys = dict(pair.split("=", 1) for pair in settings)
        chosen = read_recipe(recipe).with_settings({**keys, "seed": str(seed)})
        job = TrainingJob(features, features.split("train"), chosen, prompts=texts, device=cpu)
        test = load_bank(features, features.split("test"), job.labels, device=cpu, num_frames=chosen.frames)
        log, tested = [], []
        for epoch in job.epochs():
            training = job.model.training
            job.model.eval()
            tested.append(score_targets(predict_logits(job.model, test, device=cpu), test.target))
            job.model.train(training)
            log.append(epoch)
        by_top1 = max(reversed(log), key=lambda epoch: epoch.val_score)
        by_loss = chosen_epoch(log) or log[-1]
        told = [
            f"{rule}: epoch {epoch.number} {100 * tested[epoch.number - 1]:.1f} %"
            for rule, epoch in (("top-1", by_top1), ("loss", by_loss), ("last", log[-1]))
        ]
        click.echo(f"seed {seed}  " + "   ".join(told))


if __name__ == "__main__":
    main()
