# %% [markdown]
# # Cells that differentiate
#
# Six snapshots of a population that splits in two, one of them held out.

# %%
import sys

import actum

steps = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1].isdigit() else 1500
cells = actum.gallery.branching(n=300)
run = actum.fit(cells, hold_out=20, steps=steps, set={"fit.batch": 256, "network.width": 64})
print(run)

# %% [markdown]
# The prediction at 20 hours, beside what needs no fit.

# %%
print(run.score())

# %% [markdown]
# Any point moves, forward and backward.

# %%
first = cells.X[cells.t == 0]
later = run.simulate(first, [10, 20, 48])
print(later.shape, actum.metric.w1(later[-1], cells.X[cells.t == 48]))

# %%
if "draw" in sys.argv:
    run.plot.streamlines().figure.savefig("streamlines.png")
