"""How the cost of a training step grows: python bench/growth.py [--rounds N] [-o growth.png]

Prints milliseconds a step over dimensions, width, batch and threads, each alone, the others as in `actum fit`'s defaults, and
draws them on logarithmic axes with matplotlib, if that is there.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess

root = pathlib.Path(__file__).resolve().parent.parent
parser = argparse.ArgumentParser()
parser.add_argument("-o", default="growth.png", help="where to draw")
parser.add_argument("--rounds", type=int, default=3)
options = parser.parse_args()

base = {"columns": 5, "width": 128, "batch": 512, "threads": os.cpu_count()}
sweeps = {
    "columns": [2, 5, 10, 20, 50, 100, 200],
    "width": [32, 64, 128, 256, 512],
    "batch": [64, 128, 256, 512, 1024, 2048],
    "threads": [n for n in (1, 2, 4, 8, 16, 32) if n <= os.cpu_count()],
}


def step(columns, width, batch, threads):
    command = [root / "target/release/examples/step", str(columns), str(width), str(batch), "1"]
    environment = {**os.environ, "RAYON_NUM_THREADS": str(threads)}
    line = subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout
    return json.loads(line)["ms_per_step"]


subprocess.run(["cargo", "build", "--release", "-q", "--workspace", "--examples"], cwd=root, check=True)
found = {}
for name, values in sweeps.items():
    rounds = [[step(**{**base, name: value}) for value in values] for _ in range(options.rounds)]
    found[name] = [statistics.median(times) for times in zip(*rounds)]
    print(f"{name:8}" + "".join(f"{value:>9}" for value in values))
    print(f"{'ms':8}" + "".join(f"{ms:9.2f}" for ms in found[name]), flush=True)

try:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
except ImportError:
    raise SystemExit("no picture: matplotlib is not installed")
figure, axes = plt.subplots(1, len(sweeps), figsize=(12, 3), sharey=True, layout="constrained")
for axis, (name, values) in zip(axes, sweeps.items()):
    axis.loglog(values, found[name], "o-", color="#4059ad")
    axis.set_xticks(values, [str(v) for v in values], rotation=60)
    axis.minorticks_off()
    axis.set_xlabel(name)
    axis.grid(alpha=0.3)
axes[0].set_ylabel("ms a step")
figure.savefig(options.o, dpi=110)
print(f"drawn: {options.o}")
