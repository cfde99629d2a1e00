"""Options from the environment and from a file: below what the command line says, above the defaults.

An option without a value on the command line takes, in this order, its variable (``TAS_SPATIALIZE_STEPS``), the
variable of all commands (``TAS_DEVICE``), its key in the file (``steps`` in ``[spatialize]``), the key of all commands
(``device`` before the first table). Everything is read and checked here and handed to Typer as its map of defaults,
because its own complaint about a variable names neither the variable nor the file.
"""

from __future__ import annotations

import difflib
import inspect
import math
import os
import sys
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tas_core.errors import InputError
from tas_core.system.configs import describe, one_line

PREFIX: Final = "TAS_"
FILE_VARIABLE: Final = "TAS_CONFIG"
FOR_ALL: Final[Mapping[str, type]] = {"model": str, "device": str, "jobs": int}
"""Options that mean the same in every command which has them, and the type by which they are known."""

_PER_CALL: Final = (
    *("force", "skip-existing"),  # what happens to files that are there is said for one call
    *(
        "prompt",
        "channel",
        "track",
        "start",
        "duration",
        "end",
        "sidecar",
    ),  # what one input is, and what is wanted of it
    "version",
)
_WORDS: Final = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}
_NAMES: Final = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}


@dataclass(frozen=True)
class Setting:
    """An option that can be configured.

    Attributes:
        command: words after ``tas``, such as ("data", "bank"); none for an option of the whole program.
        option: long name without dashes in front, such as "text-encoder".
        parameter: name by which Typer knows it.
        kind: bool, int, float or str.
        many: whether it takes a list of those.
        low: smallest value, of numbers.
        high: largest value, of numbers.
        default: value where nothing else is said.
        choices: all values, of an option that has to be one of some.
    """

    command: tuple[str, ...]
    option: str
    parameter: str
    kind: type
    many: bool
    low: float | None
    high: float | None
    default: Any
    choices: tuple[str, ...] = ()

    @property
    def variable(self) -> str:
        """Its own environment variable."""
        return PREFIX + "_".join((*self.command, self.option)).upper().replace("-", "_")

    @property
    def is_for_all(self) -> bool:
        """Whether it also follows what is said for all commands."""
        return not self.many and FOR_ALL.get(self.option) is self.kind

    @property
    def expected(self) -> str:
        """What a value has to be, in words."""
        if self.many:
            return "a list, each " + _NAMES[self.kind]
        if self.choices:
            return "one of " + ", ".join(self.choices)
        limits = {"from": self.low, "to": self.high}
        return " ".join(
            [_NAMES[self.kind], *(f"{word} {value:g}" for word, value in limits.items() if value is not None)]
        )

    def check(self, value: Any, where: str) -> Any:
        """``value`` as the option takes it; ``where`` begins the message.

        Raises:
            InputError: it is of another type or out of range.
        """
        items = value if self.many and isinstance(value, list) else [value]
        if self.many != isinstance(value, list) or not all(map(self._fits, items)):
            raise InputError(f"{where}: expected {self.expected}, not {describe(value)}")
        found = [self.kind(item) for item in items]
        if self.choices:
            named = {choice.lower(): choice for choice in self.choices}
            found = [named[str(item).lower()] for item in items]
        return found if self.many else found[0]

    def _fits(self, value: Any) -> bool:
        if isinstance(value, bool) or self.kind in (bool, str):
            return type(value) is self.kind and (not self.choices or str(value).lower() in map(str.lower, self.choices))
        if not isinstance(value, (int, float) if self.kind is float else int):
            return False
        low, high = (-math.inf if self.low is None else self.low), (math.inf if self.high is None else self.high)
        return abs(value) <= sys.float_info.max and low <= value <= high

    def read(self, text: str, where: str) -> Any:
        """The value of an environment variable; a list has its items between blanks.

        Raises:
            InputError: it is of another type or out of range.
        """
        found = [self._parse(word) for word in (text.split() if self.many else [text])]
        try:
            return self.check(found if self.many else found[0], where)
        except InputError as error:
            raise InputError(f"{where}: expected {self.expected}, not {text!r}") from error

    def _parse(self, text: str) -> Any:
        try:
            return _WORDS.get(text.strip().lower(), text) if self.kind is bool else self.kind(text)
        except ValueError:
            return text


@dataclass(frozen=True)
class Value:
    """What a setting is, and where that is said: a variable, the file and its key, or "default"."""

    setting: Setting
    value: Any
    origin: str


@dataclass(frozen=True)
class Configuration:
    """All settings in effect.

    Attributes:
        file: the file that was read, None if there is none.
        values: one for every setting.
        unknown_variables: variables that begin as ours do and mean nothing here.
    """

    file: Path | None
    values: tuple[Value, ...]
    unknown_variables: tuple[str, ...]

    def changed(self) -> list[Value]:
        """What differs from the defaults, or repeats them explicitly."""
        return [value for value in self.values if value.origin != "default"]

    def default_map(self) -> dict[str, Any]:
        """The changed values as Typer wants them: {"data": {"bank": {"jobs": 2}}}."""
        found: dict[str, Any] = {}
        for value in self.changed():
            table = found
            for word in value.setting.command:
                table = table.setdefault(word, {})
            table[value.setting.parameter] = value.value
        return found


