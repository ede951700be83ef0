//! Data frames: `obs`, `var`, and those in `obsm`.

use super::file::{Array, File, Kind};
use crate::{
    data::{
        attributes::Values,
        reader::{Labels, Times, decimal, half_decimal},
    },
    error::{Error, ErrorKind, Result, ensure},
};

/// How many texts are read at once.
const SOME: usize = 1 << 16;

/// A data frame whose columns are still to be read.
pub(super) struct Frame<'a> {
    file: &'a File,
    /// Where it is in the file.
    pub place: String,
    /// The names of its columns, without that of the index.
    pub names: Vec<String>,
    /// The name of the index.
    pub index: String,
    pub rows: usize,
}

/// A column, read.
pub(super) enum Column {
    /// NaN where there is none, and NumPy's word for their type.
    Numbers(Vec<f64>, &'static str),
    Texts(Texts),
    Truths(Texts),
}

/// For each row a text of the list, or none.
pub(super) struct Texts {
    list: Vec<String>,
    codes: Vec<Option<u32>>,
}

impl Texts {
    fn get(&self, row: usize) -> Option<&str> {
        self.codes[row].map(|code| self.list[code as usize].as_str())
    }
}

fn damaged(place: &str, what: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Format,
        format!("{place:?} {what}; the file may be damaged"),
    )
}

/// What is at a place where a column may be.
enum Stored {
    List(Array),
    /// Codes of a list of categories.
    Coded(Array, Box<Stored>),
    /// Values, and which of them are missing.
    Masked(Array, Array),
}

impl Stored {
    fn find(file: &File, place: &str, shared: Option<&str>) -> Result<Option<Self>> {
        let part = |name: &str| {
            let array = file.array(&format!("{place}/{name}"))?;
            array.ok_or_else(|| damaged(place, format_args!("has no {name:?}")))
        };
        if let Some(list) = file.array(place)? {
            let categories = shared.map(|shared| file.array(shared)).transpose()?;
            return Ok(Some(match categories.flatten() {
                Some(categories) => Self::Coded(list, Box::new(Self::List(categories))),
                None => Self::List(list),
            }));
        } else if !file.is_group(place) {
            return Ok(None);
        }
        let encoding = file.text(place, "encoding-type").unwrap_or_default();
        Ok(Some(match encoding.as_str() {
            "categorical" => {
                let categories = Self::find(file, &format!("{place}/categories"), None)?;
                let categories = categories.filter(|found| !matches!(found, Self::Coded(..)));
                let categories =
                    categories.ok_or_else(|| damaged(place, "has no list of categories"))?;
                Self::Coded(part("codes")?, Box::new(categories))
            }
            "nullable-integer" | "nullable-boolean" | "nullable-string-array" => {
                Self::Masked(part("values")?, part("mask")?)
            }
            _ => {
                let what = format!(
                    "{place:?} is stored in a way that is not read ({encoding:?}); make it a column of \
                     numbers or text"
                );
                return Err(Error::new(ErrorKind::Format, what));
            }
        }))
    }

    fn len(&self) -> usize {
        match self {
            Self::List(list) | Self::Coded(list, _) | Self::Masked(list, _) => list.len(),
        }
    }

    /// In a few words.
    fn about(&self) -> Result<String> {
        Ok(match self {
            Self::Masked(list, _) if list.kind != Kind::Text => {
                of(list.kind).to_owned() + ", some may be missing"
            }
            Self::List(list) | Self::Masked(list, _) => of(list.kind).to_owned(),
            Self::Coded(_, categories) => {
                const SHOWN: usize = 8;
                let count = categories.len();
                let shown = categories.read(count.min(SHOWN))?;
                let shown: Vec<String> = (0..count.min(SHOWN)).map(|row| shown.text(row)).collect();
                let more = if count > SHOWN { ", ..." } else { "" };
                let word = if count == 1 { "category" } else { "categories" };
                format!("{count} {word}: {}{more}", shown.join(", "))
            }
        })
    }

