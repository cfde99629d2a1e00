"""Options that remedy errors: the core says by a key what would help, the command line by which option."""

from __future__ import annotations

from typing import Final

from tas_core.errors import Advice, TasError, visible

OPTIONS: Final = {
    "channel": "--channel",
    "device": "--device cpu",
    "input": "IN, --input-list FILE or --manifest FILE",
    "object": "--object NAME=FILE",
    "jobs": "fewer --jobs",
    "label": "--label",
    "manifest": "'tas spatialize --manifest FILE'",
    "material": "'tas data bank' makes one",
    "out": "--out",
    "out_dir": "--out-dir DIR",
    "output": "--out FILE names the output of one input",
    "output_template": "--output-template",
    "overwrite": "--force",
    "pipe": "'-o - | ffmpeg -i - OUT' encodes elsewhere",
    "prompt": "--timeline FILE or --prompt TEXT",
    "provenance": "'tas spatialize --json' prints one",
    "ray_packages": "pip install 'tas[ray]'",
    "s3_packages": "pip install 'tas[s3]'",
    "skip_existing": "--skip-existing or --force",
    "speech_packages": "pip install 'tas[eval]'",
    "system_name": "--model NAME=SYSTEM",
    "track": "--track N",
    "training_length": "--steps N or --minutes M",
}
"""By the keys of :attr:`tas_core.errors.TasError.remedy`."""


def complaint(error: TasError) -> str:
    """The message of an error, and behind it in brackets the option that helps, if one does."""
    return with_option(str(error), error.remedy)


def advice(warning: Warning | str) -> str:
    """The message of a warning, and behind it in brackets the option that helps, with its value, if one does."""
    if isinstance(warning, Advice):
        return with_option(str(warning), warning.remedy, warning.value)
    return visible(str(warning))


def with_option(message: str, remedy: str | None, value: object = None) -> str:
    """A message, and behind it in brackets the option of its remedy, if it has one."""
    if remedy not in OPTIONS:
        return message
    return f"{message} ({OPTIONS[remedy]})" if value is None else f"{message} ({OPTIONS[remedy]} {value})"
