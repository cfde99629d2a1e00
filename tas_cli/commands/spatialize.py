"""``tas spatialize``: one file, or many."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tas_cli.commands.models import shipped
from tas_cli.options import ClipMode, Device, Renderer, Stereo, Subtype, choice, moment

if TYPE_CHECKING:
    from tas_core.jobs.batch.plan import BatchPlan
    from tas_core.jobs.batch.worker import FileOutcome
    from tas_core.jobs.spatialize import JobSettings

_INPUT, _OUTPUT, _RENDERING, _LEVELS, _MANY = "Input", "Output", "Rendering", "Levels", "Many files"


def spatialize(
    context: typer.Context,
    sources: list[Path] = typer.Argument(
        None, metavar="IN", show_default=False, help="Audio or video files, or folders of them; - is standard input."
    ),
    timeline: Path | None = typer.Option(
        None,
        "--timeline",
        "-t",
        metavar="FILE",
        help="Prompts with times: yaml, srt, vtt, txt.  [default: the one beside IN]",
        rich_help_panel=_INPUT,
    ),
    prompt: str | None = typer.Option(
        None,
        "--prompt",
        "-p",
        metavar="TEXT",
        help="One prompt for all of it, in place of a timeline.",
        rich_help_panel=_INPUT,
    ),
    objects: list[str] = typer.Option(
        None,
        "--object",
        metavar="NAME=FILE",
        show_default=False,
        help="Sound of an object, placed as it is; a file or folder alone goes by file names; repeat.",
        rich_help_panel=_INPUT,
    ),
    strict: bool = typer.Option(
        False,
        "--strict",
        help="Refuse names that look misspelt or have unknown words, in place of a warning.",
        rich_help_panel=_INPUT,
    ),
    stereo: Stereo = choice(
        "mix", help="Of two channels: mix them down, or keep all where no prompt places it.", rich_help_panel=_INPUT
    ),
    channel: int | None = typer.Option(
        None, min=1, help="Take one channel, counted from 1.  [default: mix down]", rich_help_panel=_INPUT
    ),
    track: int | None = typer.Option(
        None,
        min=1,
        help="Audio track of a film, counted from 1.  [default: the file's default]",
        rich_help_panel=_INPUT,
    ),
    start: float = moment(
        0.0,
        help="Begin here, such as 83.5 or 1:23.5; times of the timeline stay.",
        rich_help_panel=_INPUT,
    ),
    duration: float | None = moment(
        None,
        help="Make so much.  [default: to the end]",
        rich_help_panel=_INPUT,
    ),
    end: float | None = moment(
        None,
        help="End here, in place of --duration.",
        rich_help_panel=_INPUT,
    ),
    out: Path | None = typer.Option(
        None,
        "--out",
        "-o",
        metavar="FILE",
        help="File to write, binaural unless its name or --format says other; - is WAV on standard output.",
        rich_help_panel=_OUTPUT,
    ),
    formats: list[str] = typer.Option(
        None,
        "--format",
        metavar="NAME",
        show_default=False,
        help="binaural, stereo, 5.1, 5.1.4, 7.1.4, ambix1 to ambix3, adm, objects, rpp, osc, iamf; repeat, or a list"
        " with commas.  [default: as OUT is named, else binaural]",
        autocompletion=lambda: _formats(),
        rich_help_panel=_OUTPUT,
    ),
    stems: Path | None = typer.Option(
        None,
        metavar="DIR",
        help="Folder for one file per object; with --out-dir, of such folders.",
        rich_help_panel=_OUTPUT,
    ),
    report: Path | None = typer.Option(
        None,
        metavar="FILE",
        help="HTML page to listen and compare; with --out-dir, folder of pages.",
        rich_help_panel=_OUTPUT,
    ),
    sidecar: bool = typer.Option(
        False, "--sidecar", help="Also write OUT.tas.json: how OUT was made.", rich_help_panel=_OUTPUT
    ),
    subtype: Subtype | None = choice(
        None, help="Sample encoding of the output.  [default: as IN]", rich_help_panel=_OUTPUT
    ),
    force: bool = typer.Option(False, "--force", help="Overwrite existing outputs.", rich_help_panel=_OUTPUT),
    json_output: bool = typer.Option(
        False,
        "--json",
        help="Print a JSON object per file on stdout; with -o -, on stderr.",
        rich_help_panel=_OUTPUT,
    ),
    model: str = typer.Option(
        "slots",
        help="Name of a shipped model, or a checkpoint folder.",
        autocompletion=shipped,
        rich_help_panel=_RENDERING,
    ),
    separator: str | None = typer.Option(
        None,
        metavar="COMMAND",
        help="Program that makes the stems in place of a model, with {mix} and {names} in its words.",
        rich_help_panel=_RENDERING,
    ),
    steps: int | None = typer.Option(
        None, min=1, max=1000, help="Diffusion steps.  [default: the model's own]", rich_help_panel=_RENDERING
    ),
    seed: int = typer.Option(0, min=0, help="Seed of noise and dither.", rich_help_panel=_RENDERING),
    device: Device = choice("auto", help="Where the model computes.", rich_help_panel=_RENDERING),
    hrtf: Path | None = typer.Option(
        None,
        metavar="FILE",
        help="SOFA file of the head to hear with.  [default: built in]",
        rich_help_panel=_RENDERING,
    ),
    width: float = typer.Option(
        1.0,
        min=0.0,
        max=2.0,
        help="Factor of the difference between the ears; 0 is mono.",
        rich_help_panel=_RENDERING,
    ),
    renderer: Renderer = choice(
        "auto",
        help="In front at ear level (plane), which keeps the mono sum; all around (sphere); or as prompts ask.",
        rich_help_panel=_RENDERING,
    ),
    transition: float = typer.Option(
        0.0, min=0.0, help="Seconds that places take to change between two prompts.", rich_help_panel=_RENDERING
    ),
    gain: float = typer.Option(0.0, min=-100.0, max=100.0, help="Gain in dB.", rich_help_panel=_LEVELS),
    loudness: float | None = typer.Option(
        None, min=-70.0, max=0.0, help="Integrated loudness wanted, in LUFS.", rich_help_panel=_LEVELS
    ),
    clip: ClipMode = choice(
        "rescale",
        help="Beyond full scale: rescale the file, rescale all files of the run alike, clamp samples, or error.",
        rich_help_panel=_LEVELS,
    ),
    out_dir: Path | None = typer.Option(
        None,
        "--out-dir",
        metavar="DIR",
        help="Folder of the outputs, for any number of inputs.",
        rich_help_panel=_MANY,
    ),
    output_template: str = typer.Option(
        "{stem}.binaural.{ext}",
        metavar="TEXT",
        help="Names of the outputs in --out-dir: {stem}, {ext}, {parent}, {index}.",
        rich_help_panel=_MANY,
    ),
    input_list: Path | None = typer.Option(
        None, metavar="FILE", help="File with a path on each line; - is standard input.", rich_help_panel=_MANY
    ),
    manifest: Path | None = typer.Option(
        None,
        metavar="FILE",
        help="File with a JSON object on each line: audio, timeline or prompt, out; - is standard input.",
        rich_help_panel=_MANY,
    ),
    skip_existing: bool = typer.Option(
        False, "--skip-existing", help="Leave out inputs whose output is there.", rich_help_panel=_MANY
    ),
    fail_fast: bool = typer.Option(
        False,
        "--fail-fast/--keep-going",
        help="Of several inputs, end with the first failure, or do the others.",
        rich_help_panel=_MANY,
    ),
    jobs: int = typer.Option(
        1,
        "--jobs",
        "-j",
        min=1,
        help="Processes, at most one per core; each takes the memory of a model. With --ray, workers.  [default: 1;"
        " with --ray, one per CPU or GPU]",
        show_default=False,
        rich_help_panel=_MANY,
    ),
    ray: str | None = typer.Option(
        None,
        metavar="local|HOST:PORT",
        help="Make the files on a Ray cluster, one of its own or one that runs; needs 'tas[ray]'.",
        rich_help_panel=_MANY,
    ),
) -> None:
    """Put every sound where the timeline says."""
    from tas_cli.configuration import was_given
    from tas_core.audio.excerpt import Excerpt
    from tas_core.audio.normalised_writer import Levels
    from tas_core.delivery.formats import read_formats
    from tas_core.errors import InputError
    from tas_core.inference.settings import RenderSettings
    from tas_core.jobs.batch.cluster import RayCluster
    from tas_core.jobs.batch.in_stores import StoresOnDemand
    from tas_core.jobs.batch.inputs import find_inputs
    from tas_core.jobs.batch.plan import BatchPlan, Destinations, plan_batch, plan_requests
    from tas_core.jobs.batch.run import run_batch
    from tas_core.jobs.request import FileOptions, FileRequest
    from tas_core.jobs.sources import named_sources
    from tas_core.jobs.spatialize import JobSettings

    if prompt is not None:
        _check_prompt(prompt, sources or [])
    options = FileOptions(
        RenderSettings(steps=steps, seed=seed, width=width, transition_s=transition, stereo=stereo, renderer=renderer),
        Excerpt(channel, start, _duration(start, duration, end), track),
        Levels(gain, loudness, clip),
        hrtf=hrtf,
        subtype=subtype,
        sidecar=sidecar,
        overwrite=force,
        strict=strict,
        separator=separator,
    )
    if separator is not None:
        for name, flag in (("model", "--model"), ("device", "--device")):
            if was_given(context, name):
                raise InputError(f"{flag} and --separator were given, expected one of them")
    asked = read_formats(formats or [])
    settings = JobSettings(options, model, device, command=("tas", *sys.argv[1:]))
    sources = sources or []
    given = named_sources(objects or [])
    if given and out is None:
        raise InputError("--object is for one output, expected --out FILE, or objects in a --manifest FILE")
    if out is not None:
        no_input = not sources and not any((input_list, manifest, out_dir)) and bool(given or timeline)
        source = None if no_input else _only_input(sources, out, named_elsewhere=any((input_list, manifest, out_dir)))
        for name in ("output_template", "fail_fast", "jobs", "ray"):
            if was_given(context, name):
                raise InputError(f"--{name.replace('_', '-')} is for many files, and --out names one")
        if source is None:
            for name, flag in (("model", "--model"), ("device", "--device")):
                if was_given(context, name):
                    raise InputError(f"{flag} is for an input that a network separates, and there is none")
            request = FileRequest.of_objects(
                out, given, timeline, prompt=prompt, stems=stems, page=report, formats=asked
            )
        else:
            request = FileRequest(source, out, timeline, prompt, stems, report, asked, objects=given)
        # What exists is refused in its turn, where nothing is to be left out.
        one = plan_requests([request], sidecar=sidecar, skip_existing=True) if skip_existing else BatchPlan((request,))
        _make_one(one, settings, context.obj, json_output)
        return
    own_number = context.get_parameter_source("jobs")
    actors = None if own_number is None or own_number.name == "DEFAULT" else jobs
    cluster = None if ray is None else RayCluster.read(ray, actors)
    with contextlib.ExitStack() as stack:
        stores = StoresOnDemand(stack)  # of what a manifest names
        destinations = Destinations(out_dir, output_template, stems, report, asked)
        if out_dir is None and manifest is None:
            if not sources and input_list is None:
                raise InputError("no input, expected IN, --input-list FILE or --manifest FILE")
            raise InputError("no output, expected --out FILE for one input, or --out-dir DIR for any number")
        without = destinations.all()
        inputs = find_inputs(sources, input_list=input_list, manifest=manifest, without=without, stores=stores)
        plan = plan_batch(
            inputs,
            replace(destinations, stores=stores.made),
            timeline_path=timeline,
            prompt=prompt,
            sidecar=sidecar,
            overwrite=force,
            skip_existing=skip_existing,
        )
        run = partial(run_batch, plan, settings, jobs=jobs, fail_fast=fail_fast, cluster=cluster)
        _make_many(run, len(plan.requests), context.obj, json_output)


def _formats() -> list[str]:
    from tas_core.delivery.formats import NAMES

    return list(NAMES)


def _make_one(plan: BatchPlan, settings: JobSettings, progress: str, as_json: bool) -> None:
    """Make the one file of a plan and say how it came out; what is wrong with it ends the program."""
    from tas_cli.output.progress import progress_bar
    from tas_cli.output.spatialize import print_result, print_skipped
    from tas_core.jobs.batch.worker import FileOutcome
    from tas_core.jobs.spatialize import FileWorker

    (request,) = plan.requests
    if plan.skipped:
        print_skipped(FileOutcome(request, skipped=True), as_json)
        return
    with progress_bar(request.source.name, progress) as report_progress:
        result = FileWorker(settings).make(request, overwrite=bool(plan.again), progress=report_progress)
    print_result(result, as_json)


def _make_many(run: Callable[..., Sequence[FileOutcome]], total: int, progress: str, as_json: bool) -> None:
    """Make many files: a line for each as it ends; what is wrong with one leaves the others.

    Raises:
        typer.Exit: with 1, a file failed.
    """
    from tas_cli.output.progress import progress_bar
    from tas_cli.output.spatialize import print_counts, print_outcome

    tell = partial(print_outcome, as_json=as_json)
    with progress_bar(f"{total} file{'s' * (total != 1)}", progress) as report_progress:
        outcomes = run(progress=report_progress, on_outcome=tell)
    print_counts(outcomes, total)
    if any(outcome.error for outcome in outcomes):
        raise typer.Exit(1)


def _only_input(sources: Sequence[Path], out: Path, *, named_elsewhere: bool) -> Path:
    """The one input of an output that was named; ``named_elsewhere`` if there is a list, a manifest or a folder.

    Raises:
        InputError: there is not just one.
    """
    from tas_core.errors import InputError

    instead = "expected --out-dir DIR in place of --out"
    if named_elsewhere:
        raise InputError("--out names the output of one IN, and a list, manifest or folder was given; " + instead)
    if not sources:
        raise InputError("no input, expected IN, --input-list FILE or --manifest FILE")
    if len(sources) > 1:
        named = ", ".join(map(str, sources[:2])) + ", ..." * (len(sources) > 2)
        raise InputError(f"{out}: one output for {len(sources)} inputs ({named}), {instead}")
    if os.path.isdir(sources[0]):
        raise InputError(f"{sources[0]}: a folder of inputs, {instead}")
    return sources[0]


def _duration(start_s: float, duration_s: float | None, end_s: float | None) -> float | None:
    """The length of a passage that may be given by its end.

    Raises:
        InputError: both are given, or the end is not after the start.
    """
    from tas_core.errors import InputError

    if end_s is None:
        return duration_s
    if duration_s is not None:
        raise InputError("--duration and --end were given, expected one of them")
    if end_s <= start_s:
        raise InputError(f"--end is {end_s:g} s, expected a time after the start at {start_s:g} s")
    return end_s - start_s


def _check_prompt(text: str, sources: Sequence[Path]) -> None:
    """Raises :class:`PromptError`, with the name of the option before what is wrong.

    Behind a prompt of one word, inputs that are neither there nor named as audio files are words without quotes.
    """
    from tas_core.audio.formats import is_readable
    from tas_core.errors import PromptError
    from tas_core.timeline.prompts import parse_prompt

    stray = [str(path) for path in sources if not os.path.exists(path) and not is_readable(path.name)]
    if stray and len(text.split()) == 1:
        words = shlex.quote(" ".join([text, *stray]))
        raise PromptError(f"{' '.join(stray)}: no such file; put the prompt in quotes: -p {words}")
    try:
        parse_prompt(text)
    except PromptError as error:
        raise PromptError(f"--prompt: {error}") from error
