//! Points in time as the log has them: RFC 3339, to the millisecond.
//!
//! Lines of the log all have the form `2026-03-01T09:30:00.125Z`, which is read digit by digit, since there are millions.
//! What has another form (an offset, no fraction, more digits than three) is left to `chrono`; it is what people write.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// A point in time in milliseconds since 1970-01-01T00:00:00Z, from that to the end of the year 9999. Displayed and
/// serialised as `2026-03-01T09:30:00.125Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

/// The text is not a point in time, or one before 1970 or after 9999.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a time such as `2026-03-01T09:30:00Z`, from 1970 to 9999")]
pub struct NotATime;

impl Timestamp {
    /// The first point in time that there is.
    pub const FIRST: Self = Self(0);

    /// The last one.
    pub const LAST: Self = Self(253_402_300_799_999);

    /// The point in time so many milliseconds after 1970-01-01T00:00:00Z; [`LAST`](Self::LAST) if it were later than that.
    pub fn from_millis(millis: u64) -> Self {
        Self(millis.min(Self::LAST.0))
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub fn millis(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to this one; none if that is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The point in time that is so much earlier; [`FIRST`](Self::FIRST) if it were before that.
    pub fn before(self, span: Duration) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_sub(millis))
    }

    /// The point in time that is so much later; [`LAST`](Self::LAST) if it were after that.
    pub fn after(self, span: Duration) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self::from_millis(self.0.saturating_add(millis))
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::FIRST.after(since)
    }
}

impl FromStr for Timestamp {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        if let Some(time) = as_logged(text.as_bytes()) {
            return Ok(time);
        }
        let time = DateTime::parse_from_rfc3339(text).map_err(|_| NotATime)?;
        let millis = u64::try_from(time.timestamp_millis()).map_err(|_| NotATime)?;
        Some(Self(millis))
            .filter(|time| *time <= Self::LAST)
            .ok_or(NotATime)
    }
}

/// The time in the form that the log has, and in no other.
fn as_logged(text: &[u8]) -> Option<Timestamp> {
    let text: &[u8; 24] = text.try_into().ok()?;
    for (place, expected) in [
        (4, b'-'),
        (7, b'-'),
        (10, b'T'),
        (13, b':'),
        (16, b':'),
        (19, b'.'),
        (23, b'Z'),
    ] {
        if text[place] != expected {
            return None;
        }
    }
    let number = |from: usize, to: usize| -> Option<u64> {
        text[from..to].iter().try_fold(0, |number, digit| {
            digit
                .is_ascii_digit()
                .then(|| number * 10 + u64::from(digit - b'0'))
        })
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second, millis) = (number(11, 13)?, number(14, 16)?, number(17, 19)?, number(20, 23)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    // A leap second has the form too, and is left to others.
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(Timestamp(seconds * 1000 + millis))
}

/// The days from 1970-01-01 to a day. Years are counted from 1 March, so that the leap day is the last of its year.
fn days(year: u64, month: u64, day: u64) -> u64 {
    let year = if month <= 2 { year - 1 } else { year };
    let from_march = (month + 9) % 12;
    365 * year + year / 4 - year / 100 + year / 400 + (153 * from_march + 2) / 5 + day - 1 - 719_468
}

fn days_in(year: u64, month: u64) -> u64 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = i64::try_from(self.0)
            .ok()
            .and_then(DateTime::from_timestamp_millis);
        let time = time.expect("INVARIANT: it is before the year 10000");
        f.write_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(TimestampVisitor)
    }
}

struct TimestampVisitor;

impl Visitor<'_> for TimestampVisitor {
    type Value = Timestamp;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time such as `2026-03-01T09:30:00.125Z`")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Timestamp, E> {
        text.parse().map_err(E::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_as_logs_and_as_people_write_them() {
        // The seconds are those of `date -u -d TIME +%s`.
        let rows = [
            ("1970-01-01T00:00:00.000Z", Some(0)),
            ("2000-02-28T23:59:59.999Z", Some(951_782_399_999)),
            ("2000-02-29T00:00:00.000Z", Some(951_782_400_000)),
            ("2100-03-01T00:00:00.000Z", Some(4_107_542_400_000)),
            ("9999-12-31T23:59:59.999Z", Some(253_402_300_799_999)),
            ("2000-02-29T00:00:00Z", Some(951_782_400_000)),
            ("2000-02-29T01:00:00+01:00", Some(951_782_400_000)),
            ("2000-02-29 00:00:00.5Z", Some(951_782_400_500)),
            ("2001-02-29T00:00:00.000Z", None),
            ("2000-13-01T00:00:00.000Z", None),
            ("2000-00-01T00:00:00.000Z", None),
            ("2000-01-01T24:00:00.000Z", None),
            ("1969-12-31T23:59:59.999Z", None),
            ("2000-02-29", None),
            ("2000-02-29T00:00:00", None),
            ("+000-02-29T00:00:00.000Z", None),
            ("", None),
        ];
        for (text, millis) in rows {
            assert_eq!(text.parse().ok(), millis.map(Timestamp), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_time_that_is_shown_is_read_again(millis in 0..=Timestamp::LAST.0) {
            let time = Timestamp(millis);
            let text = time.to_string();
            prop_assert_eq!(as_logged(text.as_bytes()), Some(time));
            prop_assert_eq!(DateTime::parse_from_rfc3339(&text).unwrap().timestamp_millis(), i64::try_from(millis).unwrap());
        }
    }
}
