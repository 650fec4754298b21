"""Which device computes."""

import torch

from registry.errors import UsageError


def choose(asked: str | None) -> str:
    """Return the device to compute on.

    Args:
        asked: cpu, cuda, cuda:1, ...; None is a GPU if there is one.

    Raises:
        UsageError: when a device is asked for that is not there, or no device of torch.
    """
    if asked is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(asked)
    except RuntimeError:
        raise UsageError(f"{asked!r} is no device; use cpu, cuda or cuda:1.") from None
    if device.type == "cuda":
        there = torch.cuda.device_count()
        if not there:
            raise UsageError("A GPU was asked for, and torch finds none; use --device cpu.")
        if (device.index or 0) >= there:
            raise UsageError(f"There is no {asked}: torch finds {there} GPU(s), from cuda:0.")
    elif device.type != "cpu":
        raise UsageError(f"Training runs on cpu or cuda, not on {device.type}.")
    return str(device)


def describe(device: str) -> str:
    """Return the device's name, such as NVIDIA H100; cpu with the number of threads."""
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    return f"cpu ({torch.get_num_threads()} threads)"
