"""The ``tas`` command. Commands parse arguments, call one core function and print; nothing heavy is imported here."""

from __future__ import annotations

import contextlib
import io
import os
import re
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from typing import Any, Final

import typer

from tas_cli.command import Commands, GroupedCommand
from tas_cli.commands import (
    config,
    data,
    doctor,
    eval,
    models,
    plot,
    report,
    serve,
    spatialize,
    studio,
    study,
    timeline,
    train,
)
from tas_cli.configuration import configure, was_given
from tas_cli.options import Progress, choice
from tas_cli.remedies import advice, complaint
from tas_core.errors import InputError, TasError, visible

_UsageError: Final[type[Exception]] = typer.BadParameter.__bases__[0]
"""The class of all that the parser refuses; of its children Typer hands out this one."""

app = Commands(
    name="tas",
    help="Make mono sound binaural by following words: 'cello on the left, piano on the right'.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("spatialize", cls=GroupedCommand)(spatialize.spatialize)
app.command("plot")(plot.plot)
app.command("report", short_help="Make one HTML page to listen, compare and measure.")(report.report)
app.command("serve", cls=GroupedCommand, short_help="Answer programs of this machine, the model loaded.")(serve.serve)
app.command("studio", short_help="Place sounds on a page, and hear it at once.")(studio.studio)
app.command("train", short_help="Train a model, or go on with it.")(train.train)
app.command("doctor", short_help="Say what is installed, and whether it works.")(doctor.doctor)
app.command("config", short_help="Show configured values and their origin.")(config.config)
app.add_typer(eval.app, name="eval", short_help="Say in numbers how good outputs or models are.")
app.add_typer(models.app, name="models")
app.add_typer(data.app, name="data")
app.add_typer(study.app, name="study")
app.add_typer(timeline.app, name="timeline", short_help="Look into timelines, and convert them.")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"tas {version('tas')}")
        raise typer.Exit()


@app.callback()
def tas(
    context: typer.Context,
    version: bool = typer.Option(  # noqa: ARG001 (its callback ends the program)
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
    progress: Progress = choice(
        "auto",
        help="What stderr says while a command works: auto is a bar on a terminal, json a line per step.",
    ),
) -> None:
    """Make mono sound binaural by following words: 'cello on the left, piano on the right'."""
    try:
        configure(context)
    except InputError:
        if context.invoked_subcommand != "doctor":  # it reports what is wrong among its checks
            raise
    if not was_given(context, "progress"):
        progress = (context.default_map or {}).get("progress", progress)
    context.obj = progress  # for all commands


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"tas: warning: {advice(message)}", file=sys.stderr)


def _make_printable() -> None:
    """What a terminal or a pipe cannot show, such as the bytes of an odd file name, is printed as an escape."""
    if sys.stderr is None:  # closed; what is opened next would get its number, and what C libraries say
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (for good)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _usage_line(error: Any) -> str:
    """What the parser refuses, in one line; or the whole help of a command that was called with nothing."""
    said = str(error.format_message())
    if said.startswith("Usage: "):
        return said
    said = re.sub(
        r"\. Choose from:((?:\n\t[\w-]+,?)+)$", lambda found: f": expected{found[1]}".replace("\n\t", " "), said
    )
    said = visible(said.rstrip(".").replace("Value error, ", "")).replace("\n", "<U+000A>")
    if re.match(r"No such option: -[\d.>]", said):  # "-p dog at -30 degrees", "-p car left -> right"
        said += "; put the prompt in quotes: -p 'dog at -30 degrees'"
    return f"tas: error: {said}" + (f"; see {error.ctx.command_path} -h" if error.ctx else "")


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Lets ``kill`` and a closed terminal end the program by an exception, so that nothing half-written stays."""

    def end(number: int, _: object) -> None:
        sys.exit(128 + number)

    numbers = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) == signal.SIG_DFL]  # nohup ignores
    for number in numbers:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _run() -> int:
    """Run the command line, and say what went wrong; the exit code."""
    try:
        with _ended_by_signals():
            code = (
                app(prog_name="tas", standalone_mode=False) or 0
            )  # so that what the parser refuses is said here, in one line
            _flush_output()
    except TasError as error:
        print(f"tas: error: {complaint(error)}", file=sys.stderr)
        return error.exit_code
    except _UsageError as error:
        print(_usage_line(error), file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever read has heard enough
        return 1
    except OSError as error:
        print(f"tas: error: {_system_line(error)}", file=sys.stderr)
        return 1
    if code == 130:  # Typer ends an interrupted command without a word
        print("tas: interrupted", file=sys.stderr)
    return int(code)


def _flush_output() -> None:
    """Have what was printed where it goes; else Python would do so when nobody can be told that it failed."""
    if sys.stdout is not None and not sys.stdout.closed:
        sys.stdout.flush()


def _drop_output() -> None:
    """Give up what was printed and cannot be written, so that the end of the program does not try again."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _system_line(error: OSError) -> str:
    """What the system refused, and of what; standard output has no name of its own."""
    if error.filename is None and _comes_of_printing(error):
        from tas_core.system.write_errors import write_error

        return complaint(write_error("standard output", error, "what is printed"))
    where = "" if error.filename is None else f"{error.filename}: "
    return f"{visible(where)}{error.strerror or error}"


def _comes_of_printing(error: OSError) -> bool:
    """Whether it was raised by what prints, also where the core calls that; it says of files what they are."""
    names = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [package for package in (name.partition(".")[0] for name in names) if package in ("tas_cli", "tas_core")]
    return ours[-1:] == ["tas_cli"]


def _can_flush() -> bool:
    try:
        _flush_output()
    except OSError:
        return False
    return True


def main() -> None:
    """Run the command line; exit codes: 0 ok, 1 something failed, 2 usage or input, 130 interrupted."""
    _make_printable()
    warnings.showwarning = _show_warning
    warnings.simplefilter("ignore")
    warnings.filterwarnings("always", module=r"tas_core(\..*)?")
    warnings.filterwarnings("always", category=UserWarning, module=r"tas_cli(\..*)?")
    try:
        code = _run()
    finally:
        if not _can_flush():
            _drop_output()
    sys.exit(code)


if __name__ == "__main__":
    main()
