//! The error of the library.

use std::{fmt, path::Path};

/// The result of a fallible function of the library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of an error, on which programs can act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file could not be read or written.
    Io,
    /// A file was read but does not follow its format (truncated, wrong type).
    Format,
    /// A key, column, time or name does not exist.
    Missing,
    /// Two sizes that must agree do not.
    Shape,
    /// A number is outside its range, not finite, or too few are given.
    Value,
    /// A setting is unknown or outside its range.
    Setting,
    /// Something exists already and would be lost.
    Exists,
    /// A run was written by an incompatible version.
    Version,
    /// Numbers stopped being finite, or a method failed to converge.
    Diverged,
    /// The user asked to stop; progress is saved.
    Interrupted,
    /// More memory would be needed than may be taken.
    Memory,
    /// Another process is writing there.
    Busy,
}

/// An opaque error: a [kind](Error::kind), a message with the expected and the found value and a
/// remedy, and sometimes a cause.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    detail: String,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of this kind; `detail` is a sentence for the user, of which the middle is left out
    /// where it is longer than any that a person reads.
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            detail: without_middle(detail.into()),
            cause: None,
        }))
    }

    /// The same error with its cause.
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// A file that could not be read or written; `verb` is the attempted operation ("read",
    /// "write").
    pub fn io(verb: &str, path: &Path, cause: std::io::Error) -> Self {
        Self::new(ErrorKind::Io, format!("cannot {verb} {}", path.display())).because(cause)
    }

    /// `what` is missing; lists what is available.
    pub fn missing<S: AsRef<str>>(
        what: impl fmt::Display,
        available: impl IntoIterator<Item = S>,
    ) -> Self {
        let mut list = String::new();
        let mut more = 0;
        for name in available {
            let name = name.as_ref();
            if more > 0 || list.len() + name.len() > MOST {
                more += 1;
                continue;
            }
            if !list.is_empty() {
                list += ", ";
            }
            list += name;
        }
        if more > 0 {
            list += &format!(" and {more} more");
        } else if list.is_empty() {
            list += "nothing";
        }
        Self::new(
            ErrorKind::Missing,
            format!("{what} is not there; available: {list}"),
        )
    }

    /// The kind of the error.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The same error with its place (a file, a key) before the message.
    pub fn within(mut self, place: impl fmt::Display) -> Self {
        self.0.detail = format!("{place}: {}", self.0.detail);
        self
    }
}

/// How many characters are shown of a list, and of either end of a message: files may have names of
/// any length in them.
const MOST: usize = 300;

fn without_middle(text: String) -> String {
    if text.len() <= 2 * MOST {
        return text;
    }
    let is_start = |at: &usize| text.is_char_boundary(*at);
    let head = (0..=MOST).rev().find(is_start).unwrap_or(0);
    let tail = (text.len() - MOST..=text.len()).find(is_start);
    let tail = tail.unwrap_or(text.len());
    format!("{} [...] {}", &text[..head], &text[tail..])
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.detail)?;
        match &self.0.cause {
            Some(cause) => write!(f, ": {}", without_middle(cause.to_string())),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.cause.as_ref().map(|c| c.as_ref() as _)
    }
}

/// Returns early with an [`Error`] of a kind unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $kind:ident, $($detail:tt)+) => {
        if $condition {
        } else {
            return Err($crate::error::Error::new(
                $crate::error::ErrorKind::$kind,
                format!($($detail)+),
            ));
        }
    };
}
pub(crate) use ensure;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_messages_and_lists_lose_their_middle() {
        let error = Error::new(ErrorKind::Format, "\u{e9}".repeat(1_000_000));
        let error = error.because(std::io::Error::other("x".repeat(1_000_000)));
        assert!(
            error.to_string().len() < 1300,
            "{}",
            error.to_string().len()
        );
        let names: Vec<String> = (0..100_000).map(|i| format!("g{i}")).collect();
        let text = Error::missing("the column a", names).to_string();
        assert!(text.len() < 500, "{text}");
        assert!(
            text.contains("g0, g1, ") && text.contains(" more"),
            "{text}"
        );
        let short = "a".repeat(600);
        assert_eq!(
            Error::new(ErrorKind::Format, short.clone()).to_string(),
            short
        );
    }
}
