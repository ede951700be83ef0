"""Uses the files that the program writes with the real clients: python check.py ACTUM

Prints a line for each client and stops at the first number that is not as it should be.
"""

import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
warnings.filterwarnings("ignore")

import anndata as ad
import cellrank as cr
import numpy as np
import pandas as pd
import scanpy as sc
import scipy.sparse as sp

try:
    import scvelo as scv
except ImportError:
    scv = None

actum = str(Path(sys.argv[1]).resolve())
print("anndata", ad.__version__, "scanpy", sc.__version__, "cellrank", cr.__version__)
print("scvelo", scv.__version__ if scv else "is not installed")


def run(*words):
    done = subprocess.run([actum, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def cells():
    """Cells that split in two, with counts of 60 genes, 12 of which go with each branch."""
    rng = np.random.default_rng(0)
    day = np.repeat([0.0, 1.0, 2.0, 3.0], 120)
    branch = rng.integers(0, 2, len(day))
    along = np.clip(day / 3 + 0.08 * rng.standard_normal(len(day)), 0, None)
    rate = np.full((len(day), 60), 3.0)
    rate[:, :12] += 9 * (along * (branch == 0))[:, None]
    rate[:, 12:24] += 9 * (along * (branch == 1))[:, None]
    rate[:, 24:40] += 8 * np.exp(-3 * along)[:, None]
    kind = np.where(day < 1, "stem", np.where(branch == 0, "red", "blue"))
    obs = pd.DataFrame(
        {"day": pd.Categorical(day, ordered=True), "cell_type": pd.Categorical(kind)},
        index=[f"cell{i}" for i in range(len(day))],
    )
    var = pd.DataFrame(index=[f"gene{j}" for j in range(60)])
    a = ad.AnnData(sp.csr_matrix(rng.poisson(rate).astype("f4")), obs=obs, var=var)
    a.layers["counts"] = a.X.copy()
    sc.pp.normalize_total(a, target_sum=1e4)
    sc.pp.log1p(a)
    sc.pp.pca(a, n_comps=8)
    sc.pp.neighbors(a, n_neighbors=15)
    sc.tl.umap(a)
    return a


def forward(transitions, day):
    """By how much a step is expected to move cells that are not at the last day forward."""
    before = day < day.max()
    return float((transitions @ day - day)[before].mean())


def cosine(a, b):
    both = (np.linalg.norm(a, axis=1) > 0) & (np.linalg.norm(b, axis=1) > 0)
    a, b = a[both], b[both]
    return float((((a * b).sum(1)) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).mean())


def annotated():
    before = ad.read_h5ad("cells.h5ad")
    a = ad.read_h5ad("told.h5ad")
    assert (a.X != before.X).nnz == 0 and a.obs[["day", "cell_type"]].equals(before.obs[["day", "cell_type"]])
    day = a.obs["day"].astype(float).to_numpy()
    v = a.obsm["velocity_pca"] @ before.varm["PCs"].T
    assert np.abs(v - a.layers["velocity"]).max() < 1e-4 * np.abs(v).max()
    fates = a.obs[["actum_fate_blue", "actum_fate_red"]].to_numpy()
    assert np.allclose(fates.sum(1), 1)
    last = (day == 3) & (a.obs["cell_type"] == "red").to_numpy()
    assert fates[last, 1].mean() > 0.9
    print("anndata: a copy with what was there, velocities and fates")
    # CellRank computes in the precision of X.
    a.X = a.X.astype("f8")

    kernel = cr.kernels.VelocityKernel(a, attr="obsm", xkey="X_pca", vkey="velocity_pca")
    kernel.compute_transition_matrix(show_progress_bar=False)
    assert forward(kernel.transition_matrix, day) > 0.05
    print("CellRank, VelocityKernel: a step goes forward in time")

    kernel = cr.kernels.PrecomputedKernel(a, obsp_key="T_actum")
    assert np.allclose(np.asarray(kernel.transition_matrix.sum(1)).ravel(), 1)
    assert abs(forward(kernel.transition_matrix, day) - 1) < 1e-9
    print("CellRank, PrecomputedKernel: a step goes one day on")

    a.obsm["lineages_fwd"] = cr.Lineage(fates, names=["blue", "red"])
    estimator = cr.estimators.GPCCA(kernel)
    estimator._fate_probabilities = a.obsm["lineages_fwd"]
    drivers = estimator.compute_lineage_drivers(method="fisher")
    ours = pd.read_csv("fates/drivers.csv")
    for fate in ["blue", "red"]:
        mine = ours[ours["fate"] == fate].set_index("gene")
        theirs = drivers.loc[mine.index]
        # CellRank 2.0 divides by one cell less, which 2.3 no longer does.
        is_old = cr.__version__.startswith("2.0.")
        correlation = theirs[f"{fate}_corr"] * ((a.n_obs - 1) / a.n_obs if is_old else 1)
        assert np.abs(correlation - mine["correlation"]).max() < 1e-8
        assert is_old or np.allclose(theirs[f"{fate}_qval"], mine["q"], rtol=1e-4, atol=1e-12)
        assert int(mine.index[0][4:]) in (range(12, 24) if fate == "blue" else range(12))
    print("CellRank, compute_lineage_drivers: our correlations and q-values")

    real = cr.kernels.RealTimeKernel.from_wot(a, path="tmaps", time_key="day")
    real.compute_transition_matrix()
    assert forward(real.transition_matrix, day) > 0.5
    print("CellRank, RealTimeKernel.from_wot: our couplings")

    if scv:
        a.layers["Ms"] = a.X.toarray()
        del a.obsm["velocity_umap"]
        scv.tl.velocity_graph(a, vkey="velocity", xkey="Ms", show_progress_bar=False)
        scv.tl.velocity_embedding(a, basis="umap")
        ours = ad.read_h5ad("told.h5ad").obsm["velocity_umap"]
        agree = cosine(a.obsm["velocity_umap"], ours)
        assert agree > 0.6, agree
        b = ad.read_h5ad("told.h5ad")
        scv.pl.velocity_embedding_stream(b, basis="umap", color="cell_type", show=False)
        print(f"scVelo: velocities in genes and in the embedding agree (mean cosine {agree:.2f})")


def moved():
    m = ad.read_h5ad("moved.h5ad")
    assert m.var_names[0] == "gene0" and m.layers["velocity"].shape == m.X.shape
    t = m.obs["t"].astype(float).to_numpy()
    sc.pp.neighbors(m, n_neighbors=15, use_rep="X_pca")
    kernel = cr.kernels.VelocityKernel(m, attr="obsm", xkey="X_pca", vkey="velocity_pca")
    kernel.compute_transition_matrix(show_progress_bar=False)
    assert forward(kernel.transition_matrix, t) > 0.05
    # What a branch expresses rises.
    red = np.asarray(m.X[:, :24].mean(1)).ravel()
    assert red[t == 3].mean() > red[t == 1].mean() + 0.3
    sc.tl.embedding_density(m, basis="pca", groupby="t")
    print("scanpy and CellRank: moved cells in genes")
    if scv:
        scv.tl.velocity_graph(m, vkey="velocity", xkey="Ms", show_progress_bar=False)
        m.obsm["X_umap"] = m.obsm["X_pca"][:, :2]
        scv.tl.velocity_embedding(m, basis="umap")
        agree = cosine(m.obsm["velocity_umap"], m.obsm["velocity_pca"][:, :2])
        assert agree > 0.5, agree
        print(f"scVelo: velocities of moved cells in genes and in components agree ({agree:.2f})")


def components():
    """Those that the program makes of counts beside scanpy's."""
    a = ad.read_h5ad("cells.h5ad")
    run("fit", "cells.h5ad", "--pca", "5", "--points-key", "layer:counts", "--steps", "10", "-o", "made")
    run("simulate", "made", "--times", "1", "--genes", "all", "-o", "made.h5ad")
    made = ad.read_h5ad("made.h5ad")
    a.X = a.layers["counts"].copy()
    sc.pp.normalize_total(a, target_sum=1e4)
    sc.pp.log1p(a)
    sc.pp.highly_variable_genes(a, n_top_genes=2000, flavor="seurat")
    sc.pp.pca(a, n_comps=5)
    chosen = a.var_names[a.var["highly_variable"]]
    assert list(made.var_names) == list(chosen)
    along = np.abs((made.varm["PCs"] * a[:, chosen].varm["PCs"]).sum(0))
    assert along.min() > 0.9999, along
    print(f"scanpy: our components of counts (least cosine {along.min():.7f})")


def stored():
    """A store of Zarr is read as the file is."""
    a = ad.read_h5ad("cells.h5ad")
    a.write_zarr("cells.zarr")
    a.layers["counts"] = sp.csc_matrix(a.layers["counts"])
    a.write_zarr("by_columns.zarr")
    models = []
    for cells in ["cells.h5ad", "cells.zarr", "by_columns.zarr"]:
        run("fit", cells, "--pca", "5", "--points-key", "layer:counts", "--steps", "10", "--overwrite", "-o", "stored")
        models.append(Path("stored/model.safetensors").read_bytes())
    assert models[0] == models[1] == models[2]
    run("annotate", "stored", "-o", "alone.h5ad")
    alone = ad.read_h5ad("alone.h5ad")
    assert list(alone.obs_names) == list(a.obs_names) and "velocity_actum" in alone.obsm
    print("anndata: stores of Zarr give the bits of the file")


with tempfile.TemporaryDirectory() as folder:
    import os

    os.chdir(folder)
    cells().write_h5ad("cells.h5ad")
    assert "lead back to 60 genes" in run("check", "cells.h5ad")
    run("fit", "cells.h5ad", "--steps", "1500", "-o", "run")
    run("fates", "run", "--label-key", "cell_type", "-o", "fates")
    run("annotate", "run", "--label-key", "cell_type", "--transitions", "--tmaps", "tmaps", "-o", "told.h5ad")
    run("simulate", "run", "--genes", "all", "-o", "moved.h5ad")
    annotated()
    moved()
    components()
    stored()
