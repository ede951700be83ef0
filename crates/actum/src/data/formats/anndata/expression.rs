//! Genes: `X`, and what decodes its principal components.

use std::path::Path;

use ndarray::{Array1, Array2, Axis};

use super::{
    PCA, Places, cells,
    frame::Frame,
    is_own,
    matrix::{Matrix, Place},
    open,
};
use crate::{
    data::{
        Keys,
        formats::{GeneReader, VisitCells},
        reader::{Chunk, Take, chunk_rows},
    },
    error::{Error, ErrorKind, Result, ensure},
    genes::{Decoder, Normalized, check_distinct, find},
};

/// How genes are read.
pub(in crate::data::formats) const GENES: GeneReader = GeneReader {
    names,
    each,
    counts,
    decoder,
};

/// Where scanpy keeps the loadings.
const LOADINGS: &str = "varm/PCs";

/// On how many cells the components are computed again, at most.
const SAMPLE: usize = 1000;

/// How far they may be from what the file has.
const TOLERANCE: f64 = 0.01;

/// Looks at `X`, or at the counts that keys name, and at the genes.
fn with_genes<T>(
    path: &Path,
    keys: Option<&Keys>,
    look: impl FnOnce(&Places, &Matrix, Vec<String>) -> Result<T>,
) -> Result<T> {
    let file = open(path)?;
    let obs = cells(&file)?;
    let places = Places {
        file: &file,
        obs: &obs,
    };
    let (x, names) = of_genes(&places, keys)?;
    look(&places, &x, names)
}

/// The matrix of genes and their names.
pub(super) fn of_genes<'a>(
    places: &Places<'a>,
    keys: Option<&Keys>,
) -> Result<(Matrix<'a>, Vec<String>)> {
    let file = places.file;
    let key = keys.and_then(|keys| keys.points_key.as_deref());
    let place = match key.map(Place::of) {
        None => Place::X,
        Some(Some(place @ (Place::X | Place::Layer(_)))) => place,
        Some(_) => {
            let what = format!(
                "expected counts of all genes to make principal components of, X or layer:NAME, \
                 got {:?}",
                key.unwrap_or_default()
            );
            return Err(Error::new(ErrorKind::Setting, what));
        }
    };
    let x = places.open(&place)?;
    let x = x.ok_or_else(|| {
        Error::missing(
            format!("{place}, the expression of genes,"),
            places.listed(),
        )
    })?;
    let genes = Frame::open(file, "var")?;
    let genes = genes.ok_or_else(|| Error::missing("\"var\"", file.children("")))?;
    ensure!(
        genes.rows == x.columns,
        Shape,
        "{place} has {} columns, and var has {} rows",
        x.columns,
        genes.rows
    );
    let names = genes.index()?;
    Ok((x, names))
}

/// The keys of counts that are to be normalised; a file that Actum wrote has expression.
fn asked<'a>(path: &Path, keys: &'a Keys) -> Result<Option<&'a Keys>> {
    Ok(match keys.pca.is_some() && !is_own(&open(path)?)? {
        true => Some(keys),
        false => None,
    })
}

fn names(path: &Path, keys: &Keys) -> Result<(Vec<String>, usize, bool)> {
    let asked = asked(path, keys)?;
    with_genes(path, asked, |_, x, names| {
        Ok((names, x.rows, asked.is_some()))
    })
}

fn each(path: &Path, take: &mut dyn FnMut(usize, usize, f64)) -> Result<()> {
    with_genes(path, None, |_, x, _| x.each(take))
}

fn counts(path: &Path, keys: &Keys, take: VisitCells) -> Result<()> {
    with_genes(path, Some(keys), |_, x, _| {
        x.each_row(take).map_err(|error| match error.kind() {
            ErrorKind::Value => error.within(&x.place),
            _ => error,
        })
    })
}

/// Hands out the coordinates of cells by the components of their counts: their places among those
/// of the decoder.
pub(super) fn project(
    places: &Places,
    keys: &Keys,
    decoder: &Decoder,
    columns: &[usize],
    weights: Option<&[f64]>,
    take: &mut Take,
) -> Result<()> {
    let (x, names) = of_genes(places, Some(keys))?;
    check_distinct(&names)?;
    let found = find(
        &names,
        decoder.genes(),
        "the components need a gene that is not there:",
    )?;
    let mut place_of = vec![None; names.len()];
    for (place, gene) in found.into_iter().enumerate() {
        place_of[gene] = Some(place);
    }
    let loadings = decoder.loadings().select(Axis(1), columns);
    let width = columns.len();
    // A column does not depend on which others there are.
    let mut start: Vec<f64> = columns.iter().map(|j| decoder.center()[*j]).collect();
    for (row, mean) in loadings.outer_iter().zip(decoder.mean()) {
        start.iter_mut().zip(row).for_each(|(z, l)| *z -= mean * l);
    }
    let some = chunk_rows(width);
    let (mut points, mut done) = (Vec::with_capacity(some * width), 0);
    let mut give = |points: &mut Vec<f64>| {
        let count = points.len() / width;
        take(Chunk {
            points,
            weights: weights.map(|weights| &weights[done..done + count]),
            velocities: None,
        })?;
        done += count;
        points.clear();
        Ok::<_, Error>(())
    };
    let mut normalized = Normalized::new(&names);
    let all = x.each_row(&mut |genes, counts| {
        let (numbers, _) = normalized.next(genes, counts)?;
        let from = points.len();
        points.extend(&start);
        let point = &mut points[from..];
        for (gene, x) in genes.iter().zip(numbers) {
            if let Some(place) = place_of[*gene] {
                let row = loadings.row(place);
                point.iter_mut().zip(row).for_each(|(z, l)| *z += x * l);
            }
        }
        if points.len() >= some * width {
            give(&mut points)?;
        }
        Ok(())
    });
    all.map_err(|error| match error.kind() {
        ErrorKind::Value => error.within(&x.place),
        _ => error,
    })?;
    if points.is_empty() {
        Ok(())
    } else {
        give(&mut points)
    }
}

