"""Processes that train one model together: each computes some rows of every batch, and all take the same steps.

``torchrun`` starts them and tells each its number in the environment (RANK, WORLD_SIZE, LOCAL_RANK). With B rows in a
batch and R processes, each process draws the whole batch, computes the rows of its part in the costly part of the
network, has the other rows from the others, and takes the losses of all B rows. With L the loss, theta the weights, y_r
the rows of process r,

    dL/dtheta = sum_r dL/dy_r dy_r/dtheta + (what the losses themselves have of theta),

so what goes back into the own rows is taken R times, and the mean over the processes is the gradient of one process.
Numbers differ by rounding only: sums of fewer rows are taken first.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any, Final

import torch
import torch.distributed as dist
from torch import Tensor, nn

from tas_core.errors import InputError, TasError
from tas_core.models.row_sharing import RowWork
from tas_core.system.configs import one_line

PATIENCE_S: Final = 600.0
"""How long a process waits for the others, which may be opening material or saving."""
_LOST: Final = (
    "another process of this training has ended or does not answer; what was saved before is whole,"
    " and the same command goes on from there"
)


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[torch.device]:
    """Join the processes that were started together; yields the device that is this one's.

    Nothing where the process was started alone.

    Args:
        device: where to train; of several graphics processors, each process of a machine has the one of its number.

    Raises:
        InputError: there are less graphics processors than processes, or what they are told does not fit together.
        TasError: the others do not come.
    """
    size = _number("WORLD_SIZE", 1)
    if size == 1:
        yield device
        return
    _number("RANK", None)
    if device.type == "cuda":
        number, there = _number("LOCAL_RANK", 0), torch.cuda.device_count()
        if number >= there:
            raise InputError(
                f"process {number} of this machine has no CUDA device, there are {there}; expected one each"
            )
        device = torch.device("cuda", number)
        torch.cuda.set_device(device)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    patience = timedelta(seconds=PATIENCE_S)
    try:
        store, rank, size = next(dist.rendezvous("env://", timeout=patience))
        # Processes that were started again do not find the addresses of those before them.
        store = dist.PrefixStore(f"tas/{_number('TORCHELASTIC_RESTART_COUNT', 0)}", store)
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=patience)
    except (ValueError, RuntimeError) as error:
        raise TasError(f"the processes of this training do not find each other: {one_line(error)}") from error
    try:
        yield device
    finally:
        with contextlib.suppress(RuntimeError):
            dist.destroy_process_group()


def leads() -> bool:
    """Whether this process is the one that writes and says what there is to say; so is one that was started alone."""
    return _number("WORLD_SIZE", 1) == 1 or _number("RANK", 0) == 0


def _number(name: str, otherwise: int | None) -> int:
    """A whole number of the environment.

    Raises:
        InputError: it is none, or missing and needed.
    """
    text = os.environ.get(name, "")
    if not text and otherwise is not None:
        return otherwise
    if not text.isdecimal() or not text.isascii():
        raise InputError(f"{name} in the environment is {text!r}, expected a whole number, as torchrun sets it")
    return int(text)


class Group:
    """The processes that train together, seen from one of them; one process alone is a group, too.

    Attributes:
        rank: number of this process, from 0.
        size: how many there are.
    """

    def __init__(self) -> None:
        there = dist.is_available() and dist.is_initialized()
        self.rank, self.size = (dist.get_rank(), dist.get_world_size()) if there else (0, 1)

    @property
    def leads(self) -> bool:
        """Whether this one writes."""
        return self.rank == 0

    def check(self, model: nn.Module, batch_size: int) -> None:
        """See that a training can be shared out.

        Raises:
            InputError: less rows than processes, or a layer whose rows depend on each other.
        """
        if self.size == 1:
            return
        if batch_size < self.size:
            raise InputError(f"a batch of {batch_size} scenes for {self.size} processes; expected one each or more")
        if any(isinstance(part, nn.modules.batchnorm._BatchNorm) for part in model.modules()):
            raise InputError(
                f"this model has batch norms, whose statistics are those of a whole batch, and {self.size} processes"
                " would have one each; expected one process"
            )

    def share_rows(self, work: RowWork, *inputs: Tensor) -> tuple[Tensor, ...]:
        """See :class:`tas_core.models.row_sharing.RowSharing`; rows of others get no gradient here, the own R times.

        Raises:
            TasError: another process is lost.
        """
        sizes = [len(part) for part in torch.arange(len(inputs[0])).tensor_split(self.size)]
        first = sum(sizes[: self.rank])
        own = slice(first, first + sizes[self.rank])
        found = work(*(x[own] for x in inputs))
        return tuple(_AllRows.apply(x, sizes, self.rank) for x in found)

    def mean_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Replace the gradients by their mean over the processes; what has none has none in any of them.

        Raises:
            TasError: another process is lost.
        """
        found = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if self.size == 1 or not found:
            return
        flat = torch.cat([gradient.reshape(-1) for gradient in found])
        with _together():
            dist.all_reduce(flat)
        flat /= self.size
        for gradient, mean in zip(found, flat.split([g.numel() for g in found]), strict=True):
            gradient.copy_(mean.view_as(gradient))

    def led(self, value: float) -> float:
        """A number as the first process has it, such as what its clock says.

        Raises:
            TasError: another process is lost.
        """
        if self.size == 1:
            return value
        told = torch.tensor([value], dtype=torch.float64)
        with _together():
            dist.broadcast(told, 0)
        return float(told)

    def decided(self, due: Sequence[bool], asked: int | None) -> tuple[list[bool], int | None]:
        """What is due now, as the first process says, and the signal that any of them was asked to stop by.

        Raises:
            TasError: another process is lost.
        """
        if self.size == 1:
            return list(due), asked
        told = torch.tensor([*(self.leads and each for each in due), asked or 0], dtype=torch.int64)
        with _together():
            dist.all_reduce(told, dist.ReduceOp.MAX)
        *found, number = told.tolist()
        return [bool(each) for each in found], number or None

    def wait(self) -> None:
        """Wait for all of them.

        Raises:
            TasError: another process is lost.
        """
        self.led(0.0)
        self.decided((), None)

    def check_alike(self, model: nn.Module, step: int) -> None:
        """See that all processes are at one step with the same weights.

        Raises:
            TasError: they are not, as where they read different folders.
        """
        if self.size == 1:
            return
        total = sum(float(p.detach().double().abs().sum()) for p in model.parameters())
        mine = torch.tensor([step, total], dtype=torch.float64)
        all_of_them = [torch.empty_like(mine) for _ in range(self.size)]
        with _together():
            dist.all_gather(all_of_them, mine)
        for rank, other in enumerate(all_of_them):
            if not torch.equal(other, all_of_them[0]):
                raise TasError(
                    f"process {rank} is at step {int(other[0])} and process 0 at step {int(all_of_them[0][0])}, with"
                    " other weights; expected one run folder that all of them see, and devices of one kind"
                )


class _AllRows(torch.autograd.Function):
    """The rows of all processes, of which each has some."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, sizes: list[int], rank: int) -> Tensor:
        ctx.rank, ctx.sizes = rank, sizes
        sent = own.detach().contiguous()
        kind = sent.dtype
        sent = sent.view(torch.uint8) if kind is torch.bool else sent
        short = max(sizes) - len(sent)
        if short:  # what is sent has one shape
            sent = torch.cat([sent, sent.new_zeros(short, *sent.shape[1:])])
        found = [torch.empty_like(sent) for _ in sizes]
        with _together():
            dist.all_gather(found, sent)
        whole = torch.cat([part[:size] for part, size in zip(found, sizes, strict=True)])
        return whole.view(torch.bool) if kind is torch.bool else whole

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        first = sum(ctx.sizes[: ctx.rank])
        return len(ctx.sizes) * gradients[0][first : first + ctx.sizes[ctx.rank]], None, None


@contextlib.contextmanager
def _together() -> Iterator[None]:
    """What is done by all at once; it fails where one is lost."""
    try:
        yield
    except RuntimeError as error:
        raise TasError(_LOST) from error
