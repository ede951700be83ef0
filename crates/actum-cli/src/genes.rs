//! Genes that are typed, and those behind the coordinates of a run.

use std::{fs, path::Path};

use actum::{
    data::{Genes, Keys},
    error::{Error, ErrorKind, Result},
    genes::Decoder,
    run::Run,
};

use crate::output;

/// The genes that a person chose: none of them named for `all`, else those of a file, one in each
/// line, or those between commas.
pub fn chosen(text: &str) -> Result<Option<Vec<String>>> {
    if text == "all" {
        return Ok(None);
    }
    let path = Path::new(text);
    let names = match path.is_file() {
        true => fs::read_to_string(path).map_err(|cause| Error::io("read", path, cause))?,
        false => text.replace(',', "\n"),
    };
    let names: Vec<String> = names
        .lines()
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    match names.is_empty() {
        true => Err(Error::new(
            ErrorKind::Value,
            format!("{text}: expected all, names of genes between commas, or a file of them"),
        )),
        false => Ok(Some(names)),
    }
}

/// The decoder of a run for the genes that a person chose.
pub fn of_run(run: &Run, text: &str) -> Result<Decoder> {
    let genes = run.genes()?;
    match chosen(text)? {
        None => Ok(genes),
        Some(names) => genes.select(&genes.find(&names)?),
    }
}

/// The decoder of a run, if it has one.
pub fn known(run: &Run) -> Result<Option<Decoder>> {
    match run.genes() {
        Err(error) if error.kind() == ErrorKind::Missing => Ok(None),
        genes => genes.map(Some),
    }
}

/// Keeps the genes behind the coordinates of a run, where its file tells them; says how many they
/// are.
pub fn keep(run: &Run, file: &Path, keys: &Keys) -> Result<Option<usize>> {
    if !Genes::reads(file) {
        return Ok(None);
    }
    let columns = &run.snapshots()?.1.columns;
    match Genes::open(file, keys).and_then(|genes| genes.decoder(columns)) {
        Ok((decoder, _)) => {
            run.keep_genes(&decoder)?;
            Ok(Some(decoder.genes().len()))
        }
        Err(error) if error.kind() == ErrorKind::Missing => Ok(None),
        Err(error) if error.kind() == ErrorKind::Io => Err(error),
        Err(error) => {
            let error = output::with_flags(&error.to_string());
            output::say(&format!("warning: the run knows no genes: {error}"));
            Ok(None)
        }
    }
}
