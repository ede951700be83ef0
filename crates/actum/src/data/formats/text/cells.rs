//! What is written in a cell.

const MISSING: [&str; 8] = ["", "na", "n/a", "nan", "null", "none", "<na>", "-nan"];

pub(super) fn is_missing(cell: &str) -> bool {
    MISSING.iter().any(|word| word.eq_ignore_ascii_case(cell))
}

/// The number in a cell; its minus sign may be the typographic one.
pub(super) fn number(cell: &str) -> Option<f64> {
    cell.parse().ok().or_else(|| {
        let size = cell.strip_prefix('\u{2212}')?;
        size.starts_with(|c: char| c.is_ascii_digit() || c == '.')
            .then(|| size.parse::<f64>().ok().map(|x| -x))?
    })
}

/// Whether a cell that is no [`number`] has one, written for people: `1,234.5`, `1.234,5`, `12 %`,
/// `1 234`, `1'234`, `1.5D+03`, `<0.1`, `$5`.
pub(super) fn almost_number(cell: &str) -> bool {
    let bare = cell
        .trim_start_matches(['<', '>', '~', '=', '$', '€', '£', '+', '-', '\u{2212}', '('])
        .trim_end_matches(['%', '‰', '$', '€', '£', ')']);
    let between = |c: char| c.is_whitespace() || ",.'_\u{2019}".contains(c);
    let digits: String = bare.chars().filter(|c| !between(*c)).collect();
    let (digits, exponent) = digits
        .split_once(['e', 'E', 'd', 'D'])
        .unwrap_or((&digits, "0"));
    let exponent = exponent.trim_start_matches(['+', '-']);
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    // No number begins so: 127.0.0.1, 0.1.2.
    let points = bare.split('.').skip(1);
    let in_threes = bare.matches('.').count() < 2 || points.clone().all(|part| part.len() >= 3);
    are_digits(digits) && are_digits(exponent) && in_threes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_for_people_are_told_from_text() {
        for cell in [
            "1,537.72",
            "1.537,72",
            "0,5",
            "1 234",
            "1'234.5",
            "1_000",
            "12 %",
            "12%",
            "1.5D+03",
            "<0.1",
            "$5",
            "(5.2)",
            "\u{2212}1,5",
            "1.234.567",
            "1\u{a0}234",
        ] {
            assert!(almost_number(cell), "{cell}");
            assert!(number(cell).is_none(), "{cell}");
        }
        for cell in [
            "AAAC-1",
            "2024-01-05",
            "12:30",
            "1.2.3",
            "127.0.0.1",
            "a",
            "True",
            "3-4",
            "e5",
            "5 mm",
        ] {
            assert!(!almost_number(cell), "{cell}");
        }
        assert_eq!(number("\u{2212}1.5"), Some(-1.5));
        assert_eq!(number("\u{2212}-1.5"), None);
        assert_eq!(number("1e-3"), Some(1e-3));
    }
}
