"""Time moving particles along grad s with torchdiffeq (eager, CPU): python simulate_torchdiffeq.py DIM WIDTH PARTICLES STEPS

Three hidden layers, SiLU, torchdiffeq's fourth-order Runge-Kutta scheme at fixed steps. Prints one JSON line.
"""
import json
import os
import sys
import time

import torch
from torch import nn
from torchdiffeq import odeint

torch.set_num_threads(os.cpu_count())
dim, width, particles, steps = map(int, sys.argv[1:5])
net = nn.Sequential(
    nn.Linear(dim + 1, width), nn.SiLU(),
    nn.Linear(width, width), nn.SiLU(),
    nn.Linear(width, width), nn.SiLU(),
    nn.Linear(width, 1),
)
for parameter in net.parameters():
    parameter.requires_grad_(False)


def velocity(t, x):
    with torch.enable_grad():
        x = x.detach().requires_grad_(True)
        s = net(torch.cat([x, (2 * t - 1).expand(len(x), 1)], 1)).sum()
        return torch.autograd.grad(s, x)[0]


def push(x):
    return odeint(velocity, x, torch.tensor([0.0, 1.0]), method="rk4", options={"step_size": 1 / steps})[1]


x = torch.randn(particles, dim)
push(x)
start = time.perf_counter()
push(x)
seconds = time.perf_counter() - start
print(json.dumps({"peer": "torchdiffeq", "dim": dim, "width": width, "particles": particles, "steps": steps, "seconds": round(seconds, 3)}))
