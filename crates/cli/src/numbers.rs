//! Numbers, sizes and times of the command line.
//!
//! No library reads these as they are read here, so that what somebody has written goes on meaning the same:
//!
//! | written | here | `bytesize` 2 | | written | here | `humantime` 2 |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | `64M`, `64MB` | 64 · 1024² bytes | 64 · 1000² | | `none` | no limit | an error |
//! | `1K` | 1024 bytes | 1000 | | `1M` | an error | a month |
//! | `2GiB` | 2 · 1024³ bytes | the same | | `0` | an error | no time |
//! | `99999999999999G` | an error | 2⁶⁴ - 1 bytes | | `1h30m`, `1.5h`, `1 h`, `2d` | errors | times |
//! | `1.5G`, `64 M` | errors | sizes | | `99999999999s` | an error | more than a clock holds |
//!
//! Telling apart what a library may be asked would be as much as reading it.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use outport_manifest::{bytes_of_unit, split_unit, time_of_unit};

/// A reader of whole numbers from `least` to `most`.
pub(crate) fn number(least: u32, most: u32) -> impl Fn(&str) -> Result<u32, String> + Clone + Send + Sync {
    move |text| {
        let range = match most {
            u32::MAX => format!("of {least} or more"),
            _ => format!("from {least} to {most}"),
        };
        let number: Option<u32> = text.parse().ok();
        number
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| format!("write a whole number {range}"))
    }
}

/// A whole number that is not 0.
pub(crate) fn at_least_one(text: &str) -> Result<NonZeroU32, String> {
    number(1, u32::MAX)(text).map(|number| NonZeroU32::new(number).expect("INVARIANT: it is 1 or more"))
}

/// Bytes; `K`, `KB` and `KiB` are 1024 of them, and so on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) usize);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = split_unit(text);
        let factor = bytes_of_unit(unit).ok_or("write a number with `K`, `M` or `G`, such as `64M`")?;
        let number: usize = number
            .parse()
            .map_err(|_| "write a number, such as `64M`".to_owned())?;
        usize::try_from(factor)
            .ok()
            .and_then(|factor| number.checked_mul(factor))
            .map(Size)
            .ok_or_else(|| "it is larger than any memory".into())
    }
}

/// Bytes that a component could do with.
pub(crate) fn memory(text: &str) -> Result<Size, String> {
    let Size(bytes) = text.parse()?;
    match (
        bytes >= LEAST_MEMORY,
        text.bytes().all(|digit| digit.is_ascii_digit()),
    ) {
        (true, _) => Ok(Size(bytes)),
        (false, true) if bytes > 0 => Err(format!(
            "{text} bytes is less than any component needs; did you mean `{text}M`?"
        )),
        (false, _) => Err("it is less than any component needs; write for example `64M`".into()),
    }
}

/// One page of WebAssembly's memory.
const LEAST_MEMORY: usize = 64 << 10;

/// Bytes, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Total {
    None,
    Of(Size),
}

pub(crate) fn total(text: &str) -> Result<Total, String> {
    match text {
        "none" => Ok(Total::None),
        text => memory(text).map(Total::Of),
    }
}

/// A time, or `none`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Time(pub(crate) Option<Duration>);

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(None));
        }
        let (number, unit) = split_unit(text);
        let unit = match time_of_unit(unit) {
            Some(unit) => unit,
            None if unit.is_empty() && !number.is_empty() && number.bytes().any(|digit| digit != b'0') => {
                return Err(format!("write its unit: did you mean `{number}s`?"));
            }
            None => return Err("write a number with `ms`, `s`, `m` or `h`, such as `10s`, or `none`".into()),
        };
        let number: u32 = number.parse().map_err(|_| match number {
            "" => "write a number, such as `10s`".to_owned(),
            _ => format!(
                "it is longer than any time: the largest number is {}; write `none` for no limit",
                u32::MAX
            ),
        })?;
        Ok(Self(Some(unit.saturating_mul(number))))
    }
}

/// A time in which something can be done, or `none`.
pub(crate) fn working_time(text: &str) -> Result<Time, String> {
    match text.parse()? {
        Time(Some(Duration::ZERO)) => {
            Err("it leaves no time for anything; write for example `10s`, or `none` for no limit".into())
        }
        time => Ok(time),
    }
}

/// A time that is not `none`, for an instance without a request.
pub(crate) fn bounded_idle(text: &str) -> Result<Duration, String> {
    let Time(time) = text.parse()?;
    time.ok_or_else(|| "write a time, such as `10s`: an instance does not stay for ever".into())
}

