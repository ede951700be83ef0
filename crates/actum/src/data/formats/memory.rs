//! Tables in memory: what another program hands over, looked at as files are.

use ndarray::{ArcArray2, Array2, s};

use super::columns::{self, Content, Facts, Why};
use crate::{
    data::{
        Keys,
        reader::{Chunk, Head, Labels, Take, Times, chunk_rows, decimal, half_decimal},
        snapshots::Finite,
    },
    error::{Error, ErrorKind, Result, ensure},
};

/// The values of a column, one for each row.
#[derive(Debug, Clone)]
pub enum Values {
    /// Numbers, NaN where there is none.
    Numbers(Vec<f64>),
    /// Numbers that were in single precision.
    Singles(Vec<f64>),
    /// Numbers that were in half precision.
    Halves(Vec<f64>),
    /// Durations in seconds, NaN where there is none.
    Seconds(Vec<f64>),
    /// Texts of a list, by their places in it; below 0 where there is none.
    Texts {
        /// The different texts.
        list: Vec<String>,
        /// The place of each row's text in the list.
        codes: Vec<i64>,
    },
    /// True or false, which no role takes; so many.
    Truths(usize),
    /// Dates or times of day, which no role takes; so many.
    Dates(usize),
    /// Something else, which no role takes; so many.
    Else(usize),
}

/// A table in memory: named columns, and matrices of points and velocities beside them where the
/// columns do not hold them.
///
/// ```
/// use actum::data::{Keys, Table, TableReader, Values};
///
/// let column = |name: &str, numbers: [f64; 4]| (name.to_owned(), Values::Numbers(numbers.into()));
/// let table = Table::new(vec![
///     column("day", [0.0, 0.0, 2.0, 2.0]),
///     column("PC_1", [0.1, 0.2, 1.1, 1.2]),
///     column("PC_2", [0.5, 0.4, 0.6, 0.3]),
/// ])?;
/// let snapshots = TableReader::of(&table, &Keys::default())?.read()?;
/// assert_eq!((snapshots.times(), snapshots.unit()), (&[0.0, 2.0][..], Some("day")));
/// assert_eq!(snapshots.columns(), ["PC_1", "PC_2"]);
/// # Ok::<(), actum::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Table {
    rows: usize,
    columns: Vec<(String, Values)>,
    points: Option<Matrix>,
    velocities: Option<Matrix>,
}

/// The names of its columns, and `[n, d]`.
type Matrix = (Vec<String>, ArcArray2<f64>);

impl Values {
    fn len(&self) -> usize {
        match self {
            Self::Numbers(x) | Self::Singles(x) | Self::Halves(x) | Self::Seconds(x) => x.len(),
            Self::Texts { codes, .. } => codes.len(),
            Self::Truths(rows) | Self::Dates(rows) | Self::Else(rows) => *rows,
        }
    }

