# %% [markdown]
# # The Fokker-Planck equation
#
# Points that diffuse and drift: their density follows the Fokker-Planck equation, and a motion
# without noise carries the same densities. The gallery knows its velocity.

# %%
import sys

import numpy as np

import actum

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
print(actum.gallery.about("fokker-planck"))
points = actum.gallery.snapshots("fokker-planck", n=500)
assert points.velocity is not None
run = actum.fit(points, steps=steps, set={"fit.batch": 256, "network.width": 64})

# %% [markdown]
# The learned velocity beside the true one, at every time; points that stand still err by 100 %.

# %%
for t in np.unique(points.t):
    at = points.t == t
    true = points.velocity[at]
    error = np.sqrt(((run.velocity(points.X[at], t) - true) ** 2).sum() / (true**2).sum())
    print(f"t = {t:.2f}: {error:.0%}")
