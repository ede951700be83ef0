"""Time transport in POT: python transport_pot.py N M DIM [KIND], with KIND one of exact (the default), entropic, unbalanced, sliced.

Two standard-normal clouds, the second shifted by 1 in every column. Prints one JSON line; the distance matrix is part of the
time, as it is of ours. Epsilon is 0.05 of the mean squared distance, rho that distance, and there are 1000 projections.

POT's iterations are those on the kernel, its fastest, and stop at 1e-9 by its own measure, looked at every 10 iterations:
for entropic transport the 2-norm of what the column sums are off, looser than our sum of absolute values; for unbalanced
transport the relative change of the scalings.
"""
import json
import sys
import time

import numpy as np
import ot

n, m, dim = map(int, sys.argv[1:4])
kind = sys.argv[4] if len(sys.argv) > 4 else "exact"
rng = np.random.default_rng(0)
a, b = rng.standard_normal((n, dim)), rng.standard_normal((m, dim)) + 1
p, q = np.full(n, 1 / n), np.full(m, 1 / m)
mean = 3 * dim
epsilon = 0.05 * mean


def w1():
    return ot.emd2(p, q, ot.dist(a, b, "euclidean"), numItermax=10**8)


def w2():
    return ot.emd2(p, q, ot.dist(a, b), numItermax=10**8) ** 0.5


def entropic():
    cost = ot.dist(a, b)
    return (ot.sinkhorn(p, q, cost, epsilon, stopThr=1e-9, numItermax=10**5) * cost).sum()


def unbalanced():
    cost = ot.dist(a, b)
    plan = ot.unbalanced.sinkhorn_unbalanced(p, q, cost, epsilon, mean, reg_type="kl", stopThr=1e-9, numItermax=10**5)
    return (plan * cost).sum() / plan.sum()


def sliced():
    return ot.sliced_wasserstein_distance(a, b, n_projections=1000, seed=0)


out = {"peer": "pot", "n": n, "m": m, "d": dim, "kind": kind}
for run in {"exact": (w1, w2), "entropic": (entropic,), "unbalanced": (unbalanced,), "sliced": (sliced,)}[kind]:
    start = time.perf_counter()
    out[run.__name__] = float(run())
    out[run.__name__ + "_seconds"] = round(time.perf_counter() - start, 3)
print(json.dumps(out))
