//! How much memory data and networks may take.
//!
//! A file may declare more numbers than any machine holds, and so may a setting. What is declared
//! is compared with a budget before memory is taken for it, so that it becomes an error: a
//! program that runs out of memory is ended without a word.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::error::{Result, ensure};

/// Memory belongs to the process, and so does the budget.
static BUDGET: AtomicU64 = AtomicU64::new(u64::MAX);

/// How many bytes one thing (an array of a file, a network with its optimiser, a batch) may take in
/// this process from now on. Without a call there is no bound but what files can hold.
///
/// It is no bound on all things together: half of what the machine has is a good choice where much
/// else is in memory.
pub fn set_budget(bytes: u64) {
    BUDGET.store(bytes, Ordering::Relaxed);
}

/// The [budget](set_budget).
pub fn budget() -> u64 {
    BUDGET.load(Ordering::Relaxed)
}

/// Whether so many things of so many bytes are within the budget; `what` they are is for the
/// message.
pub(crate) fn check(counts: &[usize], bytes: usize, what: impl fmt::Display) -> Result<()> {
    let sizes = counts.iter().chain([&bytes]);
    let needed = sizes.fold(1, |product: u128, n| product.saturating_mul(*n as u128));
    let budget = budget();
    ensure!(
        needed <= budget.into(),
        Memory,
        "{what} would take {} of memory, and {} may be taken; take less of it, or allow more",
        shown(needed),
        shown(budget.into())
    );
    Ok(())
}

/// Bytes for a person.
fn shown(bytes: u128) -> String {
    const UNITS: [&str; 6] = ["bytes", "KB", "MB", "GB", "TB", "PB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    match unit {
        0 => format!("{bytes} bytes"),
        _ if value >= 1e6 => format!("{value:.1e} {}", UNITS[unit]),
        _ => format!("{value:.1} {}", UNITS[unit]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn sizes_that_overflow_are_refused_and_others_pass() {
        // Other tests of this process have the budget of the whole machine.
        assert!(check(&[1000, 1000], 8, "an array").is_ok());
        let error = check(&[usize::MAX, usize::MAX], 8, "an array").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Memory);
        assert!(
            error
                .to_string()
                .starts_with("an array would take 3.4e23 PB"),
            "{error}"
        );
    }

    #[test]
    fn bytes_are_shown_for_people() {
        assert_eq!(shown(999), "999 bytes");
        assert_eq!(shown(16_000_000_000), "16.0 GB");
    }
}
