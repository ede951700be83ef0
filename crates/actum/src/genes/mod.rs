//! Genes behind coordinates: what a principal component analysis keeps of them.

mod components;
mod leading;
mod variable;

use std::{collections::HashMap, path::Path};

use ndarray::{Array1, Array2, ArrayView2, Axis};

pub(crate) use self::components::{Counts, Normalized, components};
use crate::{
    error::{Error, ErrorKind, Result, ensure},
    store::{Array, find as array, read_arrays, write_arrays},
};

/// From coordinates to the expression of genes and back.
///
/// Expression is `mean + (z - center) L'` at the coordinates z, with a row of loadings L for each
/// gene. With the loadings of a principal component analysis that is the part of the expression
/// that the components keep.
///
/// ```
/// use actum::genes::Decoder;
/// use ndarray::{Array1, array};
///
/// let names = |names: [&str; 2]| names.map(str::to_owned).to_vec();
/// let decoder = Decoder::new(
///     names(["Gata1", "Spi1"]),
///     vec!["X_pca1".to_owned()],
///     array![1.0, 2.0],
///     Array1::zeros(1),
///     array![[0.6], [-0.8]],
/// )?;
/// assert_eq!(decoder.decode(&array![[1.0]])?, array![[1.6, 1.2]]);
/// # Ok::<(), actum::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Decoder {
    genes: Vec<String>,
    columns: Vec<String>,
    mean: Array1<f64>,
    center: Array1<f64>,
    loadings: Array2<f64>,
}

/// What the file of a decoder says of itself.
const GENES: &str = "genes";
const COLUMNS: &str = "columns";

impl Decoder {
    /// Of `genes` `[g]` and coordinates named `columns` `[d]`: the mean expression `[g]`, the
    /// coordinates `center` `[d]` of it, and `loadings` `[g, d]`.
    ///
    /// # Errors
    /// Lengths that disagree, no gene or no coordinate, a gene named twice, and numbers that are not
    /// finite.
    pub fn new(
        genes: Vec<String>,
        columns: Vec<String>,
        mean: Array1<f64>,
        center: Array1<f64>,
        loadings: Array2<f64>,
    ) -> Result<Self> {
        let shape = (genes.len(), columns.len());
        ensure!(
            loadings.dim() == shape && mean.len() == shape.0 && center.len() == shape.1,
            Shape,
            "expected loadings of {} genes on {} columns, got {:?} beside means of {} genes and {} \
             columns",
            shape.0,
            shape.1,
            loadings.dim(),
            mean.len(),
            center.len()
        );
        ensure!(
            shape.0 > 0 && shape.1 > 0,
            Shape,
            "expected genes and coordinates, got {} and {}",
            shape.0,
            shape.1
        );
        check_distinct(&genes)?;
        let all = mean.iter().chain(&center).chain(&loadings);
        ensure!(
            all.clone().all(|x| x.is_finite()),
            Value,
            "the means and loadings of genes must be finite"
        );
        Ok(Self {
            genes,
            columns,
            mean,
            center,
            loadings,
        })
    }

