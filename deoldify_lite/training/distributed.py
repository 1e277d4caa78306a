"""Several processes that train as one: `accelerate launch` or `torchrun` starts them.

Every process has the whole networks and an equal part of each batch; gradients are averaged before each step. fastai's
own distributed training wraps the model in DistributedDataParallel, which knows one network and one optimiser and needs
CUDA; the GAN phase has two of each.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from fastai.callback.core import Callback
from torch import Tensor

TIMEOUT = timedelta(hours=6)  # the main process packs photos and colorizes for the critic while the others wait


def start(device: torch.device) -> None:
    "Join the other processes, where this one was launched with any."
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=TIMEOUT)


def world_size() -> int:
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    return dist.get_rank() if dist.is_initialized() else 0


def is_main() -> bool:
    "Whether this process is the one that writes files and records."
    return rank() == 0


def local_device(name: str) -> str:
    "`name`, or for `auto` and `cuda` the GPU of this process among those of its machine."
    if name in ("auto", "cuda") and "LOCAL_RANK" in os.environ and torch.cuda.is_available():
        return f"cuda:{os.environ['LOCAL_RANK']}"
    return name


def barrier() -> None:
    if dist.is_initialized():
        dist.barrier()


@contextmanager
def main_first() -> Iterator[None]:
    "The main process does the block, then the others do, who find its files."
    if not is_main():
        dist.barrier()
    yield
    if is_main():
        barrier()


def mean(value: float, device: torch.device) -> float:
    "The mean of all processes' values."
    if world_size() == 1:
        return value
    total = torch.tensor(value, dtype=torch.float64, device=device if device.type == "cuda" else "cpu")
    dist.all_reduce(total)
    return float(total) / world_size()


def own_part(batch: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    "This process's part of a batch for all of them: every n-th item, so that any halves of a batch stay halves."
    return batch if world_size() == 1 else tuple(x[rank() :: world_size()] for x in batch)


def average_(tensors: Iterable[Tensor]) -> None:
    "Replace each tensor by the mean of all processes' tensors."
    tensors = list(tensors)
    if world_size() == 1 or not tensors:
        return
    flat = torch.cat([t.detach().flatten().float() for t in tensors])
    dist.all_reduce(flat)
    for tensor, part in zip(tensors, (flat / world_size()).split([t.numel() for t in tensors])):
        tensor.detach().copy_(part.view_as(tensor))


class Synchronize(Callback):
    "Averages gradients before each step and BatchNorm's statistics after it: all processes keep the same weights."

    order = 5  # before the gradient is clipped
    run_valid = False

    def before_step(self):
        average_(p.grad for p in self.learn.model.parameters() if p.grad is not None)

    def after_step(self):
        average_(buffer for buffer in self.learn.model.buffers() if buffer.is_floating_point())
