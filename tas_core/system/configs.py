"""From parsed JSON or YAML to a frozen config, without guessing: unknown keys and wrong types are errors."""

from __future__ import annotations

import dataclasses
import difflib
import sys
import types
import typing
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, TypeVar

from tas_core.errors import CheckpointError, TasError

_ConfigT = TypeVar("_ConfigT")


def config_from_dict(
    cls: type[_ConfigT],
    mapping: Mapping[str, Any],
    where: str = "config",
    error: type[TasError] = CheckpointError,
) -> _ConfigT:
    """Build the dataclass `cls` from parsed JSON or YAML; nothing is ignored or guessed.

    Lists become tuples, whole numbers are accepted for floats, mappings become nested dataclasses. A
    `ValueError` from the class's own checks is passed on as `error`.

    Args:
        cls: a dataclass; its fields are bool, int, float, str, None, Literal, tuple, dict, dataclasses,
            or unions of these.
        mapping: field name -> value.
        where: what to call the mapping in messages, e.g. "checkpoint/config.json".
        error: class of the error to raise.

    Raises:
        TasError: of class `error`, for an unknown key (with the nearest known one), a missing key, or a
            value of the wrong type.
    """
    if not isinstance(mapping, Mapping):
        raise error(f"{where}: expected an object with named values, not {describe(mapping)}")
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    for key in mapping:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, n=1)
            hint = f", did you mean {near[0]!r}?" if near else f", expected some of {', '.join(sorted(fields))}"
            raise error(f"{where}: unknown key {key!r}{hint}")
    kind: Any = cls
    hints = _hints(kind)
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in mapping:
            values[name] = _coerce(mapping[name], hints[name], f"{where}: {name}", error)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise error(f"{where}: missing key {name!r}")
    try:
        return cls(**values)
    except ValueError as problem:
        raise error(f"{where}: {one_line(problem)}") from problem


@cache
def _hints(cls: type[Any]) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _coerce(value: Any, kind: Any, where: str, error: type[TasError]) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        nested = [option for option in arguments if dataclasses.is_dataclass(option)]
        if (
            len(nested) == 1
            and isinstance(value, Mapping)
            and all(typing.get_origin(option) is not dict for option in arguments)
        ):
            return _coerce(value, nested[0], where, error)  # says what is wrong in it
        for option in arguments:
            try:
                return _coerce(value, option, where, error)
            except TasError:
                continue
        raise error(f"{where} must be {_kind_name(kind)}, not {describe(value)}")
    if origin is Literal:
        if any(value == option and type(value) is type(option) for option in arguments):
            return value
        raise error(f"{where} must be one of {', '.join(map(repr, arguments))}, not {value!r}")
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return value if isinstance(value, kind) else config_from_dict(kind, value, where, error)
    plain = origin or kind
    if plain is tuple and isinstance(value, list | tuple):
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            kinds: tuple[Any, ...] = (arguments[0],) * len(value)
        else:
            kinds = arguments or (Any,) * len(value)
        if len(kinds) == len(value):
            pairs = enumerate(zip(value, kinds, strict=True))
            return tuple(_coerce(item, each, f"{where}[{index}]", error) for index, (item, each) in pairs)
    elif plain is dict and isinstance(value, dict) and arguments:
        of_key, of_value = arguments
        return {
            _coerce(key, of_key, f"{where}: a key", error): _coerce(item, of_value, f"{where}[{key!r}]", error)
            for key, item in value.items()
        }
    elif plain is float and isinstance(value, int | float) and not isinstance(value, bool):
        if abs(value) <= sys.float_info.max or isinstance(value, float):
            return float(value)
    elif plain is int and isinstance(value, bool):
        pass
    elif isinstance(plain, type) and plain is not tuple and isinstance(value, plain):
        return value
    raise error(f"{where} must be {_kind_name(kind)}, not {describe(value)}")


def _kind_name(kind: Any) -> str:
    return "null" if kind is type(None) else getattr(kind, "__name__", "") if type(kind) is type else str(kind)


def describe(value: Any) -> str:
    """Type and (shortened) value, for messages."""
    try:
        text = repr(value)
    except ValueError:  # Python writes no numbers of more than some thousand digits
        text = "of thousands of digits"
    return f"{type(value).__name__} {text if len(text) <= 40 else text[:37] + '...'}"


def one_line(error: BaseException) -> str:
    """Text of an exception on a single line."""
    return " ".join(str(error).split()) or type(error).__name__