/// A time that is neither `none` nor nothing, for a client.
pub(crate) fn bounded_client(text: &str) -> Result<Duration, String> {
    let Time(time) = text.parse()?;
    time.filter(|time| !time.is_zero()).ok_or_else(|| {
        "write a time of more than `0s`, such as `60s`: a client neither leaves at once nor stays for ever"
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_have_units() {
        let size = |text: &str| text.parse::<Size>().ok().map(|size| size.0);
        let sizes = [
            ("100", Some(100)),
            ("1K", Some(1024)),
            ("64M", Some(64 << 20)),
            ("2GiB", Some(2 << 30)),
            ("64MB", Some(64 << 20)),
            ("64kb", Some(64 << 10)),
            ("2g", Some(2 << 30)),
            ("64X", None),
            ("99999999999999G", None),
            ("1.5G", None),
            ("64 M", None),
            ("M", None),
            ("-1", None),
            ("", None),
        ];
        for (text, bytes) in sizes {
            assert_eq!(size(text), bytes, "{text:?}");
        }
        for (text, expected) in [
            ("none", Some(Total::None)),
            ("4G", Some(Total::Of(Size(4 << 30)))),
            ("64K", Some(Total::Of(Size(64 << 10)))),
            ("63K", None),
            ("512", None),
            ("x", None),
        ] {
            assert_eq!(total(text).ok(), expected, "{text:?}");
        }
        let time = |text: &str| text.parse::<Time>().ok().map(|time| time.0);
        let times = [
            ("500ms", Some(Some(Duration::from_millis(500)))),
            ("10s", Some(Some(Duration::from_secs(10)))),
            ("5m", Some(Some(Duration::from_secs(300)))),
            ("none", Some(None)),
            ("10", None),
            ("s", None),
            ("99999999999s", None),
            ("1h", Some(Some(Duration::from_secs(3600)))),
            ("0s", Some(Some(Duration::ZERO))),
            ("0", None),
            ("1M", None),
            ("1h30m", None),
            ("1.5h", None),
            ("1 h", None),
            ("2d", None),
            (
                "4294967295h",
                Some(Some(Duration::from_secs(4_294_967_295 * 3600))),
            ),
        ];
        for (text, expected) in times {
            assert_eq!(time(text), expected, "{text:?}");
        }
        for (text, idle, client) in [
            ("1s", Some(1), Some(1)),
            ("0s", Some(0), None),
            ("none", None, None),
        ] {
            let (idle, client) = (idle.map(Duration::from_secs), client.map(Duration::from_secs));
            assert_eq!(bounded_idle(text).ok(), idle, "{text:?}");
            assert_eq!(bounded_client(text).ok(), client, "{text:?}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused_without_words_of_a_programmer() {
        let rows = [
            (number(1, 10_000)("1"), Ok(1)),
            (number(1, 10_000)("10000"), Ok(10_000)),
            (
                number(1, 10_000)("0"),
                Err("write a whole number from 1 to 10000"),
            ),
            (
                number(1, 10_000)("10001"),
                Err("write a whole number from 1 to 10000"),
            ),
            (
                number(0, u32::MAX)("none"),
                Err("write a whole number of 0 or more"),
            ),
            (
                number(0, u32::MAX)("4294967296"),
                Err("write a whole number of 0 or more"),
            ),
            (
                number(0, u32::MAX)("-1"),
                Err("write a whole number of 0 or more"),
            ),
            (
                at_least_one("0").map(NonZeroU32::get),
                Err("write a whole number of 1 or more"),
            ),
            (memory("65536").map(|Size(bytes)| bytes as u32), Ok(65536)),
            (
                memory("512").map(|_| 0),
                Err("512 bytes is less than any component needs; did you mean `512M`?"),
            ),
            (
                memory("0").map(|_| 0),
                Err("it is less than any component needs; write for example `64M`"),
            ),
            (working_time("1ms").map(|_| 0), Ok(0)),
            (working_time("none").map(|_| 0), Ok(0)),
            (
                working_time("0s").map(|_| 0),
                Err("it leaves no time for anything; write for example `10s`, or `none` for no limit"),
            ),
            (
                working_time("0").map(|_| 0),
                Err("write a number with `ms`, `s`, `m` or `h`, such as `10s`, or `none`"),
            ),
            (
                working_time("5").map(|_| 0),
                Err("write its unit: did you mean `5s`?"),
            ),
            (
                memory("1K").map(|_| 0),
                Err("it is less than any component needs; write for example `64M`"),
            ),
        ];
        for (read, expected) in rows {
            assert_eq!(
                read.as_ref().map_err(String::as_str),
                expected.as_ref().map_err(|text| *text)
            );
        }
    }
}