    /// The first `rows` of its rows.
    fn read(&self, rows: usize) -> Result<Column> {
        match self {
            Self::List(list) => plain(list, rows, None),
            Self::Masked(list, mask) => {
                mask.check_list(list.len())?;
                plain(list, rows, Some(mask.numbers(0, rows)?))
            }
            Self::Coded(codes, categories) => {
                let count = categories.len();
                let categories = categories.read(count)?;
                let place = &codes.place;
                let codes = codes.numbers(0, rows)?.into_iter().map(|code| match code {
                    -1.0 => Ok(None),
                    code if (0.0..count as f64).contains(&code) => Ok(Some(code as u32)),
                    code => {
                        let what = format_args!("has the code {code} of {count} categories");
                        Err(damaged(place, what))
                    }
                });
                let codes = codes.collect::<Result<Vec<_>>>()?;
                Ok(match categories {
                    Column::Numbers(values, of) => {
                        let value =
                            |code: Option<u32>| code.map_or(f64::NAN, |i| values[i as usize]);
                        Column::Numbers(codes.into_iter().map(value).collect(), of)
                    }
                    Column::Texts(texts) => Column::Texts(texts.coded(&codes)),
                    Column::Truths(texts) => Column::Truths(texts.coded(&codes)),
                })
            }
        }
    }
}

impl Texts {
    /// The texts of these codes of its rows.
    fn coded(self, codes: &[Option<u32>]) -> Self {
        let code = |code: &Option<u32>| code.and_then(|row| self.codes[row as usize]);
        Self {
            codes: codes.iter().map(code).collect(),
            list: self.list,
        }
    }
}

fn of(kind: Kind) -> &'static str {
    match kind {
        Kind::Number(of) => of,
        Kind::Text => "text",
        Kind::Truth => "true or false",
        Kind::Else => "of a type that is not read",
    }
}

/// The first `rows` items of a list, without those that a mask marks as missing.
fn plain(list: &Array, rows: usize, mask: Option<Vec<f64>>) -> Result<Column> {
    let is_missing = |row: usize| mask.as_ref().is_some_and(|mask| mask[row] != 0.0);
    match list.kind {
        Kind::Text => {
            let (mut list_of, mut codes) = (vec![], Vec::new());
            let mut known = std::collections::HashMap::new();
            for start in (0..rows).step_by(SOME) {
                for text in list.texts(start, SOME.min(rows - start))? {
                    let code = match known.get(&text) {
                        Some(code) => *code,
                        None => {
                            let code = list_of.len() as u32;
                            list_of.push(text.clone());
                            known.insert(text, code);
                            code
                        }
                    };
                    codes.push((!is_missing(codes.len())).then_some(code));
                }
            }
            Ok(Column::Texts(Texts {
                list: list_of,
                codes,
            }))
        }
        Kind::Truth => {
            let truths = list.numbers(0, rows)?.into_iter().enumerate();
            let codes = truths.map(|(row, x)| (!is_missing(row)).then_some(u32::from(x != 0.0)));
            Ok(Column::Truths(Texts {
                list: ["False", "True"].map(str::to_owned).to_vec(),
                codes: codes.collect(),
            }))
        }
        Kind::Number(of) => {
            let mut numbers = list.numbers(0, rows)?;
            for (row, x) in numbers.iter_mut().enumerate() {
                *x = if is_missing(row) { f64::NAN } else { *x };
            }
            Ok(Column::Numbers(numbers, of))
        }
        Kind::Else => Err(Error::new(
            ErrorKind::Format,
            format!("{:?} is of a type that is not read", list.place),
        )),
    }
}

impl Column {
    /// The value of a row as text, empty where there is none.
    fn text(&self, row: usize) -> String {
        match self {
            Self::Numbers(numbers, _) if numbers[row].is_nan() => String::new(),
            Self::Numbers(numbers, of) => as_written(numbers[row], of).to_string(),
            Self::Texts(texts) | Self::Truths(texts) => {
                texts.get(row).unwrap_or_default().to_owned()
            }
        }
    }

    pub(super) fn values(&self, rows: usize) -> Values {
        let mut values = Values::default();
        match self {
            Self::Numbers(numbers, of) => numbers
                .iter()
                .for_each(|x| values.push_number(as_written(*x, of))),
            Self::Texts(texts) | Self::Truths(texts) => {
                (0..rows).for_each(|row| values.push(texts.get(row).unwrap_or_default()));
            }
        }
        values
    }
}

/// The number a person wrote who now has it in fewer bits.
fn as_written(x: f64, of: &str) -> f64 {
    match of {
        "float32" => decimal(x),
        "float16" => half_decimal(x),
        _ => x,
    }
}

