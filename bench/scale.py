"""Fits files of 50 columns and 5 times with 1e4 to 1e7 rows and prints one table: python bench/scale.py [--most 7] [--steps N]

Needs numpy; with pyarrow a Parquet file of 1e6 rows too. Files, runs and shards lie in a temporary folder (--folder says
where; 1e7 rows take 2 GB) and are removed. The time of a step is that within one shard; each further 1,000 steps couple one shard more.
"""
import argparse
import io
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import zipfile

import numpy as np

root = pathlib.Path(__file__).resolve().parent.parent
parser = argparse.ArgumentParser()
parser.add_argument("--most", type=int, default=7, help="the logarithm of the most rows")
parser.add_argument("--steps", type=int, default=400, help="fewer than 1000, for which a shard has its turn")
parser.add_argument("--folder", help="where the temporary folder is made")
parser.add_argument("--actum", default=str(root / "target/release/actum"))
options = parser.parse_args()

columns, times, block = 50, 5, 100_000


def blocks(rows):
    """Five Gaussian clouds, each moved by 1 in every column from the one before, rows in random order of time."""
    rng = np.random.default_rng(0)
    for start in range(0, rows, block):
        n = min(block, rows - start)
        t = rng.integers(0, times, n)
        yield t.astype("f4"), rng.standard_normal((n, columns), "f4") + t[:, None].astype("f4")


def header(shape):
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return out.getvalue()


def write_npz(path, rows):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        with archive.open("X.npy", "w", force_zip64=True) as entry:
            entry.write(header((rows, columns)))
            for _, x in blocks(rows):
                entry.write(x.tobytes())
        with archive.open("t.npy", "w", force_zip64=True) as entry:
            entry.write(header((rows,)))
            for t, _ in blocks(rows):
                entry.write(t.tobytes())


def write_parquet(path, rows):
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = ["t"] + [f"x{j}" for j in range(columns)]
    writer = None
    for t, x in blocks(rows):
        table = pa.table(dict(zip(names, [t, *x.T.copy()])))
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    writer.close()


def row(name, path, folder):
    """Fits and prints seconds to read and split, to couple, and the peak of the resident memory."""
    command = [options.actum, "fit", path, "-o", folder / "run", "--steps", options.steps]
    watch = (
        "import resource, subprocess, sys; code = subprocess.run(sys.argv[1:]).returncode; "
        "print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr); sys.exit(code)"
    )
    start = time.monotonic()
    child = subprocess.Popen(
        [sys.executable, "-c", watch, *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    split, peak, rate, said = 0.0, 0, 0.0, []
    for line in child.stderr:
        said.append(line)
        if re.match(r"row (\d+) of \1 ", line):
            split = time.monotonic() - start
        if line.startswith("peak "):
            peak = int(line.split()[1]) / (1024 if sys.platform != "darwin" else 1024**2)
        if found := re.match(r"step (\d+) of \1 .* (\d+) steps/s", line):
            rate = float(found[2])
    if child.wait() != 0:
        sys.exit("".join(said))
    couple = time.monotonic() - start - split - options.steps / rate
    size = path.stat().st_size / 2**20
    print(f"{name:>16} {size:9.0f} {split:9.1f} {couple:11.1f} {1000 / rate:9.1f} {peak:9.0f}", flush=True)


print(f"{'rows':>16} {'file, MiB':>9} {'split, s':>9} {'couple, s':>11} {'step, ms':>9} {'peak, MiB':>9}")
for power in range(4, options.most + 1):
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = pathlib.Path(name)
        write_npz(folder / "a.npz", 10**power)
        row(f"1e{power} npz", folder / "a.npz", folder)
with tempfile.TemporaryDirectory(dir=options.folder) as name:
    folder = pathlib.Path(name)
    try:
        write_parquet(folder / "a.parquet", 10**6)
    except ImportError:
        print("1e6 parquet: left out, for pyarrow is not installed")
    else:
        row("1e6 parquet", folder / "a.parquet", folder)
