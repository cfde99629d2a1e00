"""Configs from JSON: there and back, and what is wrong with one in a line."""

from __future__ import annotations

import dataclasses
import json
from typing import Literal

import pytest

from tas_core.errors import InputError
from tas_core.system.configs import config_from_dict


@dataclasses.dataclass(frozen=True)
class Inner:
    depth: int = 2


@dataclasses.dataclass(frozen=True)
class Example:
    width: int
    rate: float = 1.0
    fusion: Literal["saf", "add"] = "saf"
    dilations: tuple[int, ...] = (1, 2)
    label: str | None = None
    causal: bool = False
    inner: Inner = Inner()
    gains: dict[str, float] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError("width must be positive")


def test_a_config_round_trips_through_json() -> None:
    config = Example(3, 2.0, "add", (4,), "x", True, Inner(5), {"cello": -3.0})
    assert config_from_dict(Example, json.loads(json.dumps(dataclasses.asdict(config)))) == config


def test_whole_numbers_become_floats() -> None:
    rate = config_from_dict(Example, {"width": 1, "rate": 3}).rate
    assert (rate, type(rate)) == (3.0, float)


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ({"widht": 3}, "config: unknown key 'widht', did you mean 'width'?"),
        ({"zzz": 3}, "config: unknown key 'zzz', expected some of causal, dilations"),
        ({}, "config: missing key 'width'"),
        ({"width": "3"}, "config: width must be int, not str '3'"),
        ({"width": 3.0}, "config: width must be int, not float 3.0"),
        ({"width": True}, "config: width must be int, not bool True"),
        ({"width": 0}, "config: width must be positive"),
        ({"width": 1, "rate": True}, "config: rate must be float, not bool True"),
        ({"width": 1, "fusion": "sfa"}, "config: fusion must be one of 'saf', 'add', not 'sfa'"),
        ({"width": 1, "dilations": [1, "2"]}, "config: dilations[1] must be int, not str '2'"),
        ({"width": 1, "dilations": 3}, "config: dilations must be tuple[int, ...], not int 3"),
        ({"width": 1, "label": 3}, "config: label must be str | None, not int 3"),
        ({"width": 1, "inner": {"dept": 1}}, "config: inner: unknown key 'dept', did you mean 'depth'?"),
        ({"width": 1, "gains": [1]}, "config: gains must be dict[str, float], not list [1]"),
        ({"width": 1, "gains": {"cello": "loud"}}, "config: gains['cello'] must be float, not str 'loud'"),
        ({"width": 1, "gains": {3: 1.0}}, "config: gains: a key must be str, not int 3"),
        ([1], "config: expected an object with named values, not list [1]"),
    ],
)
def test_wrong_configs_are_explained(mapping, message: str) -> None:
    with pytest.raises(InputError) as caught:
        config_from_dict(Example, mapping)
    assert str(caught.value).startswith(message)


def test_the_class_of_the_error_can_be_chosen() -> None:
    with pytest.raises(InputError) as caught:
        config_from_dict(Example, {}, where="file.yaml", error=InputError)
    assert type(caught.value) is InputError
    assert str(caught.value) == "file.yaml: missing key 'width'"
