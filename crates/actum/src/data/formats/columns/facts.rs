//! What the numbers of a column say of themselves.

use std::collections::HashSet;

/// Whether the numbers of a column are measured, count the rows, or name a few groups; in constant
/// memory.
#[derive(Debug, Default)]
pub(in crate::data::formats) struct Facts {
    numbers: usize,
    missing: usize,
    is_measured: bool,
    first: i64,
    last: i64,
    least: i64,
    greatest: i64,
    sum: i128,
    squares: i128,
    /// Each number is one above that before, or the first again.
    restarts: bool,
    /// Each number is above that before.
    ascends: bool,
    /// The first different numbers.
    distinct: HashSet<i64>,
    /// A number is there twice.
    repeats: bool,
}

/// More different numbers than groups have.
const MANY: usize = 51;

/// Numbers drawn from fewer than a billion repeat before there are so many.
const MOST: usize = 1 << 16;

/// With fewer rows numbers say nothing of themselves.
const LEAST: usize = 20;

impl Facts {
    /// Takes in the number of the next row, NaN where there is none.
    pub(in crate::data::formats) fn look(&mut self, x: f64) {
        if x.is_nan() {
            self.missing += 1;
            return;
        }
        self.numbers += 1;
        // 2^53: all whole numbers up to there are exact.
        self.is_measured |= x.fract() != 0.0 || x.abs() > 9_007_199_254_740_992.0;
        if self.is_measured {
            return;
        }
        let n = x as i64;
        if self.numbers == 1 {
            (self.first, self.least, self.greatest) = (n, n, n);
            (self.restarts, self.ascends) = (true, true);
        } else {
            self.ascends &= n > self.last;
            self.restarts &= n == self.last + 1 || n == self.first;
        }
        self.last = n;
        self.least = self.least.min(n);
        self.greatest = self.greatest.max(n);
        self.sum += i128::from(n);
        self.squares += i128::from(n) * i128::from(n);
        let room = if self.repeats { MANY } else { MOST };
        if self.distinct.len() < room {
            self.repeats |= !self.distinct.insert(n);
        }
    }

    /// Whether the rest of the numbers cannot change what was found.
    pub(in crate::data::formats) fn is_settled(&self) -> bool {
        self.is_measured
    }

    /// There is no number at all.
    pub(in crate::data::formats) fn is_empty(&self) -> bool {
        self.numbers == 0
    }

    /// Whether the numbers are whole and, as far as is known, each another.
    pub(in crate::data::formats) fn are_distinct(&self) -> bool {
        self.is_whole() && !self.repeats
    }

    pub(in crate::data::formats) fn is_whole(&self) -> bool {
        !self.is_measured && self.numbers > 0
    }

    /// Whether the numbers are those of the rows, in their order or another.
    pub(super) fn number_the_rows(&self) -> bool {
        if !self.is_whole() || self.missing > 0 || self.numbers < LEAST {
            return false;
        }
        let n = self.numbers as i128;
        let (least, greatest) = (i128::from(self.least), i128::from(self.greatest));
        // A permutation of so many numbers in a row has their sum and their sum of squares.
        let up_to = |k: i128| k * (k + 1) * (2 * k + 1) / 6;
        let is_permutation = greatest - least + 1 == n
            && 2 * self.sum == n * (least + greatest)
            && self.squares == up_to(greatest) - up_to(least - 1);
        let starts_again = self.restarts && self.distinct.len() >= MANY;
        self.ascends || is_permutation || starts_again
    }

    /// Whether the numbers may be names, each of another row.
    pub(super) fn may_be_ids(&self) -> bool {
        self.are_distinct() && self.numbers >= LEAST
    }

    /// How many different numbers there are, if they are so few, and so close to 0, that they may
    /// name groups.
    pub(super) fn groups(&self) -> Option<usize> {
        let count = self.distinct.len();
        let few = (2..MANY).contains(&count) && 4 * count <= self.numbers;
        let are_counted = self.least >= -1 && self.greatest < 2 * count as i64;
        (self.is_whole() && few && are_counted && self.numbers >= LEAST).then_some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: impl IntoIterator<Item = f64>) -> Facts {
        let mut facts = Facts::default();
        numbers.into_iter().for_each(|x| facts.look(x));
        facts
    }

    #[test]
    fn row_numbers_are_known_in_any_order() {
        let rows = |n: usize, step: usize, start: f64| {
            of((0..n).map(move |i| (i * step % n) as f64 + start))
        };
        assert!(rows(20, 1, 0.0).number_the_rows());
        assert!(rows(180, 1, 1.0).number_the_rows());
        assert!(rows(181, 7, -3.0).number_the_rows());
        assert!(of((0..200).map(|i| f64::from(i % 60))).number_the_rows());
        assert!(!rows(19, 1, 0.0).number_the_rows());
        // What is left of them after rows were left out.
        assert!(of((0..30).map(|i| f64::from(i * i))).number_the_rows());
        let mixed = of((0..30).map(|i| f64::from(i * 7 % 31 * 2)));
        assert!(!mixed.number_the_rows() && mixed.may_be_ids());
        // A repetition that comes late.
        let measured = |i: u64| (i * 7919 % 50_021) as f64;
        assert!(of((0..100).map(measured)).may_be_ids());
        assert!(!of((0..60_000).map(measured)).may_be_ids());
        // A number twice; a measured one; a missing one.
        assert!(!of((0..30).map(|i| f64::from(i - i % 29 / 28))).number_the_rows());
        assert!(!of((0..30).map(|i| f64::from(i) + 0.5)).number_the_rows());
        assert!(!of((0..30).map(|i| [f64::NAN, 1.0][usize::from(i != 7)])).number_the_rows());
    }

    #[test]
    fn groups_are_few_whole_numbers() {
        assert_eq!(of((0..60).map(|i| f64::from(i % 3))).groups(), Some(3));
        assert_eq!(of((0..60).map(|i| f64::from(i % 3) / 2.0)).groups(), None);
        assert_eq!(of((0..60).map(|_| 1.0)).groups(), None);
        assert_eq!(of((0..60).map(|i| f64::from(i % 16))).groups(), None);
        assert_eq!(of((0..9).map(|i| f64::from(i % 2))).groups(), None);
        assert!(of([f64::NAN]).is_empty());
        // Steps of five, codes of years.
        assert_eq!(of((0..60).map(|i| f64::from(i % 7 * 5))).groups(), None);
        assert_eq!(
            of((0..60).map(|i| 2000.0 + f64::from(i % 7))).groups(),
            None
        );
    }
}