    fn about(&self) -> &'static str {
        match self {
            Self::Numbers(_) | Self::Singles(_) | Self::Halves(_) => "numbers",
            Self::Seconds(_) => "durations",
            Self::Texts { .. } => "text",
            Self::Truths(_) => "true or false",
            Self::Dates(_) => "dates or times of day",
            Self::Else(_) => "a type that is not read",
        }
    }

    /// Its numbers, if they are some.
    fn numbers(&self, name: &str) -> Result<&[f64]> {
        match self {
            Self::Numbers(x) | Self::Singles(x) | Self::Halves(x) => Ok(x),
            other => Err(Error::new(
                ErrorKind::Format,
                format!("column {name:?}: expected numbers, got {}", other.about()),
            )),
        }
    }

    fn content(&self) -> Content {
        match self {
            Self::Numbers(x) | Self::Singles(x) | Self::Halves(x) => {
                let mut facts = Facts::default();
                let mut numbers = x.iter();
                while let Some(x) = numbers.next().filter(|_| !facts.is_settled()) {
                    facts.look(*x);
                }
                Content::Numbers(facts)
            }
            Self::Seconds(_) => Content::Else(Why::Durations),
            Self::Texts { .. } => Content::Else(Why::Text),
            Self::Truths(_) => Content::Else(Why::TruthValues),
            Self::Dates(_) => Content::Else(Why::Dates),
            Self::Else(_) => Content::Else(Why::Unknown),
        }
    }

    fn times(&self, name: &str) -> Result<Times> {
        let places: Vec<bool> = match self {
            Self::Numbers(x) | Self::Singles(x) | Self::Halves(x) | Self::Seconds(x) => {
                x.iter().map(|x| x.is_nan()).collect()
            }
            Self::Texts { codes, .. } => codes.iter().map(|code| *code < 0).collect(),
            other => {
                let what = format!("column {name:?}: expected times, got {}", other.about());
                return Err(Error::new(ErrorKind::Format, what));
            }
        };
        let missing = places.iter().filter(|missing| **missing).count();
        ensure!(
            missing == 0,
            Value,
            "column {name:?}: {missing} of {} times are missing, the first at row {} (counted from \
             0); remove those rows",
            places.len(),
            places.iter().position(|missing| *missing).unwrap_or(0)
        );
        Ok(match self {
            Self::Texts { list, codes } => {
                let mut labels = Labels::default();
                codes
                    .iter()
                    .for_each(|code| labels.push(&list[*code as usize]));
                Times::Labels(labels)
            }
            Self::Seconds(x) => Times::Seconds(x.clone()),
            Self::Singles(x) => Times::Numbers(x.iter().copied().map(decimal).collect()),
            Self::Halves(x) => Times::Numbers(x.iter().copied().map(half_decimal).collect()),
            _ => Times::Numbers(self.numbers(name)?.to_vec()),
        })
    }
}

impl Table {
    /// A table of these columns.
    ///
    /// # Errors
    /// No rows, columns of different lengths, or a code that is no place in its list.
    pub fn new(columns: Vec<(String, Values)>) -> Result<Self> {
        let rows = columns.first().map_or(0, |(_, values)| values.len());
        ensure!(rows > 0, Shape, "expected rows, got none");
        for (name, values) in &columns {
            ensure!(
                values.len() == rows,
                Shape,
                "column {name:?} has {} rows, and {:?} has {rows}",
                values.len(),
                columns[0].0
            );
            if let Values::Texts { list, codes } = values {
                ensure!(
                    codes.iter().all(|code| *code < list.len() as i64),
                    Value,
                    "column {name:?} has codes beyond its list of {} texts",
                    list.len()
                );
            }
        }
        Ok(Self {
            rows,
            columns,
            points: None,
            velocities: None,
        })
    }

    /// The table with the coordinates in a matrix `[n, d]` of their own, by these names.
    ///
    /// # Errors
    /// Another number of rows than the columns have, no columns, or as many names as columns not
    /// given.
    pub fn with_points(self, names: Vec<String>, points: Array2<f64>) -> Result<Self> {
        let points = Some(self.matrix("points", names, points)?);
        Ok(Self { points, ..self })
    }

    /// The table with the velocities in a matrix `[n, d]` of their own, by these names.
    ///
    /// # Errors
    /// As [`with_points`](Self::with_points).
    pub fn with_velocities(self, names: Vec<String>, velocities: Array2<f64>) -> Result<Self> {
        let velocities = Some(self.matrix("velocities", names, velocities)?);
        Ok(Self { velocities, ..self })
    }

    fn matrix(&self, what: &str, names: Vec<String>, rows: Array2<f64>) -> Result<Matrix> {
        ensure!(
            rows.nrows() == self.rows,
            Shape,
            "expected {what} for each of {} rows, got {}",
            self.rows,
            rows.nrows()
        );
        ensure!(
            rows.ncols() > 0 && names.len() == rows.ncols(),
            Shape,
            "expected a name for each of {} columns of {what}, of which there are some, got {}",
            rows.ncols(),
            names.len()
        );
        let rows = match rows.is_standard_layout() {
            true => rows,
            false => rows.as_standard_layout().into_owned(),
        };
        Ok((names, rows.into_shared()))
    }

