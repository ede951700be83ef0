//! Which files this version reads.

use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result, ensure};

/// Reads JSON with a field `version`, which is checked before the rest is looked at.
pub(crate) fn versioned<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    let broken = |cause: serde_json::Error| {
        Error::new(ErrorKind::Format, "it is damaged: its JSON cannot be read").because(cause)
    };
    let value: serde_json::Value = serde_json::from_slice(text).map_err(broken)?;
    check_version(value["version"].as_str().unwrap_or_default())?;
    serde_json::from_slice(text).map_err(broken)
}

/// Whether files written by `version` can be read: same major, and same minor before 1.0.
fn check_version(version: &str) -> Result<()> {
    let ours = env!("CARGO_PKG_VERSION");
    let compatible = |v: &str| {
        let mut parts = v.split('.').map(str::to_owned);
        let major = parts.next()?;
        Some(if major == "0" {
            (major, parts.next())
        } else {
            (major, None)
        })
    };
    ensure!(
        compatible(version).is_some() && compatible(version) == compatible(ours),
        Version,
        "written by version {} of actum, this is {ours}; fit again or use that version",
        if version.is_empty() {
            "(unknown)"
        } else {
            version
        }
    );
    Ok(())
}
