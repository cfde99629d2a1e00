"""Errors that a person can act on.

Every error raised on purpose derives from :class:`TasError` and carries one
line of text that says what is wrong, where, and what was expected instead.
The command line prints that line, with the option that helps, and exits with
:attr:`TasError.exit_code`.
"""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator
from typing import Any, Final

_UNSEEN: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Characters that count as signs, but leave no ink: fillers of Hangul and Braille, an invisible joiner."""

_JOINER: Final = re.compile("[\u200c\u200d]")
_LONGEST: Final = 10_000
"""Characters of a message."""
_LATIN_END: Final = "\u024f"


def is_unseen(text: str, i: int) -> bool:
    """Whether a person sees nothing, or not what it is, of character i of a text: zero widths, odd spaces, controls.

    A joiner (U+200C, U+200D) beside a letter of a script that needs it, as Persian does, or within an emoji, is part of
    the writing. Line breaks, plain spaces and lone surrogates, which stand for the bytes of odd file names, are not
    counted.
    """
    char = text[i]
    if _JOINER.match(char):
        return not any(
            near > _LATIN_END and not _JOINER.match(near) for near in (text[max(0, i - 1)], *text[i + 1 : i + 2])
        )
    return char in _UNSEEN or not (char.isprintable() or char == "\n" or "\ud800" <= char <= "\udfff")


def visible(text: str) -> str:
    """A text for a message, in which characters that cannot be seen are shown by their numbers, such as <U+200B>."""
    if text.isascii() and text.replace("\n", "").isprintable():
        return text
    return "".join(f"<U+{ord(char):04X}>" if is_unseen(text, i) else char for i, char in enumerate(text))


def _shortened(text: str) -> str:
    """A message that can be read: of more, as where a whole file stands on one line, the beginning and the end."""
    if len(text) <= _LONGEST:
        return text
    return f"{text[: _LONGEST // 2]} ... {text[-_LONGEST // 4 :]}"


class TasError(Exception):
    """Something failed although the request itself made sense (exit code 1).

    Args:
        message: what is wrong, where, and what was expected, in words that name no option of a program.
        remedy: what would help, as a key such as "overwrite": a program looks up what it calls that.
    """

    exit_code = 1

    def __init__(self, message: str = "", *, remedy: str | None = None) -> None:
        super().__init__(visible(_shortened(message)))
        self.remedy = remedy


class InputError(TasError):
    """A request that cannot be carried out as given: bad file, option or value (exit code 2)."""

    exit_code = 2


class AudioError(InputError):
    """An audio file that is missing, unreadable, empty or holds non-finite samples; all of it on one line."""

    def __init__(self, message: str = "", *, remedy: str | None = None) -> None:
        super().__init__(message.replace("\n", "<U+000A>"), remedy=remedy)


class PromptError(InputError):
    """A prompt that cannot be understood; the message shows the text and a caret.

    Args:
        message: as that of :class:`TasError`.
        text: the prompt as it was read, in Unicode form NFC and without what nobody sees; None where no place in it is
            meant.
        span: which characters of it are meant, from the first to before the last.
    """

    def __init__(self, message: str = "", *, text: str | None = None, span: tuple[int, int] = (0, 0)) -> None:
        super().__init__(message)
        self.text, self.span = text, span


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
        super().__init__(visible(message))
        self.remedy = remedy
        self.value = value


@contextlib.contextmanager
def warnings_about(name: str) -> Iterator[None]:
    """Every warning given within begins with the name of what it is about, whoever gives it.

    Args:
        name: such as the path of an input.
    """
    with warnings.catch_warnings():
        show = warnings.showwarning

        def show_named(message: Warning | str, *where: Any, **more: Any) -> None:
            show(_named(message, name), *where, **more)

        warnings.showwarning = show_named
        yield


def _named(message: Warning | str, name: str) -> Warning | str:
    said = str(message)
    if said.startswith((f"{name}: ", f"{visible(name)}: ")) or not isinstance(message, UserWarning):
        return message
    said = visible(f"{name}: {said}")
    if isinstance(message, Advice):
        return Advice(said, remedy=message.remedy, value=message.value)
    return type(message)(said)
