//! The one error of the library.

use std::{fmt, path::Path};

/// What every fallible function of the library returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of thing went wrong, for programs that react to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file could not be read or written.
    Io,
    /// A file was read but is not what its format asks for (truncated, wrong type).
    Format,
    /// A key, column, time or name is not there.
    Missing,
    /// Two sizes that must agree do not.
    Shape,
    /// A number is outside its range, not finite, or too few are given.
    Value,
    /// A setting is unknown or outside its range.
    Setting,
    /// Something is there already and would be lost.
    Exists,
    /// A run was written by an incompatible version.
    Version,
    /// Numbers stopped being finite, or a method did not converge.
    Diverged,
    /// The user asked to stop; what was reached is saved.
    Interrupted,
}

/// An opaque error: a [kind](Error::kind), a message that shows expected and got and says the
/// remedy, and sometimes a cause.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    detail: String,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of this kind; `detail` is a sentence for the person who reads it.
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            detail: detail.into(),
            cause: None,
        }))
    }

    /// The same error with what caused it.
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// A file that could not be read or written; `verb` is what was tried ("read", "write").
    pub fn io(verb: &str, path: &Path, cause: std::io::Error) -> Self {
        Self::new(ErrorKind::Io, format!("cannot {verb} {}", path.display())).because(cause)
    }

    /// `what` is missing; lists what is available.
    pub fn missing<S: AsRef<str>>(
        what: impl fmt::Display,
        available: impl IntoIterator<Item = S>,
    ) -> Self {
        let list: Vec<String> = available
            .into_iter()
            .map(|s| s.as_ref().to_owned())
            .collect();
        let list = if list.is_empty() {
            "nothing".to_owned()
        } else {
            list.join(", ")
        };
        Self::new(
            ErrorKind::Missing,
            format!("{what} is not there; available: {list}"),
        )
    }

    /// What kind of error this is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The same error with the place it happened in (a file, a key) put in front of its message.
    pub fn within(mut self, place: impl fmt::Display) -> Self {
        self.0.detail = format!("{place}: {}", self.0.detail);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.detail)?;
        match &self.0.cause {
            Some(cause) => write!(f, ": {cause}"),
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
