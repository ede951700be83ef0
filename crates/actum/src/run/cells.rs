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

    /// How fates are told, with the seed of the run. Labels that end paths are written as `LABEL` or
    /// `LABEL@TIME`; a label may have an @ of its own.
    ///
    /// # Errors
    /// A run of images.
    pub fn fate_options(
        &self,
        run: &Run,
        terminal: &[String],
        neighbours: usize,
        paths: usize,
    ) -> Result<fates::Options> {
        let axis = self.snapshots.axis();
        let terminal = terminal.iter().map(|text| {
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
        Ok(fates::Options {
            terminal: terminal.collect(),
            neighbours,
            paths,
            seed: run.snapshots()?.0.fit.seed,
            ..fates::Options::default()
        })
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

    /// The drivers of every fate, see [`fates::drivers`].
    ///
    /// # Errors
    /// A file without genes, or that cannot be read.
    pub fn drivers(
        &self,
        run: &Run,
        dynamics: &Dynamics,
        told: &Fates,
    ) -> Result<Vec<Vec<Driver>>> {
        let genes = Genes::open(&self.path, &self.keys)?;
        let (decoder, seed) = (run.known_genes()?, run.snapshots()?.0.fit.seed);
        let (snapshots, rows) = (&self.snapshots, &self.rows);
        fates::drivers(
            &genes,
            rows,
            snapshots,
            told,
            dynamics,
            decoder.as_ref(),
            seed,
        )
    }

    /// The trends of these genes, all for None, see [`fates::trends`].
    ///
    /// # Errors
    /// As [`drivers`](Cells::drivers); no such gene.
    pub fn trends(&self, told: &Fates, chosen: Option<&[String]>) -> Result<Vec<Trend>> {
        let genes = Genes::open(&self.path, &self.keys)?;
        let chosen = match chosen {
            None => (0..genes.names().len()).collect(),
            Some([]) => return Ok(vec![]),
            Some(names) => genes.find(names)?,
        };
        fates::trends(&genes, &chosen, &self.rows, &self.snapshots, told)
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
