//! The cells of a file as a run sees them, with what else the file says of them.

use std::{
    ops::ControlFlow,
    path::{Path as FilePath, PathBuf},
};

use super::Run;
use crate::{
    data::{self, Attribute, Genes, Keys, Snapshots, TableReader},
    dynamics::Dynamics,
    error::{Error, ErrorKind, Result},
    fates::{self, Change, Destinations, Driver, Effect, Fates, Perturbed, Terminal, To, Trend},
    genes::Decoder,
};

/// All cells of a file. What is asked of them (fates, genes, changes) needs labels or genes beside
/// the coordinates.
#[derive(Debug, Clone)]
pub struct Cells {
    /// The file.
    pub path: PathBuf,
    /// Where in it the coordinates are.
    pub keys: Keys,
    /// The cells, as the run sees them.
    pub snapshots: Snapshots,
    /// The rows of the cells in the file, in the order of the snapshots, `[n]`.
    pub rows: Vec<usize>,
    /// What was converted or supposed to see them so.
    pub notes: Vec<String>,
    attributes: Vec<Attribute>,
}

/// What genes say of fates.
#[derive(Debug, Clone, PartialEq)]
pub struct FateGenes {
    /// For every fate the genes that go with it, the strongest first.
    pub drivers: Vec<Vec<Driver>>,
    /// The trends of the chosen genes.
    pub trends: Vec<Trend>,
}

/// What a change of every gene alone would do.
#[derive(Debug, Clone, PartialEq)]
pub struct Screen {
    /// The genes.
    pub genes: Vec<String>,
    /// What a change of each does to every fate.
    pub effects: Vec<Vec<Effect>>,
    /// How many genes were left out, because the coordinates hardly see them.
    pub unseen: usize,
}

/// How many of the strongest drivers of a fate have trends where no genes are chosen.
const STRONGEST: usize = 3;

impl Run {
    /// Reads all cells of a file.
    ///
    /// # Errors
    /// A run of images; as [`view`](Run::view); a file that cannot be read.
    pub fn cells(&self, path: &FilePath) -> Result<Cells> {
        let (all, rows, attributes, keys) = self.read_by(|keys| {
            let keys = Keys {
                velocity_key: None,
                ..keys.clone()
            };
            let table = TableReader::open(path, &keys)?;
            let rows = table.order();
            let all = table.read()?;
            let attributes = data::read_attributes(path, &keys, all.columns())?;
            let attributes = attributes.iter().map(|a| a.select(&rows)).collect();
            Ok((all, rows, attributes, keys))
        })?;
        let known = all.notes().len();
        let snapshots = self.view(&all).map_err(|e| e.within(path.display()))?;
        Ok(Cells {
            path: path.to_owned(),
            keys,
            notes: snapshots.notes()[known..].to_vec(),
            snapshots,
            rows,
            attributes,
        })
    }

    /// The genes behind the coordinates of the run, if it knows some.
    ///
    /// # Errors
    /// A damaged file.
    pub fn known_genes(&self) -> Result<Option<Decoder>> {
        match self.genes() {
            Err(error) if error.kind() == ErrorKind::Missing => Ok(None),
            genes => genes.map(Some),
        }
    }
}

impl Cells {
    /// A column that is no coordinate.
    ///
    /// # Errors
    /// No such column (`Missing`); the message lists those there are.
    pub fn attribute(&self, name: &str) -> Result<&Attribute> {
        let found = self.attributes.iter().find(|a| a.name == name);
        found.ok_or_else(|| {
            let names = self.attributes.iter().map(|a| &a.name);
            Error::missing(format!("column {name:?}"), names).within(self.path.display())
        })
    }

