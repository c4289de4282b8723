"""Entries of the sandboxed process that trains as one of several: connect, then train."""

import json
import os
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import PrefixStore, TCPStore

from model_discovery.sandbox import Channel
from model_discovery.verification import child
from model_discovery.verification.group import BUCKET, Group
from model_discovery.verification.orders import GroupOrder

CONNECTING = timedelta(minutes=2)
PATIENCE = timedelta(minutes=30)  # with a process that neither answers nor ends


def connect(request: dict[str, Any], _channel: Channel) -> None:
    """Join the group of a ``GroupOrder``, and open every connection that training will use.

    Runs before the design's code, which finds the doors closed: see `Sandbox.call`.
    """
    told = GroupOrder.model_validate(request["group"])
    os.environ.update(told.settings)
    device = torch.device(told.device)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    store = TCPStore(told.address, told.port, is_master=False, timeout=CONNECTING)
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        store=PrefixStore(told.name, store),
        rank=told.rank,
        world_size=told.size,
        timeout=CONNECTING,
    )
    for numbers in (1, BUCKET) if device.type == "cuda" else (1,):  # NCCL connects for each size of message
        dist.all_reduce(torch.ones(numbers, device=device))
    dist.broadcast(torch.ones(1, device=device), 0)
    dist.distributed_c10d._set_pg_timeout(PATIENCE)


def train(request: dict[str, Any], channel: Channel) -> dict[str, Any]:
    """Train a design in step with the others; otherwise as `child.train`."""
    told = GroupOrder.model_validate(request["group"])
    group = Group(told.rank, told.size, torch.device(told.device))
    order = request["order"]
    group.same("request, data or version of this package", json.dumps([order["identity"], told.version]))
    return child.train(order, channel, group)
