#!/usr/bin/env python3
"""How far one fit goes over many machines: what is measured, and a model of the rest.

    python bench/machines.py step STEP              times of a step on one core, by examples/step
    mpirun -n 2 python bench/machines.py exchange   latency and bandwidth between two processes
    python bench/machines.py model                  the table and bench/machines.png

The model takes the figures of bench/machines.json, which the first two write to standard output.
Needs numpy; mpi4py for `exchange`, matplotlib for `model`.
"""

import json
import math
import pathlib
import subprocess
import sys
import time

import numpy as np

HERE = pathlib.Path(__file__).parent
COLUMNS = 5
LAYERS = 3
RANKS = [2**k for k in range(9)]
WIDTHS = [128, 256, 512, 1024, 2048]
BATCHES = [512, 2048, 8192, 32768, 65536]


def parameters(width):
    return width * (COLUMNS + 2) + (LAYERS - 1) * width * (width + 1) + width + 1


def step(program):
    """The time of a step at two batches tells what a row and what a step without rows takes."""
    for width in [64, 128, 256, 512]:
        found = {}
        for batch in [128, 1024]:
            times = []
            for _ in range(3):
                command = [program, str(COLUMNS), str(width), str(batch), "1", "f32"]
                done = subprocess.run(command, capture_output=True, text=True, check=True,
                                      env={"RAYON_NUM_THREADS": "1"})  # fmt: skip
                times.append(json.loads(done.stdout)["ms_per_step"])
            found[batch] = min(times)
        row = (found[1024] - found[128]) / (1024 - 128) * 1e-3
        rest = max(found[128] * 1e-3 - 128 * row, 0.0)
        weights = parameters(width)
        print(json.dumps({"width": width, "ms": found, "ns_per_row_and_parameter": row / weights * 1e9,
                          "ns_per_parameter": rest / weights * 1e9}))  # fmt: skip


def exchange():
    """What processes do in a step: halves are exchanged, and pieces come back."""
    from mpi4py import MPI

    world = MPI.COMM_WORLD
    peer = 1 - world.rank
    for count in [1, 64, 4096, 35_000, 131_072, 1_048_576, 8_388_608]:
        mine, theirs = np.zeros(count, np.float32), np.zeros(count, np.float32)
        times = []
        for _ in range(200 if count < 100_000 else 15):
            world.Barrier()
            start = time.perf_counter()
            world.Sendrecv(mine, peer, recvbuf=theirs, source=peer)
            times.append(time.perf_counter() - start)
        if world.rank == 0:
            print(json.dumps({"bytes": 4 * count, "microseconds": np.median(times) * 1e6, "least": min(times) * 1e6}))


def modelled(figures, network, width, batch, ranks, cores):
    """Seconds of a step: rows, what every process does to all parameters, and three exchanges."""
    weights = parameters(width)
    # A step is cut into tiles, which cores share: 4 of them up to 512 rows, then one for each 128.
    here = batch / ranks
    tiles = math.ceil(here / min(max(here / 4, 32), 128))
    rows = here * weights * figures["row_ns"] * 1e-9 / min(cores, tiles)
    # Zeroing, adding, Adam and the layout of products: a pass over memory, which cores share badly.
    fixed = weights * figures["parameter_ns"] * 1e-9 / min(cores, 4)
    levels = math.log2(ranks)
    latency = levels * network["latency_us"] * 1e-6 * 3
    sent = 2 * 4 * weights * (1 - 1 / ranks) / (network["gigabytes_s"] * 1e9)
    return rows, fixed, latency + sent


def model():
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figures = json.loads((HERE / "machines.json").read_text())
    networks, cores = figures["networks"], figures["cores"]
    figure, axes = pyplot.subplots(1, len(networks), figsize=(4 * len(networks), 3.6), sharey=True)
    for name, axis in zip(networks, axes):
        print(f"\n{name}: how many processes pay (and how many times as fast a step is)\n")
        print("| width \\ batch | " + " | ".join(f"{batch:,}" for batch in BATCHES) + " |")
        print("|---|" + "---|" * len(BATCHES))
        for width in WIDTHS:
            cells = []
            for batch in BATCHES:
                # A part has at least 64 rows.
                ranks = [r for r in RANKS if batch // r >= 64]
                times = [sum(modelled(figures, networks[name], width, batch, r, cores)) for r in ranks]
                # The most of which each does at least half of what one alone does.
                pays = max(r for r, time in zip(ranks, times) if times[0] / time >= r / 2)
                gain = times[0] / times[ranks.index(pays)]
                cells.append(f"{pays} ({gain:.1f}x)" if pays > 1 else "1")
            print(f"| {width} | " + " | ".join(cells) + " |")
        for width in [128, 512, 2048]:
            for batch, style in [(512, ":"), (8192, "--"), (65536, "-")]:
                ranks = [r for r in RANKS if batch // r >= 64]
                times = [sum(modelled(figures, networks[name], width, batch, r, cores)) for r in ranks]
                colour = {128: "#1b6ca8", 512: "#c8553d", 2048: "#4c956c"}[width]
                axis.plot(ranks, [times[0] / t for t in times], style, color=colour, label=f"{width} wide, batch {batch:,}")
        axis.plot(RANKS, RANKS, color="#bbbbbb", linewidth=0.8)
        axis.set(xscale="log", yscale="log", title=name, xlabel="processes", ylim=(0.2, 300))
        axis.set_xticks([1, 4, 16, 64, 256], ["1", "4", "16", "64", "256"])
    axes[0].set_ylabel("times as fast")
    axes[0].set_yticks([1, 10, 100], ["1", "10", "100"])
    axes[-1].legend(fontsize=6, loc="upper left")
    figure.tight_layout()
    figure.savefig(HERE / "machines.png", dpi=110)
    print("\nWeak scaling, 50 columns, 10^7 rows a process, shards of 10,000 rows at 5 times, 20,000 steps, 4 parts a process\n")
    print("| processes | rows | bytes of the file | read by each, s at 2 GB/s | shards | kept by each | memory of each, MiB |")
    print("|---|---|---|---|---|---|---|")
    for ranks in [1, 4, 16, 64, 100, 256]:
        rows, width = ranks * 10**7, 51 * 8
        shards = math.ceil(rows / 5 / 10_000)
        kept = min(4 * math.ceil(20_000 / 1000), math.ceil(shards / (4 * ranks)) * 4)
        # 16 bytes a row while the file is split; later a shard of 5 times and its couplings for each part.
        memory = max(16 * rows, 4 * 3 * 5 * 10_000 * width) / 2**20
        print(f"| {ranks} | {rows:.0e} | {rows * width / 1e9:,.0f} GB | {rows * width / 2e9:,.0f} | {shards:,} | {kept} | {memory:,.0f} |")


if __name__ == "__main__":
    {"step": lambda: step(sys.argv[2]), "exchange": exchange, "model": model}[sys.argv[1]]()
