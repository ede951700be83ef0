//! The genes of a file.

use std::path::{Path, PathBuf};

use ndarray::Array2;

use super::{Format, Keys, extensions, formats::GeneReader, within};
use crate::{
    error::{Error, ErrorKind, Result},
    genes::{self, Decoder, Normalized},
};

/// The genes of an AnnData file and their expression in every cell, `X`, which is never in memory as
/// a whole. Where [`Keys::pca`] makes the coordinates of counts, the expression is what these are
/// brought to: ln(1 + x), x in parts of 10,000 of a cell.
pub struct Genes {
    path: PathBuf,
    keys: Keys,
    normalizes: bool,
    reader: &'static GeneReader,
    names: Vec<String>,
    cells: usize,
}

impl Genes {
    /// Whether genes are read from files of the format that the extension of this path names.
    pub fn reads(path: &Path) -> bool {
        Format::of(path).is_ok_and(|format| format.genes.is_some())
    }

    /// Reads the names; the keys are those of the coordinates.
    ///
    /// # Errors
    /// Another format than AnnData; a file that is missing, truncated or damaged, without `X`, or in
    /// which two genes have one name.
    pub fn open(path: &Path, keys: &Keys) -> Result<Self> {
        within(path, || {
            let reader = Format::of(path)?.genes.as_ref();
            let reader = reader.ok_or_else(|| {
                let known = extensions(|format| format.genes.is_some());
                let what = format!("genes are read from {known} alone");
                Error::new(ErrorKind::Format, what)
            })?;
            let (names, cells, normalizes) = (reader.names)(path, keys)?;
            genes::check_distinct(&names)?;
            Ok(Self {
                path: path.to_owned(),
                keys: keys.clone(),
                normalizes,
                reader,
                names,
                cells,
            })
        })
    }

    /// The names of the genes, `[g]`.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many cells there are.
    pub fn cells(&self) -> usize {
        self.cells
    }

    /// Where genes are among [all](Self::names).
    ///
    /// # Errors
    /// A gene that the file does not have: the message has the closest names.
    pub fn find(&self, genes: &[String]) -> Result<Vec<usize>> {
        within(&self.path, || {
            genes::find(&self.names, genes, "there is no gene")
        })
    }

    /// Calls `take` with the row, the gene and the number for every number of the expression that is
    /// not 0, in the order in which they are stored.
    ///
    /// # Errors
    /// A damaged file, numbers that are not finite, and, where counts are normalised, what is none.
    pub fn each(&self, take: &mut dyn FnMut(usize, usize, f64)) -> Result<()> {
        within(&self.path, || {
            if !self.normalizes {
                return (self.reader.each)(&self.path, take);
            }
            let (mut normalized, mut row) = (Normalized::new(&self.names), 0);
            (self.reader.counts)(&self.path, &self.keys, &mut |genes, counts| {
                let (numbers, _) = normalized.next(genes, counts)?;
                genes
                    .iter()
                    .zip(numbers)
                    .for_each(|(gene, x)| take(row, *gene, *x));
                row += 1;
                Ok(())
            })
        })
    }

    /// The expression of these genes in these rows of the file, `[rows, genes]`.
    ///
    /// # Errors
    /// As [`each`](Self::each).
    ///
    /// # Panics
    /// If there is no such row or gene.
    pub fn table(&self, rows: &[usize], genes: &[usize]) -> Result<Array2<f64>> {
        let slots = |count: usize, chosen: &[usize]| {
            let mut slots = vec![vec![]; count];
            for (slot, place) in chosen.iter().enumerate() {
                slots[*place].push(slot);
            }
            slots
        };
        let (of_row, of_gene) = (slots(self.cells, rows), slots(self.names.len(), genes));
        let mut table = Array2::zeros((rows.len(), genes.len()));
        self.each(&mut |row, gene, x| {
            for i in &of_row[row] {
                of_gene[gene].iter().for_each(|j| table[[*i, *j]] += x);
            }
        })?;
        Ok(table)
    }

    /// The decoder of coordinates of these names: [`Keys::decoder`] where counts are normalised;
    /// else `varm["PCs"]` with the means of `X` and of
    /// `X_pca` over all cells, for the genes that have loadings, or the genes themselves where these
    /// are the coordinates. Also how far `(X - mean) PCs` is from `X_pca` on a sample of at most 1000
    /// cells: the root mean square, as a share of that of `X_pca` about its mean.
    ///
    /// # Errors
    /// [`Missing`](ErrorKind::Missing) where the file has no loadings or the coordinates are not
    /// those of `X_pca`; loadings of another shape; [`Value`](ErrorKind::Value) where that share is
    /// above 0.01: the loadings are not those of `X` as it is in the file.
    pub fn decoder(&self, columns: &[String]) -> Result<(Decoder, f64)> {
        if let Some(decoder) = self.keys.decoder.as_deref().filter(|_| self.normalizes) {
            return Ok((decoder.on_columns(columns)?, 0.0));
        }
        let is_gene = |name: &String| self.names.contains(name);
        if columns.iter().all(is_gene) {
            return Ok((Decoder::of_genes(columns.to_vec())?, 0.0));
        }
        within(&self.path, || {
            let (decoder, error) = (self.reader.decoder)(&self.path)?;
            Ok((decoder.on_columns(columns)?, error))
        })
    }
}
