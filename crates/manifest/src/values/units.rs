//! The units that people write behind a number, wherever Outport reads a size or a time.

use std::time::Duration;

/// The number at the beginning of a text, and what stands behind it.
pub fn split_unit(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// The bytes of a unit of sizes: none at all or `B`, `K`, `M` and `G`, of which each is 1024 of the one before, also with `B`
/// or `iB` behind it, in letters of either case.
pub fn bytes_of_unit(unit: &str) -> Option<u32> {
    match unit.to_ascii_lowercase().as_str() {
        "" | "b" => Some(1),
        "k" | "kb" | "kib" => Some(1 << 10),
        "m" | "mb" | "mib" => Some(1 << 20),
        "g" | "gb" | "gib" => Some(1 << 30),
        _ => None,
    }
}

/// The time of a unit of times: `ms`, `s`, `m` or `h`.
pub fn time_of_unit(unit: &str) -> Option<Duration> {
    match unit {
        "ms" => Some(Duration::from_millis(1)),
        "s" => Some(Duration::from_secs(1)),
        "m" => Some(Duration::from_secs(60)),
        "h" => Some(Duration::from_secs(3600)),
        _ => None,
    }
}