    /// The decoder where genes are the coordinates.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn of_genes(genes: Vec<String>) -> Result<Self> {
        let d = genes.len();
        let zeros = Array1::zeros(d);
        Self::new(genes.clone(), genes, zeros.clone(), zeros, Array2::eye(d))
    }

    /// The names of the genes, `[g]`.
    pub fn genes(&self) -> &[String] {
        &self.genes
    }

    /// The names of the coordinates, `[d]`.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The mean expression of every gene, `[g]`.
    pub fn mean(&self) -> &Array1<f64> {
        &self.mean
    }

    /// The coordinates of the mean expression, `[d]`.
    pub fn center(&self) -> &Array1<f64> {
        &self.center
    }

    /// The loadings, `[g, d]`: by how much a coordinate grows when the expression of a gene grows by
    /// one.
    pub fn loadings(&self) -> &Array2<f64> {
        &self.loadings
    }

    /// How much of a change of every gene the coordinates see, `[g]`: the length of its row of
    /// loadings, between 0 and 1 where these are orthonormal.
    pub fn seen(&self) -> Array1<f64> {
        let rows = self.loadings.rows().into_iter();
        rows.map(|row| row.dot(&row).sqrt()).collect()
    }

    /// The expression at points `[n, d]`, `[n, g]`.
    ///
    /// # Errors
    /// Points of another dimension.
    pub fn decode(&self, points: &Array2<f64>) -> Result<Array2<f64>> {
        Ok(self.decode_velocities(&(points - self.center_of(points)?))? + &self.mean)
    }

    /// The change of expression along velocities `[n, d]`, `[n, g]`.
    ///
    /// # Errors
    /// Velocities of another dimension.
    pub fn decode_velocities(&self, velocities: &Array2<f64>) -> Result<Array2<f64>> {
        self.center_of(velocities)?;
        Ok(velocities.dot(&self.loadings.t()))
    }

    fn center_of(&self, points: &Array2<f64>) -> Result<&Array1<f64>> {
        ensure!(
            points.ncols() == self.columns.len(),
            Shape,
            "expected {} columns, those of the decoder, got {}",
            self.columns.len(),
            points.ncols()
        );
        Ok(&self.center)
    }

    /// The same of the genes at these places.
    ///
    /// # Errors
    /// No genes, or one twice.
    ///
    /// # Panics
    /// If there is no such gene.
    pub fn select(&self, genes: &[usize]) -> Result<Self> {
        Self::new(
            genes.iter().map(|g| self.genes[*g].clone()).collect(),
            self.columns.clone(),
            self.mean.select(Axis(0), genes),
            self.center.clone(),
            self.loadings.select(Axis(0), genes),
        )
    }

    /// The same for some of its coordinates, in another order.
    ///
    /// # Errors
    /// A coordinate that it does not decode.
    pub fn on_columns(&self, columns: &[String]) -> Result<Self> {
        let place = |name: &String| {
            let place = self.columns.iter().position(|column| column == name);
            place.ok_or_else(|| {
                let what = format!("genes are known behind other coordinates: {name:?}");
                Error::missing(what, &self.columns)
            })
        };
        let places = columns.iter().map(place).collect::<Result<Vec<_>>>()?;
        Self::new(
            self.genes.clone(),
            columns.to_vec(),
            self.mean.clone(),
            self.center.select(Axis(0), &places),
            self.loadings.select(Axis(1), &places),
        )
    }

    /// Where genes are among [its own](Self::genes).
    ///
    /// # Errors
    /// A gene that it does not know: the message has the closest names.
    pub fn find(&self, genes: &[String]) -> Result<Vec<usize>> {
        find(&self.genes, genes, "the coordinates know no gene")
    }

    /// Writes it to a file of safetensors.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let list = |names: &[String]| serde_json::to_string(names).expect("names are text");
        let of = |name: &str, numbers: ArrayView2<f64>, shape: Vec<usize>| Array {
            name: name.to_owned(),
            shape,
            values: numbers.iter().map(|x| *x as f32).collect(),
        };
        let (g, d) = self.loadings.dim();
        let arrays = [
            of("mean", self.mean.view().insert_axis(Axis(0)), vec![g]),
            of("center", self.center.view().insert_axis(Axis(0)), vec![d]),
            of("loadings", self.loadings.view(), vec![g, d]),
        ];
        let (genes, columns) = (list(&self.genes), list(&self.columns));
        write_arrays(path, &arrays, &[(GENES, &genes), (COLUMNS, &columns)])
    }

    /// Reads what [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged.
    pub fn load(path: &Path) -> Result<Self> {
        let load = || {
            let (arrays, said) = read_arrays(path)?;
            let list = |name: &str| -> Result<Vec<String>> {
                let text = said.get(name).map_or("", String::as_str);
                serde_json::from_str(text).map_err(|cause| {
                    let what = format!("expected a list of {name} beside the arrays");
                    Error::new(ErrorKind::Format, what).because(cause)
                })
            };
            let (genes, columns) = (list(GENES)?, list(COLUMNS)?);
            let (g, d) = (genes.len(), columns.len());
            let of = |name: &str, shape: &[usize]| -> Result<Vec<f64>> {
                let values = array(&arrays, name, shape)?;
                Ok(values.iter().map(|x| f64::from(*x)).collect())
            };
            let loadings = Array2::from_shape_vec((g, d), of("loadings", &[g, d])?);
            Self::new(
                genes,
                columns,
                of("mean", &[g])?.into(),
                of("center", &[d])?.into(),
                loadings.expect("as many numbers as the shape says"),
            )
        };
        load().map_err(|error| match error.kind() {
            ErrorKind::Io => error,
            _ => error.within(path.display()),
        })
    }
}

/// Checks that no gene is named twice.
pub(crate) fn check_distinct(genes: &[String]) -> Result<()> {
    let mut seen = std::collections::HashSet::new();
    let twice = genes.iter().find(|gene| !seen.insert(gene.as_str()));
    if let Some(gene) = twice {
        let what = format!(
            "two genes are named {gene:?}; give each its own name, in Python: \
             adata.var_names_make_unique()"
        );
        return Err(Error::new(ErrorKind::Format, what));
    }
    Ok(())
}

