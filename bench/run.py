"""Runs ours and the peers in turns and prints one table: python bench/run.py [--rounds N] [--python PATH] [--quick] [--only WORD]

PATH is an interpreter with bench/requirements.txt installed (and torch and torchdiffeq, if PyTorch is to be in the table). A peer
that cannot be run is named and left out. Times are medians; a ratio is the median over rounds of peer / ours, each round running
one after the other. bench/README.md says how each number comes about.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

root = pathlib.Path(__file__).resolve().parent.parent
parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int, default=5)
parser.add_argument("--python", default=sys.executable)
parser.add_argument("--quick", action="store_true", help="small sizes only")
parser.add_argument("--only", default="", help="only rows whose name has this word")
options = parser.parse_args()

step_sizes = [(2, 256, 512)] if options.quick else [(2, 256, 512), (5, 512, 1024), (100, 512, 1024)]
unet_sizes = [(16, 2, 14, 64)] if options.quick else [(16, 2, 14, 64), (16, 3, 28, 64), (32, 3, 32, 32)]
simulate_sizes = [(5, 128, 4000, 50)] if options.quick else [(5, 128, 4000, 50), (20, 256, 4000, 50)]
transport_sizes = [(1000, 1000, 5)] if options.quick else [(1000, 1000, 5), (4165, 3278, 20)]


def ours(example, *arguments):
    return [str(root / "target/release/examples" / example), *map(str, arguments)]


def peer(script, *arguments):
    return [options.python, str(root / "bench/peers" / script), *map(str, arguments)]


# NumPy runs at its own speed: some machines slow it by choosing a kernel for it.
environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}


def run(command, key):
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode != 0:
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])[key]


def parameters(dim, width):
    return (dim + 1) * width + 2 * width * width + width


def unet_products(channels, levels, size):
    """The multiplications of one value of the U-Net, but for those of time."""
    width = [channels] + [2 * channels] * (levels - 1)

    def block(entering, leaving, level):
        shortcut = entering * leaving if entering != leaving else 0
        return (size >> level) ** 2 * (9 * entering * leaving + 9 * leaving**2 + shortcut)

    total, entering = 2 * 9 * channels * size**2, channels
    for level, leaving in enumerate(width):
        total += block(entering, leaving, level)
        entering = leaving
    pixels = (size >> (levels - 1)) ** 2
    total += 2 * block(entering, entering, levels - 1) + pixels * (4 * entering**2 + 2 * pixels * entering)
    for level, leaving in reversed(list(enumerate(width))):
        total += block(entering + leaving, leaving, level)
        entering = leaving
    return total


subprocess.run(["cargo", "build", "--release", "-q", "--workspace", "--bins", "--examples"], cwd=root, check=True)
peak = run(ours("peak"), "gflops") * 1e9
has_bf16 = run(ours("peak"), "bf16")
print(f"peak of all cores: {peak / 1e9:.0f} GFLOP/s in f32; bf16 is {'' if has_bf16 else 'not '}faster here\n")
precisions = ["f32", "bf16"] if has_bf16 else ["f32"]

# (label, peer, our command, the peer's, key, the least number of operations)
rows = []
for a in step_sizes:
    dim, width, batch = a
    operations = 12 * 2 * batch * parameters(dim, width)
    for precision in precisions:
        name = f"step {dim} x {width} x {batch}, {precision}, ms"
        mine = ours("step", *a, 3, *(["f32"] if precision == "f32" else []))
        for library, script in (("JAX", "step_jax.py"), ("PyTorch", "step_torch.py")):
            rows.append((name, library, mine, peer(script, *a, 3), "ms_per_step", operations * 1e3))
for a in unet_sizes:
    channels, levels, size, batch = a
    operations = 6 * 2 * batch * unet_products(channels, levels, size)
    for precision in precisions:
        name = f"U-Net {channels} channels, {size} x {size}, x {batch}, {precision}, ms"
        mine = ours("unet_step", *a, 3, *(["f32"] if precision == "f32" else []))
        for library, script in (("JAX", "unet_jax.py"), ("PyTorch", "unet_torch.py")):
            rows.append((name, library, mine, peer(script, *a, 3), "ms_per_step", operations * 1e3))
for a in simulate_sizes:
    dim, width, particles, steps = a
    operations = 4 * steps * 2 * 2 * particles * parameters(dim, width)
    for precision in precisions:
        name = f"RK4 {particles} x {dim}, width {width}, {steps} steps, {precision}, s"
        mine = ours("simulate", *a, *(["bf16"] if precision == "bf16" else []))
        for library, script in (("JAX", "simulate_jax.py"), ("torchdiffeq", "simulate_torchdiffeq.py")):
            rows.append((name, library, mine, peer(script, *a), "seconds", operations))
for n, m, d in transport_sizes:
    for kind, key in (("exact", "w1"), ("exact", "w2"), ("entropic", "entropic"), ("unbalanced", "unbalanced"), ("sliced", "sliced")):
        name = f"{kind} {key.upper()}" if kind == "exact" else kind
        a = (n, m, d, kind)
        rows.append((f"{name} {n} x {m} x {d}, s", "POT", ours("transport", *a), peer("transport_pot.py", *a), f"{key}_seconds", None))

print(f"{'':50} {'ours':>9} {'peer':>9}  {'':11} {'peer / ours':>11} {'floor':>8} {'reached':>8}")
for label, name, a, b, key, operations in rows:
    if options.only not in label:
        continue
    pairs = []
    for _ in range(options.rounds):
        theirs = run(b, key)
        if theirs is None:
            break
        mine = run(a, key)
        if mine is None:
            sys.exit(f"ours failed: {' '.join(a)}")
        pairs.append((mine, theirs))
    mine = statistics.median(p[0] for p in pairs) if pairs else run(a, key)
    floor = f"{operations / peak:8.3f} {operations / peak / mine:8.0%}" if operations else ""
    if not pairs:
        print(f"{label:50} {mine:9.3f} {'':>9}  {name:11} {'not here':>11} {floor}", flush=True)
        continue
    theirs = statistics.median(p[1] for p in pairs)
    ratio = statistics.median(b / a for a, b in pairs)
    print(f"{label:50} {mine:9.3f} {theirs:9.3f}  {name:11} {ratio:11.2f} {floor}", flush=True)

program = root / "target/release" / ("actum.exe" if os.name == "nt" else "actum")


def seconds(*arguments):
    start = time.perf_counter()
    subprocess.run([program, *arguments], check=True, capture_output=True)
    return time.perf_counter() - start


if options.only in "start-up":
    with tempfile.TemporaryDirectory() as folder:
        demo = statistics.median(seconds("demo", "--out", f"{folder}/{i}") for i in range(options.rounds))
    help_ms = statistics.median(seconds("--help") for _ in range(20)) * 1e3
    size = program.stat().st_size / 1e6
    print(f"\nactum --help {help_ms:.1f} ms, actum demo {demo:.1f} s, the program {size:.1f} MB")