def was_given(context: Any, name: str) -> bool:
    """Whether a parameter comes from the command line: a default or a configured value is no request."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def configure(context: Any) -> None:
    """Give the context of the whole program its defaults; where nothing is configured, this reads nothing.

    Raises:
        InputError: the file or a variable is wrong.
    """
    if config_file() is None and not any(name.startswith(PREFIX) for name in os.environ):
        return
    context.default_map = load_configuration(context.command).default_map()


def config_file() -> Path | None:
    """The file to read: ``TAS_CONFIG``, or, if it is there, the one of :func:`default_config_file`; else None."""
    named = os.environ.get(FILE_VARIABLE)
    if named:
        return Path(named)
    path = default_config_file()
    return path if os.path.exists(path) else None


def default_config_file() -> Path:
    """Where the file is looked for unless ``TAS_CONFIG`` names one."""
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    # The XDG specification says that a relative path is to be ignored.
    home = Path(folder) if os.path.isabs(folder) else Path(os.path.expanduser("~/.config"))
    return home / "tas" / "config.toml"


def load_configuration(program: Any) -> Configuration:
    """Every setting of ``program``, the command that has all others below it, from variables, file and defaults.

    Raises:
        InputError: the file cannot be read, is no TOML or has an unknown name; a value in it or in a variable is of
            the wrong type or out of range.
    """
    settings = tuple(find_settings(program))
    file = config_file()
    in_file = {} if file is None else _read_file(file, program, settings)
    values = []
    for setting in settings:
        names = [setting.variable] + [PREFIX + setting.option.upper()] * setting.is_for_all
        name = next((name for name in names if os.environ.get(name)), None)
        if name is not None:
            values.append(Value(setting, setting.read(os.environ[name], name), name))
        else:
            values.append(in_file.get(setting.variable, Value(setting, setting.default, "default")))
    known = {FILE_VARIABLE, *(s.variable for s in settings), *(PREFIX + name.upper() for name in FOR_ALL)}
    unknown = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    return Configuration(file, tuple(values), tuple(unknown))


def find_settings(program: Any, command: tuple[str, ...] = ()) -> Iterator[Setting]:
    """The options of all commands that can be configured.

    Not so arguments, and options that are required, name a file or a folder, say what one input is, or permit to
    overwrite: those belong to one call.
    """
    for name, inner in getattr(program, "commands", {}).items():
        yield from find_settings(inner, (*command, name))
    if program.callback is None:
        return
    hints = typing.get_type_hints(inspect.unwrap(program.callback))
    for parameter in program.params:
        kind, many, choices = _plain(hints.get(parameter.name))
        option = _long_name(parameter)
        if kind is not None and option and not parameter.required and option not in _PER_CALL:
            low, high = getattr(parameter, "min", None), getattr(parameter, "max", None)
            yield Setting(command, option, parameter.name, kind, many, low, high, parameter.default, choices)


def _long_name(parameter: Any) -> str:
    """Name of an option without its dashes; nothing for an argument."""
    return next((name[2:] for name in parameter.opts if name.startswith("--")), "")


def _plain(hint: Any) -> tuple[type | None, bool, tuple[str, ...]]:
    """Type of one value (None if it cannot be configured), whether there are many, and the choices if they are few."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        some = [each for each in inner if each is not types.NoneType]
        return _plain(some[0]) if len(some) == 1 else (None, False, ())
    if origin is list:
        kind, _, choices = _plain(inner[0])
        return kind, True, choices
    if origin is typing.Literal:
        return str, False, inner
    return (hint if hint in _NAMES else None), False, ()


def _read_file(path: Path, program: Any, settings: Sequence[Setting]) -> dict[str, Value]:
    """What the file says of each setting, by its variable."""
    import tomllib

    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot read the configuration ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: the configuration is not UTF-8 text") from error
    except (ValueError, RecursionError) as error:  # a number of more digits than Python reads is no error of TOML
        raise InputError(f"{path}: not valid TOML: {one_line(error)}") from error
    said = [
        (setting, content[setting.option], setting.option)
        for setting in settings
        if setting.is_for_all and setting.option in content
    ]
    tables = {key: value for key, value in content.items() if key not in FOR_ALL}
    said += _read_table(tables, program, (), settings, path)  # later ones, of one command, count
    return {
        setting.variable: Value(setting, setting.check(value, f"{path}: {name}"), f"{path}: {name}")
        for setting, value, name in said
    }


def _read_table(
    table: Mapping[str, Any], program: Any, command: tuple[str, ...], settings: Sequence[Setting], path: Path
) -> Iterator[tuple[Setting, Any, str]]:
    """Settings that a table and the tables in it name, their values, and what to call them in messages."""
    options = {setting.option: setting for setting in settings if setting.command == command}
    inner = {s.command[len(command)] for s in settings if s.command[: len(command)] == command != s.command}
    known = [*options, *sorted(inner), *(() if command else FOR_ALL)]
    for key, value in table.items():
        name = ".".join((*command, key))
        if key in inner:
            if not isinstance(value, dict):
                raise InputError(f"{path}: {name}: expected a table [{name}], not {describe(value)}")
            yield from _read_table(value, program.commands[key], (*command, key), settings, path)
        elif key in options:
            yield options[key], value, name
        elif key in map(_long_name, getattr(program, "params", ())) and command:
            raise InputError(f"{path}: {name}: --{key} belongs to a call and cannot be configured")
        else:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"expected some of {', '.join(known)}"
            owner = next((".".join(s.command) for s in settings if s.option == key and not command), "")
            if owner:
                hint = f"expected it in the table of a command, such as [{owner}]"
            if command and any(s.option == key and not s.command for s in settings):
                hint = "expected it before the first table, for all commands"
            what = f"table [{name}]" if isinstance(value, dict) else f"key {name!r}"
            raise InputError(f"{path}: unknown {what}, {hint}")
