"""Time moving particles along grad s in JAX (jit, CPU): python simulate_jax.py DIM WIDTH PARTICLES STEPS

Three hidden layers, swish, the classical Runge-Kutta scheme. Prints one JSON line.
"""
import json
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np

dim, width, particles, steps = map(int, sys.argv[1:5])
sizes = [dim + 1, width, width, width, 1]
keys = jax.random.split(jax.random.PRNGKey(0), 5)
params = [
    (jax.random.normal(k, (i, o)) / np.sqrt(i), jnp.zeros(o))
    for k, i, o in zip(keys, sizes[:-1], sizes[1:])
]


def s(t, x):
    h = jnp.concatenate([x, jnp.full((x.shape[0], 1), 2 * t - 1)], -1)
    for w, b in params[:-1]:
        h = jax.nn.swish(h @ w + b)
    w, b = params[-1]
    return (h @ w + b).sum()


v = jax.grad(s, argnums=1)


@jax.jit
def push(x):
    h = 1 / steps

    def step(i, x):
        t = i * h
        k1 = v(t, x)
        k2 = v(t + h / 2, x + h / 2 * k1)
        k3 = v(t + h / 2, x + h / 2 * k2)
        k4 = v(t + h, x + h * k3)
        return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    return jax.lax.fori_loop(0, steps, step, x)


x = jax.random.normal(keys[4], (particles, dim))
push(x).block_until_ready()
start = time.perf_counter()
push(x).block_until_ready()
seconds = time.perf_counter() - start
print(json.dumps({"peer": "jax", "dim": dim, "width": width, "particles": particles, "steps": steps, "seconds": round(seconds, 3)}))
