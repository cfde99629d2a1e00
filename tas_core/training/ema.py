"""Exponential moving average of a network's parameters, and of the statistics of its batch norms.

After update number n (counted from 0) with live parameters p the average s is

    s <- d_n s + (1 - d_n) p,    d_n = min(decay, (1 + n) / (10 + n)).

The ramp forgets the random start: without it the average of a short run would
still be a tenth initialisation after 2300 steps at decay 0.999.

``torch.optim.swa_utils.AveragedModel`` does not serve here: its first update is a copy, and it averages all buffers,
counters and tables too, or none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from tas_core.errors import CheckpointError

_COUNT_KEY = "num_updates"
_STATISTICS = ("running_mean", "running_var")


def warmed_decay(decay: float, num_updates: int) -> float:
    """Decay to use when `num_updates` updates have been made already: min(decay, (1 + n) / (10 + n))."""
    return min(decay, (1 + num_updates) / (10 + num_updates))


def _learned(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters, and buffers that are statistics of a batch norm, by name."""
    yield from module.named_parameters()
    yield from ((name, value) for name, value in module.named_buffers() if name.endswith(_STATISTICS))


class EMA:
    """Averaged copy of what `module` learns.

    That is its parameters, and the running means and variances of its batch norms, since those of the present
    parameters do not fit the average. Other buffers are never averaged.

    Args:
        module: the network to follow; what it has learned so far is copied once, here.
        decay: the decay that the ramp ends at, in [0, 1).
    """

    def __init__(self, module: nn.Module, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"decay must lie in [0, 1), not {decay}")
        self.decay = decay
        self.num_updates = 0
        self._average = {name: value.detach().clone() for name, value in _learned(module)}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move the average towards the present parameters of `module` by one step."""
        weight = 1.0 - warmed_decay(self.decay, self.num_updates)
        live = dict(_learned(module))
        averages = [self._average[name] for name in live]
        # One operation for all of them: a graphics processor would wait for hundreds of small ones.
        torch._foreach_lerp_(averages, [value.detach() for value in live.values()], weight)
        self.num_updates += 1

    def averaged_state(self, module: nn.Module) -> dict[str, Tensor]:
        """State dict of `module`, averaged where it learns, with its own present buffers elsewhere."""
        return {name: self._average.get(name, value).detach() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def copy_to(self, module: nn.Module) -> None:
        """Overwrite what `module` has learned by the average."""
        for name, value in _learned(module):
            value.copy_(self._average[name])

    @contextmanager
    def applied(self, module: nn.Module) -> Iterator[None]:
        """Let `module` carry the average inside a `with` block, and its own parameters again after it."""
        live = {name: value.detach().clone() for name, value in _learned(module)}
        self.copy_to(module)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in _learned(module):
                    value.copy_(live[name])

    def state(self) -> dict[str, Tensor]:
        """Tensors that :meth:`load_state` needs to go on where this object is now."""
        return {**self._average, _COUNT_KEY: torch.tensor(self.num_updates)}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what :meth:`state` gave.

        Raises:
            CheckpointError: names or shapes are not those of the network that this average follows.
        """
        expected = {name: value.shape for name, value in self._average.items()} | {_COUNT_KEY: torch.Size()}
        for name in sorted(expected.keys() ^ state.keys()):
            raise CheckpointError(f"averaged weights do not fit this network: {name} is on one side only")
        for name, shape in expected.items():
            if state[name].shape != shape:
                raise CheckpointError(
                    f"averaged weights do not fit this network: {name} has shape "
                    f"{tuple(state[name].shape)}, expected {tuple(shape)}"
                )
        self.num_updates = int(state[_COUNT_KEY])
        for name, value in self._average.items():
            value.copy_(state[name])
