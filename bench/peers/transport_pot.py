"""Time exact transport in POT: python transport_pot.py N M DIM

Two standard-normal clouds, the second shifted by 1 in every column. Prints one JSON line; the distance matrix is part of the
time, as it is of ours.
"""
import json
import sys
import time

import numpy as np
import ot

n, m, dim = map(int, sys.argv[1:4])
rng = np.random.default_rng(0)
a, b = rng.standard_normal((n, dim)), rng.standard_normal((m, dim)) + 1
out = {"peer": "pot", "n": n, "m": m, "d": dim}
for name, metric in (("w1", "euclidean"), ("w2", "sqeuclidean")):
    start = time.perf_counter()
    ot.emd2(np.full(n, 1 / n), np.full(m, 1 / m), ot.dist(a, b, metric), numItermax=10**7)
    out[name + "_seconds"] = round(time.perf_counter() - start, 3)
print(json.dumps(out))