/// Where the `wanted` genes are among all; upper and lower case agree unless that leaves a choice.
pub(crate) fn find(all: &[String], wanted: &[String], no_gene: &str) -> Result<Vec<usize>> {
    let exact: HashMap<&str, usize> = all
        .iter()
        .enumerate()
        .map(|(place, name)| (name.as_str(), place))
        .collect();
    let place = |name: &String| {
        let mut loose = (0..all.len()).filter(|j| all[*j].eq_ignore_ascii_case(name));
        let found = exact
            .get(name.as_str())
            .copied()
            .or_else(|| loose.next().filter(|_| loose.next().is_none()));
        found.ok_or_else(|| {
            let near = match closest(name, all) {
                near if near.is_empty() => format!(
                    "none is named alike among {} genes, such as {}",
                    all.len(),
                    all.iter().take(5).cloned().collect::<Vec<_>>().join(", ")
                ),
                near => format!("the closest names are {}", near.join(", ")),
            };
            Error::new(ErrorKind::Missing, format!("{no_gene} {name:?}; {near}"))
        })
    };
    let places = wanted.iter().map(place).collect::<Result<Vec<_>>>()?;
    ensure!(
        !places.is_empty(),
        Value,
        "expected names of genes, got none"
    );
    Ok(places)
}

/// The names that are nearly this one.
pub(crate) fn closest<'a>(name: &str, names: &'a [String]) -> Vec<&'a str> {
    let lower = name.to_lowercase();
    let distance = |other: &String| strsim::levenshtein(&lower, &other.to_lowercase());
    let mut near: Vec<(usize, &str)> = names
        .iter()
        .map(|other| (distance(other), other.as_str()))
        .filter(|(distance, _)| 3 * distance <= lower.chars().count() + 1)
        .collect();
    near.sort();
    near.into_iter().take(5).map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn decoder() -> Decoder {
        Decoder::new(
            names(&["Gata1", "Spi1", "Klf1"]),
            names(&["X_pca1", "X_pca2"]),
            array![1.0, 2.0, 0.5],
            array![0.5, -1.0],
            array![[0.6, 0.0], [0.8, 0.0], [0.0, 1.0]],
        )
        .unwrap()
    }

    #[test]
    fn points_are_decoded_about_their_centre() {
        let decoder = decoder();
        let points = array![[0.5, -1.0], [1.5, 1.0]];
        let expected = array![[1.0, 2.0, 0.5], [1.6, 2.8, 2.5]];
        assert_eq!(decoder.decode(&points).unwrap(), expected);
        let moving = decoder.decode_velocities(&array![[1.0, -2.0]]).unwrap();
        assert_eq!(moving, array![[0.6, 0.8, -2.0]]);
        assert_eq!(decoder.seen().to_vec(), [0.6, 0.8, 1.0]);
        let second = decoder.on_columns(&names(&["X_pca2"])).unwrap();
        assert_eq!(
            second.decode(&array![[0.0]]).unwrap(),
            array![[1.0, 2.0, 1.5]]
        );
        let error = second.decode(&points).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Shape);
        let error = decoder.on_columns(&names(&["X_scVI1"])).unwrap_err();
        assert!(error.to_string().contains("X_pca1, X_pca2"), "{error}");
    }

    #[test]
    fn genes_are_found_or_the_closest_are_named() {
        let decoder = decoder();
        assert_eq!(decoder.find(&names(&["klf1", "Gata1"])).unwrap(), [2, 0]);
        let error = decoder.find(&names(&["Gata2"])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Missing);
        assert!(error.to_string().ends_with("names are Gata1"), "{error}");
        let error = decoder.find(&names(&["Haemoglobin"])).unwrap_err();
        assert!(error.to_string().contains("such as Gata1, Spi1"), "{error}");
        let twice = names(&["a", "a"]);
        let error = Decoder::of_genes(twice).unwrap_err();
        assert!(
            error.to_string().contains("var_names_make_unique"),
            "{error}"
        );
    }

    #[test]
    fn a_file_gives_it_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("genes.safetensors");
        // Numbers that single precision holds.
        let decoder = decoder().select(&[2, 0]).unwrap();
        let rounded = Decoder {
            loadings: decoder.loadings.mapv(|x| f64::from(x as f32)),
            ..decoder
        };
        rounded.save(&path).unwrap();
        assert_eq!(Decoder::load(&path).unwrap(), rounded);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 4]).unwrap();
        let error = Decoder::load(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format);
        assert!(error.to_string().contains("genes.safetensors"), "{error}");
    }
}
