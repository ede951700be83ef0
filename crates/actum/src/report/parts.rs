//! What the sections of a report are made of.

use serde::Serialize;

use crate::plot::Picture;

/// A part of a page with a title.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Section {
    /// Its title.
    pub title: String,
    /// What it shows, in order.
    pub parts: Vec<Part>,
}

/// A part of a section.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// A paragraph.
    Text(String),
    /// Sentences, each of its own.
    List(Vec<String>),
    /// A table.
    Table(Table),
    /// A drawing.
    Chart(Chart),
    /// A text as it stands in a file.
    Code {
        /// What it is.
        title: String,
        /// The text.
        text: String,
        /// The name of the file.
        file: Option<String>,
    },
    /// Images.
    Image(Raster),
    /// Two pictures of one size, of which a slider shows one over the other.
    Compare {
        /// What changed.
        title: String,
        /// What is below.
        before: Raster,
        /// What is above.
        after: Raster,
    },
}

/// Rows under names.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// What it is, in a few words; its files are called so.
    pub title: String,
    /// The names of its columns.
    pub columns: Vec<String>,
    /// Its rows, each with a cell for every column.
    pub rows: Vec<Vec<Cell>>,
    /// The row that is the result, where the others are its references.
    pub result: Option<usize>,
    /// Whether it is closed until a reader opens it.
    pub folded: bool,
}

/// A cell of a table.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Cell {
    /// A text.
    Text(String),
    /// A count.
    Count(usize),
    /// A number, shown with about four digits and kept with all.
    Number(f64),
    /// Nothing is known.
    Empty,
}

/// A drawing, and what it is for those who do not see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Chart {
    /// What it shows, in a sentence.
    pub about: String,
    /// The SVG.
    pub svg: String,
}

/// A picture of pixels.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Raster {
    /// What it shows, in a sentence.
    pub about: String,
    /// The bytes of a PNG file.
    #[serde(skip)]
    pub png: Vec<u8>,
}

impl Section {
    pub(super) fn new(title: &str, parts: Vec<Part>) -> Self {
        Self {
            title: title.to_owned(),
            parts,
        }
    }
}

impl Chart {
    /// A drawing of an SVG of this library.
    pub fn new(picture: &Picture, about: impl Into<String>) -> Self {
        Self {
            about: about.into(),
            svg: picture.svg().to_owned(),
        }
    }
}

impl Table {
    pub(super) fn new(title: impl Into<String>, columns: &[&str]) -> Self {
        Self {
            title: title.into(),
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            rows: vec![],
            result: None,
            folded: false,
        }
    }

    /// The rows under their names, with a tab between cells. Tabs and ends of lines in a text
    /// become spaces.
    pub fn tsv(&self) -> String {
        let plain = |text: &str| text.replace(['\t', '\r', '\n'], " ");
        let line = |cells: Vec<String>| cells.join("\t") + "\n";
        let mut text = line(self.columns.iter().map(|name| plain(name)).collect());
        for row in &self.rows {
            let cells = row.iter().map(|cell| match cell {
                Cell::Text(text) => plain(text),
                Cell::Count(n) => n.to_string(),
                Cell::Number(x) => x.to_string(),
                Cell::Empty => String::new(),
            });
            text += &line(cells.collect());
        }
        text
    }

    /// An object with the title, the names of the columns and the rows, as JSON.
    pub fn json(&self) -> String {
        let of = serde_json::json!({
            "title": self.title,
            "columns": self.columns,
            "rows": self.rows,
        });
        serde_json::to_string(&of).expect("a table is plain data")
    }
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// As a person reads it.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Count(n) => thousands(*n),
            Self::Number(x) => number(*x),
            Self::Empty => "–".to_owned(),
        }
    }
}

impl From<f64> for Cell {
    /// What is not finite is not known.
    fn from(x: f64) -> Self {
        match x.is_finite() {
            true => Self::Number(x),
            false => Self::Empty,
        }
    }
}

impl From<Option<f64>> for Cell {
    fn from(x: Option<f64>) -> Self {
        x.map_or(Self::Empty, Self::from)
    }
}

/// A number with about four significant digits.
pub(super) fn number(x: f64) -> String {
    match x.abs() {
        0.0 => "0".to_owned(),
        a if !(1e-3..1e5).contains(&a) => format!("{x:.2e}"),
        a if a >= 1000.0 => format!("{x:.0}"),
        a if a >= 10.0 => format!("{x:.2}"),
        _ => format!("{x:.4}"),
    }
}

/// `1,234,567`.
pub(super) fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<_> = groups.map(String::from_utf8_lossy).collect();
    groups.join(",")
}

/// `1 point`, `2 points`.
pub(super) fn count(n: usize, word: &str) -> String {
    format!("{} {word}{}", thousands(n), if n == 1 { "" } else { "s" })
}
