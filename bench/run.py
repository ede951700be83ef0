"""Runs ours and the peers in turns and prints one table: python bench/run.py [--rounds N] [--python PATH] [--quick]

PATH is an interpreter with bench/requirements.txt installed (and torch, if PyTorch is to be in the table). A peer that cannot
be run is named and left out. Times are medians; a ratio is the median over rounds of peer / ours, each round running one after the other.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent
parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--python", default=sys.executable)
parser.add_argument("--quick", action="store_true", help="small sizes only")
options = parser.parse_args()

step_sizes = [(2, 256, 512)] if options.quick else [(2, 256, 512), (5, 512, 1024), (100, 512, 1024)]
transport_sizes = [(1000, 1000, 5)] if options.quick else [(1000, 1000, 5), (4165, 3278, 20)]
simulate_sizes = [(5, 128, 4000, 50)] if options.quick else [(5, 128, 4000, 50), (20, 256, 4000, 50)]


def ours(example, *arguments):
    return [str(root / "target/release/examples" / example), *map(str, arguments)]


def peer(script, *arguments):
    return [options.python, str(root / "bench/peers" / script), *map(str, arguments)]


def run(command, key):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])[key]


rows = []
for dim, width, batch in step_sizes:
    for name, script in (("jax", "step_jax.py"), ("torch", "step_torch.py")):
        a = (dim, width, batch, 3)
        rows.append((f"step {dim} x {width} x {batch}, ms", name, ours("step", *a), peer(script, *a), "ms_per_step"))
for dim, width, particles, steps in simulate_sizes:
    a = (dim, width, particles, steps)
    rows.append((f"RK4 {particles} x {dim}, width {width}, {steps} steps, s", "jax", ours("simulate", *a), peer("simulate_jax.py", *a), "seconds"))
for n, m, d in transport_sizes:
    for key in ("w1_seconds", "w2_seconds"):
        rows.append((f"exact {key[:2].upper()} {n} x {m} x {d}, s", "pot", ours("transport", n, m, d), peer("transport_pot.py", n, m, d), key))

subprocess.run(
    ["cargo", "build", "--release", "-q", "-p", "actum", "--example", "step", "--example", "simulate", "--example", "transport"],
    cwd=root,
    check=True,
)
print(f"{'':44} {'ours':>9} {'peer':>9}  {'':6} {'peer / ours':>11}")
for label, name, a, b, key in rows:
    pairs = []
    for _ in range(options.rounds):
        theirs = run(b, key)
        if theirs is None:
            break
        mine = run(a, key)
        if mine is None:
            sys.exit(f"ours failed: {' '.join(a)}")
        pairs.append((mine, theirs))
    if not pairs:
        print(f"{label:44} {run(a, key) or float('nan'):9.3f} {'':>9}  {name:6} cannot be run here")
        continue
    mine, theirs = (statistics.median(p[i] for p in pairs) for i in (0, 1))
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"{label:44} {mine:9.3f} {theirs:9.3f}  {name:6} {ratio:11.2f}", flush=True)
