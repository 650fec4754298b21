"""Choice and names of the torch device."""

import torch

from registry.errors import UsageError


def choose(name: str | None) -> str:
    """Return the device to compute on.

    Args:
        name: cpu, cuda, cuda:1, ...; None is a GPU if there is one.

    Raises:
        UsageError: for an unknown device, or one that this machine does not have.
    """
    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"{name!r} is no device; use cpu, cuda or cuda:1.") from None
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if not count:
            raise UsageError("A GPU was asked for, and torch finds none; use --device cpu.")
        if (device.index or 0) >= count:
            raise UsageError(f"There is no {name}: torch finds {count} GPU(s), from cuda:0.")
    elif device.type != "cpu":
        raise UsageError(f"Training runs on cpu or cuda, not on {device.type}.")
    return str(device)


def describe(device: str) -> str:
    """Return a device's description, such as NVIDIA H100 or cpu (2 threads)."""
    if device.startswith("cuda"):
        return str(torch.cuda.get_device_name(device))
    return f"cpu ({torch.get_num_threads()} threads)"
