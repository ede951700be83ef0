# %% [markdown]
# # A path of your own
#
# Five modes that travel together: the density is complicated, the field is the constant 5.

# %%
import sys

import numpy as np
import numpy.typing as npt

import actum

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 600
Array = npt.NDArray[np.float64]


def sample(times: Array, rng: np.random.Generator) -> Array:
    modes = rng.integers(5, size=len(times))
    x: Array = (modes + 0.2 * rng.random(len(times)) + 5 * times)[:, None]
    return x


# %%
settings = {"fit.learning_rate": 5e-3, "fit.ema_decay": 0.99, "network.width": 32}
motion = actum.fit_path(sample, dim=1, steps=steps, set=settings)
print("velocity at three points, 5 in truth:", motion.velocity([[3.0], [4.5], [6.0]], 0.5).ravel())

# %% [markdown]
# With the velocity of the points the objective has far less variance.

# %%
known = actum.fit_path(sample, lambda t, x: np.full_like(x, 5), dim=1, steps=steps, set=settings)
print("with velocities:", known.velocity([[3.0], [4.5], [6.0]], 0.5).ravel())