impl<'a> Frame<'a> {
    /// The data frame at a place, if there is one.
    pub(super) fn open(file: &'a File, place: &str) -> Result<Option<Self>> {
        if file
            .array(place)?
            .is_some_and(|array| array.kind == Kind::Else)
        {
            let what = format!(
                "{place:?} is stored as anndata did before version 0.7; read and write the file with a \
                 newer one, in Python: anndata.read_h5ad(file).write_h5ad(file)"
            );
            return Err(Error::new(ErrorKind::Format, what));
        }
        if !file.is_group(place) {
            return Ok(None);
        }
        let children = file.children(place);
        let known = || {
            ["_index", "index"]
                .into_iter()
                .find(|name| children.iter().any(|c| c == name))
        };
        let index = file.text(place, "_index");
        let index = index.or_else(|| known().map(str::to_owned));
        let Some(index) = index else {
            return Ok(None);
        };
        let stored = Stored::find(file, &format!("{place}/{index}"), None)?;
        let rows = stored.ok_or_else(|| damaged(place, format_args!("has no index {index:?}")))?;
        let names = file.texts(place, "column-order").unwrap_or_else(|| {
            let others = children.into_iter();
            others
                .filter(|name| *name != index && name != "__categories")
                .collect()
        });
        Ok(Some(Self {
            file,
            place: place.to_owned(),
            names,
            index,
            rows: rows.len(),
        }))
    }

    fn find(&self, name: &str) -> Result<Stored> {
        let place = format!("{}/{name}", self.place);
        let shared = format!("{}/__categories/{name}", self.place);
        let stored = Stored::find(self.file, &place, Some(&shared))?;
        stored.ok_or_else(|| {
            Error::missing(format!("column {name:?} of {}", self.place), &self.names)
        })
    }

    /// What a column holds, in a few words.
    pub(super) fn about(&self, name: &str) -> String {
        let about = self.find(name).and_then(|stored| stored.about());
        about.unwrap_or_else(|_| "it cannot be read".to_owned())
    }

    /// A column, or the index by its name.
    pub(super) fn column(&self, name: &str) -> Result<Column> {
        let stored = self.find(name)?;
        ensure!(
            stored.len() == self.rows,
            Shape,
            "{} has {} rows, and its column {name:?} has {}",
            self.place,
            self.rows,
            stored.len()
        );
        stored.read(self.rows)
    }

    /// The texts of the index.
    pub(super) fn index(&self) -> Result<Vec<String>> {
        let index = self.column(&self.index)?;
        Ok((0..self.rows).map(|row| index.text(row)).collect())
    }

    /// Whether the index counts the rows, as it does where nobody named them.
    pub(super) fn index_counts(&self) -> Result<bool> {
        let index = self.column(&self.index)?;
        Ok((0..self.rows).all(|row| index.text(row) == row.to_string()))
    }

    /// The numbers of a column, NaN where there is none.
    pub(super) fn numbers(&self, name: &str) -> Result<Vec<f64>> {
        let got = match self.column(name)? {
            Column::Numbers(numbers, _) => return Ok(numbers),
            Column::Texts(_) => "text",
            Column::Truths(_) => "true or false",
        };
        Err(Error::new(
            ErrorKind::Format,
            format!(
                "column {name:?} of {}: expected numbers, got {got}",
                self.place
            ),
        ))
    }

    /// A column as times.
    pub(super) fn times(&self, name: &str) -> Result<Times> {
        let column = self.column(name)?;
        let is_missing = |row: &usize| match &column {
            Column::Numbers(numbers, _) => numbers[*row].is_nan(),
            Column::Texts(texts) | Column::Truths(texts) => texts.get(*row).is_none(),
        };
        let missing = (0..self.rows).filter(is_missing).count();
        let first = (0..self.rows).find(is_missing).unwrap_or_default();
        ensure!(
            missing == 0,
            Value,
            "column {name:?} of {}: {missing} of {} times are missing, the first at row {first} \
             (counted from 0); remove those rows, in Python: adata[adata.obs[{name:?}].notna()]",
            self.place,
            self.rows
        );
        match column {
            Column::Numbers(numbers, of) => {
                let numbers = numbers.into_iter().map(|x| as_written(x, of));
                Ok(Times::Numbers(numbers.collect()))
            }
            Column::Texts(texts) => {
                let mut labels = Labels::default();
                (0..self.rows).for_each(|row| labels.push(texts.get(row).unwrap_or_default()));
                Ok(Times::Labels(labels))
            }
            Column::Truths(_) => Err(Error::new(
                ErrorKind::Format,
                format!(
                    "column {name:?} of {}: expected times, got true or false",
                    self.place
                ),
            )),
        }
    }
}
