"""Time one Action Matching training step of a U-Net in JAX (jit, f32, CPU): python unet_jax.py CHANNELS LEVELS SIZE BATCH [SECONDS]

The network and the objective of crates/actum/examples/unet_step.rs and unet_torch.py. Prints one JSON line.
"""
import json
import math
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

channels, levels, size, batch = map(int, sys.argv[1:5])
seconds = float(sys.argv[5]) if len(sys.argv) > 5 else 5.0
generator = np.random.default_rng(0)
width = [channels if level == 0 else 2 * channels for level in range(levels)]
clock = 4 * channels


def dense(inputs, outputs):
    return {"w": generator.normal(size=(inputs, outputs)) / math.sqrt(inputs), "b": np.zeros(outputs)}


def conv(inputs, outputs):
    return {"w": generator.normal(size=(3, 3, inputs, outputs)) / math.sqrt(9 * inputs), "b": np.zeros(outputs)}


def norm(c):
    return {"scale": np.ones(c), "bias": np.zeros(c)}


def block(inputs, outputs):
    made = {"before": norm(inputs), "first": conv(inputs, outputs), "time": dense(clock, outputs),
            "between": norm(outputs), "second": conv(outputs, outputs)}
    return made | ({"shortcut": dense(inputs, outputs)} if inputs != outputs else {})


def build():
    net = {"clock": [dense(16, clock), dense(clock, clock)], "first": conv(1, channels)}
    inputs, net["down"] = channels, []
    for c in width:
        net["down"].append(block(inputs, c))
        inputs = c
    net |= {"before": block(inputs, inputs), "after": block(inputs, inputs), "norm": norm(channels), "last": conv(channels, 1)}
    net["attention"] = {"norm": norm(inputs), "q": dense(inputs, inputs), "k": dense(inputs, inputs),
                        "v": dense(inputs, inputs), "out": dense(inputs, inputs)}
    net["up"] = []
    for c in reversed(width):
        net["up"].append(block(inputs + c, c))
        inputs = c
    return jax.tree.map(lambda a: jnp.asarray(a, jnp.float32), net)


def linear(p, x):
    return x @ p["w"] + p["b"]


def convolve(p, x):
    return jax.lax.conv_general_dilated(x, p["w"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")) + p["b"]


def normalise(p, x):
    n, h, w, c = x.shape
    groups = x.reshape(n, h * w, c // 4, 4)
    mean = groups.mean((1, 3), keepdims=True)
    off = groups - mean
    root = jax.lax.rsqrt((off**2).mean((1, 3), keepdims=True) + 1e-5)
    return (off * root).reshape(n, h, w, c) * p["scale"] + p["bias"]


def residual(p, x, t):
    h = convolve(p["first"], jax.nn.silu(normalise(p["before"], x))) + linear(p["time"], t)[:, None, None]
    h = convolve(p["second"], jax.nn.silu(normalise(p["between"], h)))
    return (linear(p["shortcut"], x) if "shortcut" in p else x) + h


def attend(p, x):
    n, h, w, c = x.shape
    pixels = normalise(p["norm"], x).reshape(n, h * w, c)
    q, k, v = (linear(p[name], pixels) for name in "qkv")
    seen = jax.nn.softmax(q @ k.swapaxes(1, 2) / math.sqrt(c)) @ v
    return x + linear(p["out"], seen).reshape(n, h, w, c)


frequencies = 32.0 ** (jnp.arange(8) / 7)


def action(net, t, x):
    phase = t[:, None] * frequencies
    clocked = jnp.concatenate([jnp.sin(phase), jnp.cos(phase)], 1)
    for layer in net["clock"]:
        clocked = jax.nn.silu(linear(layer, clocked))
    h, skips = convolve(net["first"], x), []
    for level, p in enumerate(net["down"]):
        if level:
            n, a, b, c = h.shape
            h = h.reshape(n, a // 2, 2, b // 2, 2, c).mean((2, 4))
        h = residual(p, h, clocked)
        skips.append(h)
    h = residual(net["after"], attend(net["attention"], residual(net["before"], h, clocked)), clocked)
    for level, p in enumerate(net["up"]):
        if level:
            h = h.repeat(2, 1).repeat(2, 2)
        h = residual(p, jnp.concatenate([h, skips.pop()], 3), clocked)
    return (convolve(net["last"], jax.nn.silu(normalise(net["norm"], h))) * x).sum((1, 2, 3))


def objective(net, key):
    a, b, c = jax.random.split(key, 3)
    t = jax.random.uniform(a, (batch,))
    image = jax.random.uniform(b, (batch, size, size, 1)) * 2 - 1
    velocity = jax.random.normal(c, image.shape) - image
    x = image + t[:, None, None, None] * velocity
    p = jax.grad(lambda x: action(net, t, x).sum())(x)
    return (0.5 * p**2 - velocity * p).sum((1, 2, 3)).mean()


@jax.jit
def step(net, first, second, k, key):
    key, use = jax.random.split(key)
    gradient = jax.grad(objective)(net, use)
    total = jnp.sqrt(sum((g**2).sum() for g in jax.tree.leaves(gradient)))
    gradient = jax.tree.map(lambda g: g * jnp.minimum(1.0, 1.0 / total), gradient)
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradient)
    second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradient)
    move = lambda p, m, v: p - 1e-3 * (m / (1 - 0.9**k)) / (jnp.sqrt(v / (1 - 0.999**k)) + 1e-8)
    return jax.tree.map(move, net, first, second), first, second, k + 1, key


net = build()
zeros = jax.tree.map(jnp.zeros_like, net)
state = (net, zeros, zeros, jnp.float32(1), jax.random.PRNGKey(0))
for _ in range(2):
    state = jax.block_until_ready(step(*state))
took, start = [], time.perf_counter()
while time.perf_counter() - start < seconds or len(took) < 4:
    before = time.perf_counter()
    state = jax.block_until_ready(step(*state))
    took.append(time.perf_counter() - before)
print(json.dumps({"peer": "jax", "channels": channels, "levels": levels, "size": size, "batch": batch,
                  "ms_per_step": round(sum(took) / len(took) * 1e3, 1), "best_ms": round(min(took) * 1e3, 1)}))
