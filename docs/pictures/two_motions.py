"""Makes two-motions.png: a population that turns as it travels, and what its snapshots say."""

import matplotlib.pyplot as plt
import numpy as np

import actum

TIMES = np.linspace(0, 1, 41)
SEEN = [0.0, 0.5, 1.0]


def moved(start, t):
    """Points `start` [n, 2] after the time t: half a turn about a centre that goes right."""
    c, s = np.cos(np.pi * t), np.sin(np.pi * t)
    return start @ np.array([[c, s], [-s, c]]) + [4 * t, 0]


rng = np.random.default_rng(0)
snapshots = [moved(0.6 * rng.standard_normal((600, 2)), t) for t in SEEN]
X, t = np.concatenate(snapshots), np.repeat(SEEN, 600)
run = actum.fit((X, t), steps=1500, seed=0)
start = snapshots[0][:24]
learned = np.asarray(run.simulate(start, start=0, times=list(TIMES[1:])))
paths = {
    "how it moved: half a turn on the way": np.stack([moved(start, t) for t in TIMES]),
    "what the snapshots say: the least motion that has them": np.concatenate(
        [start[None], learned]
    ),
}
figure, axes = plt.subplots(2, 1, figsize=(7, 5.4), sharex=True, sharey=True)
for ax, (title, path) in zip(axes, paths.items()):
    for time, points, colour in zip(SEEN, snapshots, ["#4477aa", "#ccbb44", "#ee6677"]):
        ax.scatter(*points.T, s=4, color=colour, alpha=0.35, linewidths=0, label=f"t = {time:g}")
    ax.plot(path[:, :, 0], path[:, :, 1], color="#333333", linewidth=0.7)
    ax.set_title(title, loc="left", fontsize=10)
    ax.set_aspect("equal")
    ax.set_xlim(-2, 6)
    ax.set_ylim(-1.9, 1.9)
axes[0].legend(loc="upper center", ncols=3, frameon=False, fontsize=8, markerscale=3)
figure.tight_layout()
figure.savefig("two-motions.png", dpi=140)
end = np.linalg.norm(path[-1] - moved(start, 1), axis=1)
print(f"points end {np.median(end):.2f} from where they were, in the median")
