"""A bank of simulated rooms that training scenes are placed in."""

from __future__ import annotations

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor

from tas_core.acoustics.rooms import binaural_response, random_room
from tas_core.datasets.mixing.tensor_file import open_tensors
from tas_core.errors import InputError
from tas_core.system.configs import config_from_dict
from tas_core.system.files import write_files
from tas_core.system.json_values import json_value

_MOST_TAPS = 2**29
"""Of all responses, for each ear; 500 rooms as training has them take a twentieth."""
_MOST_RESPONSES = 2**17
"""However short they are: each is simulated, and a bank of the usual length is limited by its taps before."""


@dataclass(frozen=True)
class RoomRecipe:
    """How many rooms to simulate, and from which seed: all that is needed to make a bank of rooms again.

    ``sources`` is places per room, ``rate_hz`` the rate of the responses, ``length_s`` their length in seconds.

    Raises:
        InputError: no rooms, or more than fit into memory.
    """

    rooms: int
    sources: int
    rate_hz: int = 16000
    length_s: float = 0.4
    seed: int = 0

    def __post_init__(self) -> None:
        taps = self.length_s * self.rate_hz
        is_heard = 8_000 <= self.rate_hz <= 48_000 and 1 <= taps <= 4 * self.rate_hz
        if min(self.rooms, self.sources) < 1 or not is_heard:
            raise InputError(f"{self.rooms} rooms of {self.sources} places, {self.length_s} s at {self.rate_hz} Hz")
        most = min(_MOST_RESPONSES, int(_MOST_TAPS / taps))
        if self.rooms * self.sources > most:
            raise InputError(
                f"{self.rooms} rooms of {self.sources} places are more than are simulated, expected at most"
                f" {most // self.sources} rooms"
            )

    def save(self, path: Path) -> None:
        """Write to a file that :meth:`RoomBank.load` reads by simulating the rooms."""
        write_files({path: save({}, metadata={"recipe": json.dumps(asdict(self))})})


@dataclass(frozen=True)
class RoomBank:
    """Binaural room impulse responses, simulated ahead of training.

    ``responses`` float16 (room, source, ear, tap); ``azimuth_deg`` (room, source); ``rt60_s`` (room).
    """

    responses: Tensor
    azimuth_deg: Tensor
    rt60_s: Tensor
    sample_rate_hz: int

    def save(self, path: Path) -> None:
        """Write to one safetensors file."""
        tensors = {"responses": self.responses, "azimuth_deg": self.azimuth_deg, "rt60_s": self.rt60_s}
        write_files({path: save(tensors, metadata={"sample_rate_hz": str(self.sample_rate_hz)})})

    @staticmethod
    def load(path: Path) -> RoomBank:
        """Read a bank of rooms, or simulate it where the file holds a recipe only.

        Raises:
            InputError: no such file, or not a bank of rooms.
        """
        with open_tensors(path, "not a readable bank of rooms") as (file, meta):
            if "recipe" in meta:
                try:
                    recipe = config_from_dict(RoomRecipe, json_value(meta["recipe"]), "recipe", InputError)
                except InputError as error:
                    raise ValueError(str(error)) from error
                return build_rooms(**asdict(recipe), jobs=os.cpu_count() or 1)
            bank = RoomBank(
                **{k: file.get_tensor(k) for k in ("responses", "azimuth_deg", "rt60_s")},
                sample_rate_hz=int(meta["sample_rate_hz"]),
            )
            bank.check()
            return bank

    def check(self) -> None:
        """Refuse what does not fit together.

        Raises:
            ValueError: numbers of another shape or type, or a rate that is none.
        """
        shapes = [tuple(values.shape) for values in (self.responses, self.azimuth_deg, self.rt60_s)]
        rooms, sources = (*shapes[1], 0, 0)[:2]
        if len(shapes[0]) != 4 or shapes != [(rooms, sources, 2, shapes[0][3]), (rooms, sources), (rooms,)]:
            raise ValueError(f"responses, azimuths and reverberation times of shapes {shapes}")
        values = self.responses, self.azimuth_deg, self.rt60_s
        if not all(each.is_floating_point() for each in values) or self.sample_rate_hz <= 0 or not rooms * sources:
            raise ValueError(f"{rooms} rooms of {sources} places at {self.sample_rate_hz} Hz")


def build_rooms(
    rooms: int, sources: int, *, rate_hz: int = 16000, length_s: float = 0.4, seed: int = 0, jobs: int = 1
) -> RoomBank:
    """Random rooms with ``sources`` random places of sources each, in front, 0.7 to 4 m away.

    Every room has a seed of its own, so the result does not depend on ``jobs``, the number of threads.
    """
    responses = np.zeros((rooms, sources, 2, round(length_s * rate_hz)), np.float16)
    azimuth = np.zeros((rooms, sources), np.float32)
    rt60 = np.zeros(rooms, np.float32)

    def simulate(r: int) -> None:
        rng = np.random.default_rng([seed, r])
        room = random_room(rng)
        rt60[r] = room.rt60_s
        for s in range(sources):
            azimuth[r, s] = rng.uniform(-90, 90)
            distance_m = float(np.exp(rng.uniform(np.log(0.7), np.log(4.0))))
            responses[r, s] = binaural_response(room, float(azimuth[r, s]), distance_m, rate_hz, length_s, rng)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(simulate, range(rooms)))
    return RoomBank(torch.from_numpy(responses), torch.from_numpy(azimuth), torch.from_numpy(rt60), rate_hz)
