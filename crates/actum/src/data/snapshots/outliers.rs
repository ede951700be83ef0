//! Values far from all others: mistakes, and codes for what is missing.

use super::{Snapshots, abridged};

/// Numbers that stand for missing ones in many programs, by size.
const CODES: [f64; 14] = [
    99.0,
    999.0,
    9999.0,
    99999.0,
    999999.0,
    32767.0,
    32768.0,
    65535.0,
    2147483647.0,
    2147483648.0,
    1e20,
    1e30,
    // The fill value of netCDF, and the greatest number in single precision.
    9.969209968386869e36,
    f32::MAX as f64,
];

fn is_code(x: f64) -> bool {
    let size = x.abs();
    x == -1.0 || CODES.iter().any(|code| (size - code).abs() <= 1e-6 * code)
}

/// With fewer points nothing is far.
const LEAST: usize = 20;

impl Snapshots {
    /// Every column that has values far from all others, and what is said of them.
    pub(super) fn outliers(&self) -> Vec<(usize, String)> {
        let columns = 0..self.dimension();
        columns
            .filter_map(|j| Some((j, self.outliers_of(j)?)))
            .collect()
    }

    fn outliers_of(&self, j: usize) -> Option<String> {
        let columns = self.clouds.iter().map(|c| c.points().column(j).to_vec());
        let all: Vec<f64> = columns.flatten().collect();
        // Many codes must not pass for the range of the column.
        let mut plain: Vec<f64> = all.iter().copied().filter(|x| !is_code(*x)).collect();
        if plain.len() < LEAST.max(all.len() / 2) {
            plain.clone_from(&all);
        }
        if plain.len() < LEAST {
            return None;
        }
        plain.sort_by(f64::total_cmp);
        let at = |share: f64| plain[(share * (plain.len() - 1) as f64) as usize];
        let median = at(0.5);
        let spreads = [at(0.75) - at(0.25), at(0.95) - at(0.05)];
        let spread = spreads.into_iter().find(|spread| *spread > 0.0)?;
        let distance = |x: f64| (x - median).abs();
        let mut sorted = all.clone();
        sorted.sort_by(|a, b| distance(*a).total_cmp(&distance(*b)));
        // The first gap beyond which values are far, and not only the end of a long tail.
        let start = (sorted.len() / 2..sorted.len() - 1).find(|i| {
            let [inner, outer] = [distance(sorted[*i]), distance(sorted[i + 1])];
            let codes = sorted[i + 1..].iter().all(|x| is_code(*x));
            let factor = if codes { 3.0 } else { 10.0 };
            outer > factor * inner.max(spread)
        })?;
        let far = &sorted[start + 1..];
        let codes = far.iter().all(|x| is_code(*x));
        if !codes && far.len() > (all.len() / 100).max(5) {
            return None;
        }
        let least_distance = distance(far[0]);
        let inner = all.iter().filter(|x| distance(**x) < least_distance);
        let (low, high) = inner.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
            (low.min(*x), high.max(*x))
        });
        let mut distinct = far.to_vec();
        distinct.sort_by(f64::total_cmp);
        distinct.dedup();
        let shown: Vec<String> = distinct.iter().map(|x| written(*x)).collect();
        let places = self.places(|x| distance(x) >= least_distance, j);
        let remedy = match codes {
            true => "it seems to stand for what is missing: remove or impute those rows",
            false => {
                "check it, and remove those rows if it is a mistake: a fit follows squared \
                 distances"
            }
        };
        Some(format!(
            "column {}: {} {} of {}, far from the others ({} to {}), at {places}; {remedy}",
            self.columns[j],
            far.len(),
            if far.len() == 1 { "value" } else { "values" },
            abridged(&shown),
            written(low),
            written(high),
        ))
    }

    /// The rows of a file, or the times, at which column `j` is as `chosen`.
    fn places(&self, chosen: impl Fn(f64) -> bool, j: usize) -> String {
        let (mut rows, mut times) = (vec![], vec![]);
        for (k, cloud) in self.clouds.iter().enumerate() {
            let column = cloud.points().column(j);
            let here = column.iter().enumerate().filter(|(_, x)| chosen(**x));
            let here: Vec<usize> = here.map(|(i, _)| i).collect();
            if here.is_empty() {
                continue;
            }
            times.push(self.labels()[k].clone());
            if let Some(of) = &self.rows {
                rows.extend(here.iter().map(|i| of[k][*i]));
            }
        }
        rows.sort_unstable();
        let shown: Vec<String> = rows.iter().map(u32::to_string).collect();
        match (rows.len(), times.len()) {
            (0, 1) => format!("time {}", abridged(&times)),
            (0, _) => format!("times {}", abridged(&times)),
            (1, _) => format!("row {} (counted from 0)", shown[0]),
            _ => format!("rows {} (counted from 0)", abridged(&shown)),
        }
    }
}

