"""``tas train``."""

from __future__ import annotations

from pathlib import Path

import typer

from tas_cli.options import Device, Precision, Scenes, choice


def train(
    context: typer.Context,
    data: Path = typer.Option(..., metavar="DIR", help="Folder made by 'tas data bank' or 'tas data pack'."),
    out: Path = typer.Option(
        ..., "--out", "-o", metavar="DIR", help="Run folder; an earlier run in it is gone on with."
    ),
    preset: str = typer.Option("slots", help="slots, paper, mono2binaural, apnet, or a variant; see docs/MODELS.md."),
    steps: int | None = typer.Option(None, min=1, help="End after so many steps; this or --minutes."),
    minutes: float | None = typer.Option(None, help="End after so many minutes, all included; this or --steps."),
    batch_size: int | None = typer.Option(None, min=1, help="Scenes per step."),
    window: float | None = typer.Option(None, min=0.5, max=30.0, help="Length of a scene in seconds."),
    learning_rate: float | None = typer.Option(None, min=0.0, help="Peak learning rate of AdamW."),
    decay_share: float | None = typer.Option(
        None, min=0.0, max=1.0, help="Last part of the run, in which the rate falls to zero; 0.4 by default."
    ),
    scenes: Scenes = choice("all", help="What to compose scenes of; talkers: people who talk at once."),
    seed: int = typer.Option(0, min=0, help="Seed of initialisation, scenes and noise."),
    fold: int = typer.Option(1, min=1, help="Number of the split, for a data set in TASBench's layout."),
    device: Device = choice("auto", help="Where to compute."),
    precision: Precision = choice("auto", help="Numbers: bf16 is mixed; auto is bf16 on CUDA, else fp32."),
    compile_model: bool = typer.Option(False, "--compile", help="Compile the network; pays after minutes."),
    init: str | None = typer.Option(None, help="Start from this model or checkpoint instead of afresh."),
    workers: int | None = typer.Option(
        None, min=1, help="Processes that draw scenes ahead, threads that read recordings; 1 on a CPU, else 4."
    ),
    tensorboard: bool = typer.Option(False, "--tensorboard", help="Also log for TensorBoard; needs tas[logs]."),
    log_every: int | None = typer.Option(
        None, min=1, help="Steps between lines of log.jsonl; 10 steps, or 10 s with --minutes."
    ),
    validate_every: int | None = typer.Option(
        None, min=1, help="Steps between validations; 250 steps, or an eighth of --minutes."
    ),
    save_every: int | None = typer.Option(
        None, min=1, help="Steps between checkpoints; 100 steps, or 60 s with --minutes."
    ),
    save_seconds: float | None = typer.Option(None, min=1.0, help="Seconds between checkpoints at most."),
) -> None:
    """Train a model on scenes composed on the fly; kill it and run it again to go on."""
    from tas_cli.output.terminal import print_paths
    from tas_cli.output.train import training_progress
    from tas_core.training.group import leads
    from tas_core.training.run import run_training

    chosen = {
        "steps": steps,
        "minutes": minutes,
        "batch_size": batch_size,
        "window_s": window,
        "learning_rate": learning_rate,
        "decay_share": decay_share,
        "scenes": scenes,
        "workers": workers,
        "log_every": log_every,
        "validate_every": validate_every,
        "save_every": save_every,
        "save_every_s": save_seconds,
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
        tensorboard=tensorboard,
        progress=training_progress(context.obj),
    )
    if leads():
        print_paths(folder)
