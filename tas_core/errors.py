"""Errors that a person can act on.

Every error raised on purpose derives from :class:`TasError` and carries one
line of text that says what is wrong, where, and what was expected instead.
The command line prints that line, with the option that helps, and exits with
:attr:`TasError.exit_code`.
"""

from __future__ import annotations


class TasError(Exception):
    """Something failed although the request itself made sense (exit code 1).

    Args:
        message: what is wrong, where, and what was expected, in words that name no option of a program.
        remedy: what would help, as a key such as "overwrite": a program looks up what it calls that.
    """

    exit_code = 1

    def __init__(self, message: str = "", *, remedy: str | None = None) -> None:
        super().__init__(message)
        self.remedy = remedy


class InputError(TasError):
    """A request that cannot be carried out as given: bad file, option or value (exit code 2)."""

    exit_code = 2


class AudioError(InputError):
    """An audio file that is missing, unreadable, empty or holds non-finite samples."""


class PromptError(InputError):
    """A prompt that cannot be understood; the message shows the text and a caret."""


class TimelineError(InputError):
    """A timeline that cannot be used; the message names file, line and column."""


class CheckpointError(InputError):
    """A checkpoint that is missing, corrupt, or was written by another version."""


class EncoderError(InputError):
    """A text encoder that is unknown, or whose weights are missing or unusable."""


class Advice(UserWarning):
    """Something that a person should know of a file that was made all the same.

    Args:
        message: as that of :class:`TasError`.
        remedy: as that of :class:`TasError`.
        value: of the remedy, such as the number of a channel.
    """

    def __init__(self, message: str = "", *, remedy: str | None = None, value: object = None) -> None:
        super().__init__(message)
        self.remedy = remedy
        self.value = value
