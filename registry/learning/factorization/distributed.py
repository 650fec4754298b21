"""Several processes that train one model, each on a share of the items (torchrun).

Alone, every function is the identity, so the algorithms are written once.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import Tensor, distributed

PATIENCE = timedelta(minutes=10)
"""How long a process waits for the others before it gives up."""


@contextmanager
def joined(device: str) -> Iterator[None]:
    """Join the processes that torchrun started, if it did; leave them in the end.

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
    """Return how many processes there are."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def share(items: int) -> slice:
    """Return this process's share of so many items."""
    return slice(items * rank() // size(), items * (rank() + 1) // size())


def wait() -> None:
    """Wait for the other processes."""
    if size() > 1:
        distributed.barrier()


def total(tensor: Tensor) -> Tensor:
    """Return the sum over the processes of a tensor of one shape; the tensor itself is used up."""
    if size() > 1:
        distributed.all_reduce(tensor)
    return tensor


def gathered(tensor: Tensor, items: int) -> Tensor:
    """Return all processes' shares of a tensor, whose first dimension is items, as one."""
    if size() == 1:
        return tensor
    whole = torch.zeros((items, *tensor.shape[1:]), dtype=tensor.dtype, device=tensor.device)
    whole[share(items)] = tensor
    return total(whole)