fn decoder(path: &Path) -> Result<(Decoder, f64)> {
    with_genes(path, None, |places, x, names| {
        check_distinct(&names)?;
        let loadings = loadings(places, x.columns)?;
        let (scores, columns) = scores(places, loadings.ncols())?;
        let (n, g) = (x.rows, x.columns);
        let stride = n.div_ceil(SAMPLE);
        let sample = n.div_ceil(stride);
        let mut mean = Array1::<f64>::zeros(g);
        let mut found = Array2::<f64>::zeros((sample, loadings.ncols()));
        x.each(&mut |row, gene, x| {
            mean[gene] += x;
            if row.is_multiple_of(stride) {
                found
                    .row_mut(row / stride)
                    .scaled_add(x, &loadings.row(gene));
            }
        })?;
        mean /= n as f64;
        let center = scores.mean_axis(Axis(0)).expect("there are cells");
        let expected = scores.select(Axis(0), &(0..n).step_by(stride).collect::<Vec<_>>());
        let expected = expected - &center;
        let off = found - &mean.dot(&loadings) - &expected;
        let square = |all: &Array2<f64>| all.iter().map(|x| x * x).sum::<f64>();
        let error = (square(&off) / square(&expected)).sqrt();
        ensure!(
            error <= TOLERANCE,
            Value,
            "varm[\"PCs\"] does not lead from X to obsm[{PCA:?}]: (X - mean) PCs is off by {:.3} of \
             its size on {sample} cells, at most {TOLERANCE} is taken for rounding; X was changed \
             after the components were computed (scaled, say, or counts put back), so genes cannot \
             be told from them; put the X that they were computed from back, or compute them again, \
             in Python: scanpy.pp.pca(adata)",
            error
        );
        // A gene that was left out of the components has no loadings.
        let has_loadings = |gene: &usize| loadings.row(*gene).iter().any(|x| *x != 0.0);
        let kept: Vec<usize> = (0..g).filter(has_loadings).collect();
        let decoder = Decoder::new(
            kept.iter().map(|gene| names[*gene].clone()).collect(),
            columns,
            mean.select(Axis(0), &kept),
            center,
            loadings.select(Axis(0), &kept),
        )?;
        Ok((decoder, error))
    })
}

/// `varm["PCs"]`, `[genes, components]`.
fn loadings(places: &Places, genes: usize) -> Result<Array2<f64>> {
    let array = places.file.array(LOADINGS)?;
    let array = array.ok_or_else(|| {
        let what = "varm[\"PCs\"], which leads from components back to genes,";
        Error::missing(what, places.file.children("varm"))
    })?;
    let &[rows, columns] = &array.shape[..] else {
        return Err(Error::new(
            crate::error::ErrorKind::Shape,
            format!(
                "varm[\"PCs\"]: expected [genes, components], got the shape {:?}",
                array.shape
            ),
        ));
    };
    ensure!(
        rows == genes && columns > 0,
        Shape,
        "varm[\"PCs\"] has the shape {:?}: expected a row for each of the {genes} genes of X",
        array.shape
    );
    let all = Array2::from_shape_vec((rows, columns), array.numbers(0, rows)?);
    Ok(all.expect("as many numbers as the shape says"))
}

/// `obsm["X_pca"]` `[cells, components]` and the names of its columns.
fn scores(places: &Places, components: usize) -> Result<(Array2<f64>, Vec<String>)> {
    let place = Place::Obsm(PCA.to_owned());
    let chosen = places.whole(&place)?;
    let chosen = chosen.ok_or_else(|| Error::missing(&place, places.listed()))?;
    let (n, d) = (chosen.matrix.rows, chosen.matrix.columns);
    ensure!(
        d == components,
        Shape,
        "varm[\"PCs\"] has {components} components, and obsm[{PCA:?}] has {d} columns"
    );
    let mut rows = chosen.matrix.read(&chosen.columns)?;
    let (mut all, some) = (Vec::with_capacity(n * d), chunk_rows(d));
    for start in (0..n).step_by(some) {
        all.extend(rows.next(some.min(n - start))?);
    }
    let all = Array2::from_shape_vec((n, d), all).expect("as many numbers as the shape says");
    ensure!(
        all.iter().all(|x| x.is_finite()),
        Value,
        "obsm[{PCA:?}] has numbers that are not finite"
    );
    Ok((all, chosen.names))
}
