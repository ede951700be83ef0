//! Genes that are typed, and those behind the coordinates of a run.

use std::{fs, path::Path};

use actum::{
    error::{Error, ErrorKind, Result},
    genes::Decoder,
    run::Run,
};

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
