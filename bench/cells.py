"""Reads a file of 200,000 cells x 2,000 genes with actum and with scanpy and prints one table.

    python bench/cells.py [--cells N] [--genes G] [--keep FILE]

Needs anndata and scanpy. Every row is a process of its own: its seconds, those that the
cores spent on it, and the peak of its resident memory. The file is made up: counts, sparse by rows, in chunks that gzip packs, with 30
coordinates that the loadings lead to.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

root = pathlib.Path(__file__).resolve().parent.parent
parser = argparse.ArgumentParser()
parser.add_argument("--cells", type=int, default=200_000)
parser.add_argument("--genes", type=int, default=2_000)
parser.add_argument("--steps", type=int, default=200)
parser.add_argument("--keep", help="where the file is made, if it is to stay")
parser.add_argument("--actum", default=str(root / "target/release/actum"))
options = parser.parse_args()


def make(path):
    import anndata
    import pandas as pd
    import scipy.sparse as sp

    n, g, d = options.cells, options.genes, 30
    rng = np.random.default_rng(0)
    day = rng.integers(0, 5, n)
    rate = rng.gamma(0.3, 1, g)[None, :] * rng.uniform(0.2, 3, (5, g))
    rows = [sp.csr_matrix(rng.poisson(np.minimum(rate[day[k : k + 5000]], 20) * 0.3)) for k in range(0, n, 5000)]
    counts = sp.vstack(rows, format="csr").astype("f4")
    loadings = np.linalg.qr(rng.standard_normal((g, d)))[0]
    scores = counts @ loadings - np.asarray(counts.mean(0)) @ loadings
    obs = pd.DataFrame(
        {"day": pd.Categorical(day, ordered=True), "cell_type": pd.Categorical(np.where(day < 4, "a", rng.choice(["b", "c"], n)))},
        index=[f"cell{k}" for k in range(n)],
    )
    a = anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=[f"gene{j}" for j in range(g)]))
    a.obsm["X_pca"], a.varm["PCs"] = scores.astype("f4"), loadings
    a.write_h5ad(path, compression="gzip")
    return counts.nnz / n / g


def row(name, *command):
    watch = (
        "import resource, subprocess, sys; code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode; "
        "of = resource.getrusage(resource.RUSAGE_CHILDREN); "
        "print(of.ru_utime + of.ru_stime, of.ru_maxrss); sys.exit(code)"
    )
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-c", watch, *map(str, command)], capture_output=True, text=True)
    took = time.monotonic() - start
    if done.returncode:
        sys.exit(done.stderr)
    cores, peak = map(float, done.stdout.split())
    print(f"| {name} | {took:.1f} | {cores:.1f} | {peak / 1024:.0f} |", flush=True)


with tempfile.TemporaryDirectory() as folder:
    folder = pathlib.Path(folder)
    path = pathlib.Path(options.keep) if options.keep else folder / "cells.h5ad"
    if not path.exists():
        print(f"{make(path):.3f} of the numbers are not 0")
    print(f"{options.cells} x {options.genes}, {path.stat().st_size / 2**20:.0f} MiB\n")
    print("| | seconds | of all cores | peak, MiB |\n|---|---|---|---|")
    python = lambda code: (sys.executable, "-W", "ignore", "-c", code)
    read = f"import anndata; a = anndata.read_h5ad({str(path)!r})"
    row("`actum check`", options.actum, "check", path)
    row("anndata: `read_h5ad`", *python(read))
    fit = ("fit", path, "--steps", options.steps, "-o")
    row(f"`actum fit --steps {options.steps}`", options.actum, *fit, folder / "run")
    row("`actum annotate -o`", options.actum, "annotate", folder / "run", "-o", folder / "told.h5ad")
    row("anndata: `read_h5ad`, `write_h5ad`", *python(f"{read}; a.write_h5ad({str(folder / 'copy.h5ad')!r}, compression='gzip')"))
    row("`actum check --pca 30`", options.actum, "check", path, "--pca", 30)
    components = (
        "import scanpy as sc; sc.pp.normalize_total(a, target_sum=1e4); sc.pp.log1p(a); "
        "sc.pp.highly_variable_genes(a, n_top_genes=2000, flavor='seurat'); sc.pp.pca(a, n_comps=30)"
    )
    row("scanpy: the same components", *python(f"{read}; {components}"))