/// A number for a person.
fn written(x: f64) -> String {
    match x.abs() {
        size if x.fract() == 0.0 && size < 1e6 => x.to_string(),
        size if (1e-3..1e6).contains(&size) => format!("{x:.4}"),
        _ => format!("{x:.3e}"),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array2;

    use super::*;

    /// 60 points at each of 3 times, the first column about the time.
    fn with(changes: &[(usize, usize, f64)]) -> Vec<String> {
        let mut points = Array2::from_shape_fn((180, 2), |(i, j)| {
            (i / 60) as f64 * [1.0, 0.0][j] + (0.37 * (3 * i + j) as f64).sin()
        });
        for (i, j, x) in changes {
            points[[*i, *j]] = *x;
        }
        let times: Vec<f64> = (0..180).map(|i| (i / 60) as f64).collect();
        let snapshots = Snapshots::from_rows(points, &times, None, None).unwrap();
        let outliers = snapshots.outliers().into_iter();
        outliers.map(|(_, text)| text).collect()
    }

    #[test]
    fn codes_are_named_with_their_rows() {
        let found = with(&[(7, 1, -9999.0), (130, 1, -9999.0)]);
        assert_eq!(found.len(), 1);
        for part in ["x1", "2 values of -9999", "rows 7, 130", "missing"] {
            assert!(found[0].contains(part), "{found:?}");
        }
        // A third of all rows, of two columns.
        let many: Vec<_> = (0..60)
            .flat_map(|i| [(3 * i, 0, -999.0), (3 * i, 1, 1e20)])
            .collect();
        let found = with(&many);
        assert!(found[0].contains("60 values of -999,"), "{found:?}");
        assert!(found[1].contains("60 values of 1.000e20,"), "{found:?}");
        // -1 beside sizes.
        let sizes: Vec<_> = (0..180)
            .map(|i| {
                (
                    i,
                    0,
                    if i % 10 == 3 {
                        -1.0
                    } else {
                        300.0 + (i as f64).sin()
                    },
                )
            })
            .collect();
        let found = with(&sizes);
        assert!(found[0].contains("18 values of -1,"), "{found:?}");
        let both = with(&[(0, 0, -99.0), (1, 0, 1e6)]);
        assert!(both[0].contains("2 values of -99, 1000000") || both[0].contains("1.000e6"));
    }

    #[test]
    fn a_point_far_away_is_named_and_a_long_tail_is_not() {
        let found = with(&[(42, 0, 1e6)]);
        for part in ["x0", "1 value of 1.000e6", "row 42 ", "mistake"] {
            assert!(found[0].contains(part), "{found:?}");
        }
        assert!(with(&[]).is_empty());
        assert!(with(&[(42, 0, 9.0)]).is_empty());
        // exp of -9 to 9: the greatest is 8000 times the median.
        let tail: Vec<_> = (0..180)
            .map(|i| (i, 0, (0.1 * i as f64 - 9.0).exp()))
            .collect();
        assert!(with(&tail).is_empty());
        // Two groups far apart are a population.
        let groups: Vec<_> = (0..90).map(|i| (2 * i, 0, 1e4)).collect();
        assert!(with(&groups).is_empty());
    }

    #[test]
    fn codes_within_the_range_of_a_column_are_numbers() {
        let wide: Vec<_> = (0..180).map(|i| (i, 0, 100.0 * i as f64)).collect();
        let wide = [&wide[..], &[(3, 0, 9999.0), (4, 0, -99.0)]].concat();
        assert!(with(&wide).is_empty());
    }
}
