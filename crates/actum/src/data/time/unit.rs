//! Units of time, and names of columns of times.

pub(super) fn unit(word: &str) -> Option<&'static str> {
    Some(match word {
        "s" | "sec" | "secs" | "second" | "seconds" => "second",
        "min" | "mins" | "minute" | "minutes" => "minute",
        "h" | "hr" | "hrs" | "hour" | "hours" => "hour",
        "d" | "day" | "days" => "day",
        "w" | "wk" | "wks" | "week" | "weeks" => "week",
        _ => return None,
    })
}

/// The seconds of a unit of time.
pub(super) fn seconds(unit: &str) -> Option<f64> {
    Some(match unit {
        "second" => 1.0,
        "minute" => 60.0,
        "hour" => 3600.0,
        "day" => 86_400.0,
        "week" => 604_800.0,
        _ => return None,
    })
}

/// The unit that the name of a column of times tells: `day`, `Hours`, `time_h`, `t [min]`.
pub(super) fn unit_in(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    let words = name.split(|c: char| !c.is_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    // A letter alone is a name of many things.
    let (last, rest) = words.split_last()?;
    let says_time = rest
        .iter()
        .any(|word| ["t", "time", "timepoint"].contains(word));
    unit(last).filter(|_| last.len() > 1 || says_time)
}

/// Whether a name is that of something else that tells points apart: replicates, donors, plates.
pub(in crate::data) fn names_no_time(name: &str) -> bool {
    const ELSE: [&str; 16] = [
        "rep",
        "repl",
        "replicate",
        "batch",
        "donor",
        "patient",
        "subject",
        "sample",
        "plate",
        "lane",
        "well",
        "run",
        "library",
        "cluster",
        "group",
        "mouse",
    ];
    let name = name.to_lowercase();
    let words = || name.split(|c: char| !c.is_alphanumeric());
    let is_time = |word: &str| word.contains("time") || unit(word).is_some();
    let is_else =
        |word: &str| ELSE.contains(&word) || word.ends_with("rep") || word.ends_with("replicate");
    words().any(is_else) && !words().any(is_time)
}
