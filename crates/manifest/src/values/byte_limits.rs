//! A rate and a bound of bytes as an operator writes them: `10M`, and `1GiB/1h`.
//!
//! Sizes are whole numbers with `K`, `M` or `G` behind them, of which each is 1024 of the one before, as everywhere in
//! Outport; times have `ms`, `s`, `m` or `h`. What could never let anything through is refused: it is a mistake, and who wants
//! nothing sent allows no hosts.

use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

use outport_policy::SentBound;

use super::units::{bytes_of_unit, split_unit, time_of_unit};

/// Bytes a second: `1M`, `64KiB`, `1500`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteRate(pub NonZeroU64);

/// Bytes in a time: `1GiB/1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentLimit(pub SentBound);

/// The reason why a text is neither.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ByteLimitError {
    /// `fast`, `1.5M`, `10T`.
    #[error("write a number of bytes with or without `K`, `M` or `G`, such as `64M`")]
    Size,
    /// `99999999999999G`
    #[error("no so many bytes are ever sent: leave it out for no limit")]
    TooLarge,
    /// `0`
    #[error(
        "with 0 bytes nothing is ever sent: leave it out for no limit, and allow no hosts if nothing is to leave"
    )]
    NoBytes,
    /// `1G`
    #[error("write the time behind the size, such as `1GiB/1h`")]
    NoTime,
    /// `1G/day`
    #[error("write the time as a number with `ms`, `s`, `m` or `h`, such as `1GiB/1h`")]
    Time,
    /// `1G/0s`
    #[error("in no time nothing is bounded: write a longer one, such as `1GiB/1h`")]
    ZeroTime,
    /// `1M/s`
    #[error("what it is a second is said by the option: write `{0}`")]
    PerSecond(String),
}

impl FromStr for ByteRate {
    type Err = ByteLimitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(size) = text.strip_suffix("/s").or_else(|| text.strip_suffix("/1s"))
            && bytes(size).is_ok()
        {
            return Err(ByteLimitError::PerSecond(size.to_owned()));
        }
        bytes(text).map(Self)
    }
}

impl FromStr for SentLimit {
    type Err = ByteLimitError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Some((size, time)) = text.split_once('/') else {
            return bytes(text).and(Err(ByteLimitError::NoTime));
        };
        Ok(Self(SentBound {
            bytes: bytes(size)?,
            time: duration(time)?,
        }))
    }
}

fn bytes(text: &str) -> Result<NonZeroU64, ByteLimitError> {
    let (number, unit) = split_unit(text);
    let factor = bytes_of_unit(unit).ok_or(ByteLimitError::Size)?;
    if number.is_empty() {
        return Err(ByteLimitError::Size);
    }
    let number: Option<u64> = number.parse().ok();
    let bytes = number.and_then(|number| number.checked_mul(factor.into()));
    NonZeroU64::new(bytes.ok_or(ByteLimitError::TooLarge)?).ok_or(ByteLimitError::NoBytes)
}

fn duration(text: &str) -> Result<Duration, ByteLimitError> {
    let (number, unit) = split_unit(text);
    let unit = time_of_unit(unit).ok_or(ByteLimitError::Time)?;
    let number: u32 = number.parse().map_err(|_| ByteLimitError::Time)?;
    let time = unit.saturating_mul(number);
    if time.is_zero() {
        return Err(ByteLimitError::ZeroTime);
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves: BUD-3
    #[test]
    fn rates_and_bounds_are_read_or_refused_with_advice() {
        use ByteLimitError as Error;
        let rows = [
            ("1500", Ok(1500)),
            ("64K", Ok(64 << 10)),
            ("10MiB", Ok(10 << 20)),
            ("1g", Ok(1 << 30)),
            ("7B", Ok(7)),
            ("0", Err(Error::NoBytes)),
            ("0G", Err(Error::NoBytes)),
            ("", Err(Error::Size)),
            ("M", Err(Error::Size)),
            ("-1", Err(Error::Size)),
            ("1.5M", Err(Error::Size)),
            ("10T", Err(Error::Size)),
            ("1 M", Err(Error::Size)),
            ("none", Err(Error::Size)),
            ("99999999999999G", Err(Error::TooLarge)),
            ("99999999999999999999999", Err(Error::TooLarge)),
            ("1M/s", Err(Error::PerSecond("1M".into()))),
            ("1M/1s", Err(Error::PerSecond("1M".into()))),
            ("1M/1h", Err(Error::Size)),
        ];
        for (text, expected) in rows {
            let rate = text.parse::<ByteRate>().map(|rate| rate.0.get());
            assert_eq!(rate, expected, "{text:?}");
        }
        let rows = [
            ("1GiB/1h", Ok((1 << 30, 3600))),
            ("1/1s", Ok((1, 1))),
            ("10M/5m", Ok((10 << 20, 300))),
            ("1G", Err(Error::NoTime)),
            ("x", Err(Error::Size)),
            ("1G/", Err(Error::Time)),
            ("/1h", Err(Error::Size)),
            ("1G/day", Err(Error::Time)),
            ("1G/1", Err(Error::Time)),
            ("1G/h", Err(Error::Time)),
            ("1G/1h/2", Err(Error::Time)),
            ("1G/0s", Err(Error::ZeroTime)),
            ("1G/99999999999h", Err(Error::Time)),
            ("0/1h", Err(Error::NoBytes)),
        ];
        for (text, expected) in rows {
            let bound = text.parse::<SentLimit>();
            let bound = bound.map(|SentLimit(bound)| (bound.bytes.get(), bound.time.as_secs()));
            assert_eq!(bound, expected, "{text:?}");
        }
        // What is shown is what can be written.
        for text in ["1GiB/1h", "3KiB/90s", "1B/1500ms"] {
            assert_eq!(text.parse::<SentLimit>().unwrap().0.to_string(), text);
        }
    }
}