    /// The names of the cells, `[n]`; their rows where the format has none.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn names(&self) -> Result<Vec<String>> {
        if !data::annotates(&self.path) {
            return Ok(self.rows.iter().map(usize::to_string).collect());
        }
        let names = data::cell_names(&self.path)?;
        Ok(self.rows.iter().map(|row| names[*row].clone()).collect())
    }

    /// Labels that end paths, each written as `LABEL` or `LABEL@TIME`. A label may have an @ of its
    /// own.
    pub fn terminal(&self, written: &[String]) -> Vec<Terminal> {
        let axis = self.snapshots.axis();
        let each = written.iter().map(|text| {
            let timed = text.rsplit_once('@');
            let timed = timed.and_then(|(label, time)| Some((label, axis.value_of(time).ok()?)));
            match timed {
                Some((label, at)) => Terminal {
                    label: label.to_owned(),
                    at: Some(at),
                },
                None => Terminal {
                    label: text.clone(),
                    at: None,
                },
            }
        });
        each.collect()
    }

    /// Where cells end, by a column of labels.
    ///
    /// # Errors
    /// As [`attribute`](Cells::attribute) and [`Destinations::new`].
    pub fn destinations<'a>(
        &self,
        dynamics: &'a Dynamics,
        label_key: &str,
        options: fates::Options,
    ) -> Result<Destinations<'a>> {
        let labels = self.attribute(label_key)?;
        Destinations::new(dynamics, &self.snapshots, labels, options)
            .map_err(|e| e.within(self.path.display()))
    }

    /// The drivers of every fate, and the trends of the genes that are `chosen`: all for
    /// `Some(None)`, and the strongest drivers for None. None where the file has no genes and none
    /// were chosen.
    ///
    /// # Errors
    /// A file without genes, or that cannot be read; no such gene.
    pub fn genes_of(
        &self,
        run: &Run,
        dynamics: &Dynamics,
        told: &Fates,
        chosen: Option<Option<&[String]>>,
    ) -> Result<Option<FateGenes>> {
        if chosen.is_none() && !Genes::reads(&self.path) {
            return Ok(None);
        }
        let genes = Genes::open(&self.path, &self.keys)?;
        let (decoder, seed) = (run.known_genes()?, run.snapshots()?.0.fit.seed);
        let (snapshots, rows) = (&self.snapshots, &self.rows);
        let drivers = fates::drivers(
            &genes,
            rows,
            snapshots,
            told,
            dynamics,
            decoder.as_ref(),
            seed,
        )?;
        let chosen = match chosen {
            Some(None) => (0..genes.names().len()).collect(),
            Some(Some(names)) => genes.find(names)?,
            None => {
                let strongest = drivers.iter().flat_map(|all| all.iter().take(STRONGEST));
                let mut names: Vec<String> = vec![];
                for driver in strongest.filter(|driver| driver.association.is_some()) {
                    if !names.contains(&driver.gene) {
                        names.push(driver.gene.clone());
                    }
                }
                match names.is_empty() {
                    true => vec![],
                    false => genes.find(&names)?,
                }
            }
        };
        let trends = fates::trends(&genes, &chosen, rows, snapshots, told)?;
        Ok(Some(FateGenes { drivers, trends }))
    }

    /// What changes of expression in the cells of time `at` would do to their fates, and how far
    /// they shift the cells, in spreads.
    ///
    /// # Errors
    /// A run that knows no genes; no such gene; as [`Perturbed`].
    pub fn perturb(
        &self,
        run: &Run,
        destinations: &Destinations,
        at: usize,
        changes: &[Change],
    ) -> Result<(Vec<Effect>, f64)> {
        let decoder = run.genes()?;
        let changed = self.perturbed(destinations, &decoder, at)?;
        let names: Vec<String> = changes.iter().map(|change| change.gene.clone()).collect();
        let genes = Genes::open(&self.path, &self.keys)?;
        let in_file = genes.find(&names)?;
        let places = decoder.find(&names).map_err(unseen)?;
        let expression = genes.table(self.rows_at(at), &in_file)?;
        let known = places.iter().zip(changes);
        let known: Vec<_> = known.map(|(gene, change)| (*gene, change.to)).collect();
        changed.effect(&known, expression.view())
    }

    /// What a change of each of the `chosen` genes alone, all for None, would do to the fates of the
    /// cells of time `at`.
    ///
    /// # Errors
    /// As [`perturb`](Cells::perturb); `progress` that asks to stop.
    pub fn screen(
        &self,
        run: &Run,
        destinations: &Destinations,
        at: usize,
        chosen: Option<&[String]>,
        to: To,
        progress: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
    ) -> Result<Screen> {
        let decoder = run.genes()?;
        let changed = self.perturbed(destinations, &decoder, at)?;
        let chosen = match chosen {
            None => (0..decoder.genes().len()).collect(),
            Some(names) => decoder.find(names).map_err(unseen)?,
        };
        let (seen, faint): (Vec<usize>, Vec<usize>) = chosen
            .into_iter()
            .partition(|gene| changed.check_seen(*gene).is_ok());
        if let (Some(first), true) = (faint.first(), seen.is_empty()) {
            changed.check_seen(*first)?;
        }
        let names: Vec<String> = seen.iter().map(|g| decoder.genes()[*g].clone()).collect();
        let genes = Genes::open(&self.path, &self.keys)?;
        let expression = genes.table(self.rows_at(at), &genes.find(&names)?)?;
        Ok(Screen {
            effects: fates::screen(&changed, &seen, to, &expression, progress)?,
            genes: names,
            unseen: faint.len(),
        })
    }

    fn perturbed<'a>(
        &'a self,
        destinations: &'a Destinations,
        decoder: &'a Decoder,
        at: usize,
    ) -> Result<Perturbed<'a>> {
        let cloud = self.snapshots.cloud(at);
        let time = self.snapshots.times()[at];
        Perturbed::new(destinations, decoder, cloud.points(), cloud.weights(), time)
    }

    /// The rows in the file of the cells of a time.
    fn rows_at(&self, at: usize) -> &[usize] {
        let before: usize = self.snapshots.clouds()[..at].iter().map(|c| c.len()).sum();
        &self.rows[before..before + self.snapshots.cloud(at).len()]
    }
}

/// A gene that the file may have and the coordinates do not know.
fn unseen(error: Error) -> Error {
    error.within("genes without loadings cannot be changed")
}