    /// What a file of these columns would tell, and its rows.
    pub(in crate::data) fn chosen(&self, keys: &Keys) -> Result<(Head, Rows)> {
        let names: Vec<String> = self.columns.iter().map(|(name, _)| name.clone()).collect();
        let keys = match &self.points {
            // Columns beside a matrix have the time and the weight alone.
            Some(_) => &Keys {
                points_key: None,
                velocity_key: None,
                ..keys.clone()
            },
            None => keys,
        };
        let roles = columns::choose(&names, keys)?;
        let chosen = match &self.points {
            Some((names, _)) => Ok((names.clone(), vec![])),
            None => columns::coordinates(&names, &roles, |i| Ok(self.columns[i].1.content()))
                .map(|(chosen, notes)| (named(&names, &chosen), notes)),
        };
        let ((columns, notes), time) = columns::with_time(chosen, roles.time)?;
        let numbers = |i: usize| self.columns[i].1.numbers(&names[i]);
        let beside = |of: &[String]| -> Result<ArcArray2<f64>> {
            let mut side_by_side = Array2::zeros((self.rows, of.len()));
            for (j, i) in columns::found(&names, of)?.into_iter().enumerate() {
                let column = numbers(i)?.iter();
                let places = side_by_side.column_mut(j).into_iter();
                places.zip(column).for_each(|(place, x)| *place = *x);
            }
            Ok(side_by_side.into_shared())
        };
        let points = match &self.points {
            Some((_, points)) => points.clone(),
            None => beside(&columns)?,
        };
        let velocities = match (&self.velocities, &keys.velocity_key) {
            (Some((names, velocities)), _) => {
                columns::check_velocities(names, &columns)?;
                Some(velocities.clone())
            }
            (None, Some(_)) => {
                let moving = named(&names, &roles.velocity?);
                columns::check_velocities(&moving, &columns)?;
                Some(beside(&moving)?)
            }
            (None, None) => None,
        };
        let weights = roles.weight.map(|i| Ok(numbers(i)?.to_vec())).transpose()?;
        let time_name = time.as_ref().map_or(String::new(), |i| names[*i].clone());
        let head = Head {
            rows: self.rows,
            times: time.and_then(|i| self.columns[i].1.times(&names[i])),
            time_name,
            columns: columns.clone(),
            has_weights: weights.is_some(),
            by_columns: vec![],
            notes,
        };
        let rows = Rows {
            names: columns,
            points,
            weights,
            velocities,
        };
        Ok((head, rows))
    }
}

fn named(names: &[String], chosen: &[usize]) -> Vec<String> {
    chosen.iter().map(|i| names[*i].clone()).collect()
}

/// The rows that were chosen of a table.
pub(in crate::data) struct Rows {
    names: Vec<String>,
    points: ArcArray2<f64>,
    weights: Option<Vec<f64>>,
    velocities: Option<ArcArray2<f64>>,
}

impl Rows {
    pub fn has_velocities(&self) -> bool {
        self.velocities.is_some()
    }

