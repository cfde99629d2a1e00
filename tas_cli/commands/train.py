"""``tas train``."""

from __future__ import annotations

from pathlib import Path

import typer

from tas_cli.options import Device, Precision, choice


def train(
    context: typer.Context,
    data: Path = typer.Option(..., metavar="DIR", help="Folder made by 'tas data bank' or 'tas data pack'."),
    out: Path = typer.Option(
        ..., "--out", "-o", metavar="DIR", help="Run folder; an earlier run in it is gone on with."
    ),
    preset: str = typer.Option("slots", help="slots, paper, mono2binaural, apnet, or a variant; see docs/MODELS.md."),
    steps: int | None = typer.Option(None, min=1, help="Training steps."),
    batch_size: int | None = typer.Option(None, min=1, help="Scenes per step."),
    window: float | None = typer.Option(None, min=0.5, max=30.0, help="Length of a scene in seconds."),
    learning_rate: float | None = typer.Option(None, min=0.0, help="Peak learning rate of AdamW."),
    seed: int = typer.Option(0, min=0, help="Seed of initialisation, scenes and noise."),
    fold: int = typer.Option(1, min=1, help="Number of the split, for a data set in TASBench's layout."),
    device: Device = choice("auto", help="Where to compute."),
    precision: Precision = choice("auto", help="Numbers: bf16 is mixed; auto is bf16 on CUDA, else fp32."),
    compile_model: bool = typer.Option(False, "--compile", help="Compile the network; pays after minutes."),
    init: str | None = typer.Option(None, help="Start from this model or checkpoint instead of afresh."),
    workers: int = typer.Option(1, min=1, help="Threads that compose scenes ahead."),
    tensorboard: bool = typer.Option(False, "--tensorboard", help="Also log for TensorBoard; needs tas[logs]."),
    log_every: int = typer.Option(10, min=1, help="Steps between lines of log.jsonl."),
    validate_every: int = typer.Option(250, min=1, help="Steps between validations."),
    save_every: int = typer.Option(100, min=1, help="Steps between checkpoints."),
) -> None:
    """Train a model on scenes composed on the fly; kill it and run it again to go on."""
    from tas_cli.output.terminal import print_paths
    from tas_cli.output.train import training_progress
    from tas_core.training.run import run_training

    chosen = {
        "steps": steps,
        "batch_size": batch_size,
        "window_s": window,
        "learning_rate": learning_rate,
    }
    folder = run_training(
        data,
        out,
        preset,
        device=device,
        **{k: v for k, v in chosen.items() if v is not None},
        seed=seed,
        fold=fold,
        precision=precision,
        compile=compile_model,
        init=init,
        workers=workers,
        tensorboard=tensorboard,
        log_every=log_every,
        validate_every=validate_every,
        save_every=save_every,
        progress=training_progress(context.obj),
    )
    print_paths(folder)
