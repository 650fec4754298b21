"""Data-parallel training over the items, by processes that torchrun started.

In a single process every function is the identity, so each algorithm is written once.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import Tensor, distributed

PATIENCE = timedelta(minutes=10)
"""Time that a process waits for the others before it fails."""


@contextmanager
def joined(device: str) -> Iterator[None]:
    """Join the process group of torchrun, if it started this process; leave it at the end.

    Args:
        device: gloo connects CPUs, NCCL GPUs.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ or distributed.is_initialized():
        yield
        return
    backend = "nccl" if device.startswith("cuda") else "gloo"
    distributed.init_process_group(backend, timeout=PATIENCE)
    try:
        yield
    finally:
        distributed.destroy_process_group()


def rank() -> int:
    """Return the number of this process, from 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def size() -> int:
    """Return the number of processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def share(items: int) -> slice:
    """Return this process's share of a number of items."""
    return slice(items * rank() // size(), items * (rank() + 1) // size())


def wait() -> None:
    """Wait for the other processes."""
    if size() > 1:
        distributed.barrier()


def total(tensor: Tensor) -> Tensor:
    """Sum a tensor, of one shape in all processes, over them in place, and return it."""
    if size() > 1:
        distributed.all_reduce(tensor)
    return tensor


def gathered(tensor: Tensor, items: int) -> Tensor:
    """Return the concatenation of all processes' shares of a tensor, whose first axis is items."""
    if size() == 1:
        return tensor
    full = torch.zeros((items, *tensor.shape[1:]), dtype=tensor.dtype, device=tensor.device)
    full[share(items)] = tensor
    return total(full)