    /// Hands out all rows in order.
    pub fn each(&self, take: &mut Take) -> Result<()> {
        let (rows, d) = self.points.dim();
        let mut finite = [Finite::default(), Finite::default()];
        for start in (0..rows).step_by(chunk_rows(d)) {
            let end = rows.min(start + chunk_rows(d));
            let part =
                |all: &ArcArray2<f64>| all.slice(s![start..end, ..]).iter().copied().collect();
            let points: Vec<f64> = part(&self.points);
            let velocities: Option<Vec<f64>> = self.velocities.as_ref().map(part);
            for (finite, numbers) in finite.iter_mut().zip([Some(&points), velocities.as_ref()]) {
                let rows = numbers
                    .into_iter()
                    .flat_map(|numbers| numbers.chunks_exact(d));
                rows.for_each(|row| finite.look(row));
            }
            take(Chunk {
                points: &points,
                weights: self.weights.as_ref().map(|w| &w[start..end]),
                velocities: velocities.as_deref(),
            })?;
        }
        let [of_points, of_velocities] = &finite;
        of_points.check(&self.names)?;
        let moving = of_velocities.check(&self.names);
        moving.map_err(|error| error.within("velocities"))
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::data::{Split, TableReader};

    fn table() -> Table {
        let times = Values::Texts {
            list: vec!["Day 2".to_owned(), "Day 0".to_owned()],
            codes: vec![0, 1, 1, 0],
        };
        Table::new(vec![
            ("stage".to_owned(), times),
            ("w".to_owned(), Values::Numbers(vec![1.0, 2.0, 3.0, 4.0])),
        ])
        .unwrap()
    }

    fn keys() -> Keys {
        Keys {
            time_key: Some("stage".to_owned()),
            ..Keys::default()
        }
    }

    #[test]
    fn a_matrix_beside_columns_keeps_rows_in_their_order() {
        let names = || vec!["a".to_owned(), "b".to_owned()];
        let points = array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]];
        let table = table().with_points(names(), points.clone()).unwrap();
        let table = table.with_velocities(names(), -&points).unwrap();
        let reader = TableReader::of(&table, &keys()).unwrap();
        assert_eq!(reader.order(), [1, 2, 0, 3]);
        let read = reader.read().unwrap();
        assert_eq!(read.labels(), ["Day 0", "Day 2"]);
        assert_eq!(read.cloud(0).points(), array![[3.0, 4.0], [5.0, 6.0]]);
        assert_eq!(read.cloud(1).weights(), array![1.0, 4.0]);
        assert_eq!(read.velocities().unwrap()[1][[0, 1]], -2.0);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let message = |table: Table| TableReader::of(&table, &keys()).err().unwrap().to_string();
        let nothing = message(table());
        assert!(nothing.contains("coordinates"), "{nothing}");
        let mut lacking = table();
        lacking.columns[0].1 = Values::Numbers(vec![0.0, f64::NAN, 1.0, f64::NAN]);
        let lacking = lacking.with_points(vec!["a".to_owned()], Array2::ones((4, 1)));
        let lacking = message(lacking.unwrap());
        assert!(
            lacking.contains("2 of 4 times are missing, the first at row 1"),
            "{lacking}"
        );
        let mut infinite = Array2::ones((4, 1));
        infinite[[2, 0]] = f64::INFINITY;
        let infinite = table().with_points(vec!["a".to_owned()], infinite).unwrap();
        let infinite = TableReader::of(&infinite, &keys()).unwrap().read();
        let infinite = infinite.unwrap_err().to_string();
        assert!(
            infinite.contains("at row 2") && infinite.contains("column a"),
            "{infinite}"
        );
        let rows = table().with_points(vec!["a".to_owned()], Array2::ones((3, 1)));
        assert_eq!(rows.unwrap_err().kind(), ErrorKind::Shape);
    }

    #[test]
    fn shards_are_those_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let n = 100;
        let points = Array2::from_shape_fn((n, 2), |(i, j)| (i * (j + 3) % 17) as f64 + 0.5);
        let times: Vec<f64> = (0..n).map(|i| (i % 2) as f64).collect();
        let mut text = "t,PC_1,PC_2\n".to_owned();
        for (t, x) in times.iter().zip(points.rows()) {
            text += &format!("{t},{},{}\n", x[0], x[1]);
        }
        let file = folder.path().join("table.csv");
        std::fs::write(&file, text).unwrap();
        let column = |j| points.column(j).to_vec();
        let table = Table::new(vec![
            ("t".to_owned(), Values::Numbers(times)),
            ("PC_1".to_owned(), Values::Numbers(column(0))),
            ("PC_2".to_owned(), Values::Numbers(column(1))),
        ]);
        let split = Split {
            shard: 20,
            seed: 3,
            most: 2,
            parts: crate::machines::Parts::all(1),
        };
        let keys = Keys::default();
        let readers = [
            TableReader::open(&file, &keys).unwrap(),
            TableReader::of(&table.unwrap(), &keys).unwrap(),
        ];
        let [file, memory] = readers.map(|reader| {
            let shards = reader.shards(&split, folder.path(), &mut |_, _| {
                std::ops::ControlFlow::Continue(())
            });
            shards.unwrap().shard(1).unwrap()
        });
        assert_eq!(file.fingerprint(), memory.fingerprint());
        assert_eq!(file.cloud(1).points(), memory.cloud(1).points());
    }
}
