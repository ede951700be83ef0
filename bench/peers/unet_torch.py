"""Time one Action Matching training step of a U-Net in PyTorch (eager, double backward):
python unet_torch.py CHANNELS LEVELS SIZE BATCH [SECONDS]
on the device of the variable DEVICE, or else the CPU.

The network and the objective of crates/actum/examples/unet_step.rs. Prints one JSON line.
"""
import json
import math
import os
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

torch.set_default_device(os.environ.get("DEVICE", "cpu"))
torch.set_num_threads(int(os.environ.get("THREADS", os.cpu_count())))
channels, levels, size, batch = map(int, sys.argv[1:5])
seconds = float(sys.argv[5]) if len(sys.argv) > 5 else 5.0


def norm(c):
    return nn.GroupNorm(c // 4, c)


class Block(nn.Module):
    def __init__(self, inputs, outputs, time):
        super().__init__()
        self.before, self.first = norm(inputs), nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time = nn.Linear(time, outputs)
        self.between, self.second = norm(outputs), nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x, time):
        h = self.first(F.silu(self.before(x))) + self.time(time)[:, :, None, None]
        return self.shortcut(x) + self.second(F.silu(self.between(h)))


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.norm, self.qkv, self.out = norm(c), nn.Linear(c, 3 * c), nn.Linear(c, c)

    def forward(self, x):
        n, c, h, w = x.shape
        pixels = self.norm(x).reshape(n, c, h * w).transpose(1, 2)
        q, k, v = self.qkv(pixels).chunk(3, 2)
        seen = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(c), 2) @ v
        return x + self.out(seen).transpose(1, 2).reshape(n, c, h, w)


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        time = 4 * channels
        width = [channels] + [2 * channels] * (levels - 1)
        self.register_buffer("frequencies", 32 ** (torch.arange(8) / 7))
        self.clock = nn.Sequential(nn.Linear(16, time), nn.SiLU(), nn.Linear(time, time), nn.SiLU())
        self.first = nn.Conv2d(1, channels, 3, padding=1)
        pairs = list(zip([channels] + width, width))
        self.down = nn.ModuleList(Block(i, o, time) for i, o in pairs)
        c = width[-1]
        self.before, self.attention, self.after = Block(c, c, time), Attention(c), Block(c, c, time)
        up, inputs = [], c
        for w in reversed(width):
            up.append(Block(inputs + w, w, time))
            inputs = w
        self.up = nn.ModuleList(up)
        self.norm, self.last = norm(channels), nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, t, x):
        phase = t * self.frequencies
        time = self.clock(torch.cat([phase.sin(), phase.cos()], 1))
        h, skips = self.first(x), []
        for level, block in enumerate(self.down):
            h = block(F.avg_pool2d(h, 2) if level else h, time)
            skips.append(h)
        h = self.after(self.attention(self.before(h, time)), time)
        for level, block in enumerate(self.up):
            h = F.interpolate(h, scale_factor=2) if level else h
            h = block(torch.cat([h, skips.pop()], 1), time)
        return (self.last(F.silu(self.norm(h))) * x).sum((1, 2, 3))


net = UNet()
optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)


def step():
    t = torch.rand(batch, 1)
    image, noise = torch.rand(batch, 1, size, size) * 2 - 1, torch.randn(batch, 1, size, size)
    velocity = noise - image
    x = (image + t[:, :, None, None] * velocity).requires_grad_(True)
    (p,) = torch.autograd.grad(net(t, x).sum(), x, create_graph=True)
    loss = (0.5 * p**2 - velocity * p).sum((1, 2, 3)).mean()
    optimiser.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimiser.step()


def finish():
    if torch.cuda.is_available():
        torch.cuda.synchronize()


for _ in range(2):
    step()
finish()
took, start = [], time.perf_counter()
while time.perf_counter() - start < seconds or len(took) < 4:
    before = time.perf_counter()
    step()
    finish()
    took.append(time.perf_counter() - before)
print(json.dumps({"peer": "torch", "channels": channels, "levels": levels, "size": size, "batch": batch,
                  "ms_per_step": round(sum(took) / len(took) * 1e3, 1), "best_ms": round(min(took) * 1e3, 1)}))
