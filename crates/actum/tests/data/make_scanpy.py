"""Makes scanpy.h5ad and scanpy.json, what scanpy and CellRank say of it: python make_scanpy.py

scanpy 1.12.4, cellrank 2.3.3, anndata 0.13.4, Python 3.13.
"""

import json

import anndata
import cellrank as cr
import h5py
import numpy as np
import pandas as pd
import scanpy as sc
import scipy.sparse as sp
from anndata.experimental import write_elem

rng = np.random.default_rng(0)
n, g = 120, 40
day = np.repeat([0, 2, 4], n // 3)
fate = rng.integers(0, 2, n)
progress = np.clip(day / 4 + 0.15 * rng.standard_normal(n), 0, None)
rate = np.full((n, g), 3.0)
rate[:, :10] += 8 * (progress * (fate == 0))[:, None]
rate[:, 10:20] += 8 * (progress * (fate == 1))[:, None]
rate[:, 20:30] += 6 * np.exp(-3 * progress)[:, None]
rate *= rng.uniform(0.7, 1.4, (n, 1)) * rng.uniform(0.2, 2, g)
counts = rng.poisson(rate).astype("f4")
kind = np.where(day == 0, "stem", np.where(fate == 0, "red", "blue"))
kind = pd.Categorical(np.where(np.arange(n) % 29 == 28, None, kind))
clone = np.where(np.arange(n) % 5 < 3, [f"clone{f}{k % 4}" for k, f in enumerate(fate)], None)
obs = pd.DataFrame(
    {
        "day": pd.Categorical(day, ordered=True),
        "cell_type": kind,
        "clone": pd.Categorical(clone),
    },
    index=[f"cell{k}" for k in range(n)],
)
a = anndata.AnnData(sp.csr_matrix(counts), obs=obs, var=pd.DataFrame(index=[f"Gene{j}" for j in range(g)]))
a.layers["counts"] = a.X.copy()
sc.pp.normalize_total(a, target_sum=1e4)
sc.pp.log1p(a)
sc.pp.highly_variable_genes(a, n_top_genes=25, flavor="seurat")
sc.pp.pca(a, n_comps=4, svd_solver="arpack")
theta = np.linspace(0, 1, 2 * 4).reshape(4, 2)
a.obsm["X_umap"] = np.tanh(a.obsm["X_pca"] @ theta)
said = {
    "highly_variable": np.flatnonzero(a.var["highly_variable"]).tolist(),
    "dispersions_norm": a.var["dispersions_norm"].astype(float).tolist(),
    "X_first": a.X[0].toarray()[0].astype(float).tolist(),
    "mean": np.asarray(a.X.mean(0), dtype=float).ravel().tolist(),
    "X_pca": a.obsm["X_pca"].astype(float).tolist(),
    "PCs": a.varm["PCs"].astype(float).tolist(),
}
# Fate probabilities that the test computes again.
p = 1 / (1 + np.exp(-a.obsm["X_pca"][:, 0].astype(float)))
p = np.column_stack([p, 1 - p])
a.obsm["lineages_fwd"] = cr.Lineage(p, names=["red", "blue"])
# CellRank computes in the precision of X.
single, a.X = a.X, a.X.astype("f8")
kernel = cr.kernels.PrecomputedKernel(sp.identity(n, format="csr"), adata=a)
gpcca = cr.estimators.GPCCA(kernel)
gpcca._fate_probabilities = a.obsm["lineages_fwd"]
drivers = gpcca.compute_lineage_drivers(method="fisher").loc[a.var_names]
for stat in ["corr", "pval", "qval", "ci_low", "ci_high"]:
    said[stat] = [
        [None if np.isnan(x) else float(x) for x in drivers[f"{name}_{stat}"]] for name in ["red", "blue"]
    ]
a.X = single
# The expression of a gene in cells of the last day, weighted by the first probability.
w, x = p[80:, 0], a.X[80:, 3].toarray().ravel().astype(float)
mean = np.average(x, weights=w)
said["trend"] = [mean, np.sqrt(np.sum((w * (x - mean)) ** 2)) / w.sum(), w.sum() ** 2 / np.sum(w**2)]
del a.obsm["lineages_fwd"]
a.uns.clear()
a.var = a.var[[]]
for layer in [None, "counts"]:
    x = a.X if layer is None else a.layers[layer]
    assert sp.issparse(x)
with h5py.File("scanpy.h5ad", "w", libver=("v110", "v110")) as f:
    write_elem(f, "/", a, dataset_kwargs={"compression": "gzip"})
json.dump(said, open("scanpy.json", "w"))
