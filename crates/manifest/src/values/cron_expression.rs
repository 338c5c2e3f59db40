//! A cron expression, as Spin's plugin for the clock reads it: six fields, of which the first are seconds.
//!
//! ```text
//! second  minute  hour  day of the month  month  day of the week
//! 0       30      9     *                 *      MON-FRI
//! ```
//!
//! | written | |
//! | --- | --- |
//! | `*`, `5`, `1-5`, `1,15`, `*/10`, `5/10` | all; one; a range; a list; every tenth, from the first or from the fifth on |
//! | days of the week | 0 to 7, where 0 and 7 are Sunday; or `SUN` to `SAT` |
//! | months | 1 to 12, or `JAN` to `DEC` |
//! | `L`, `15W`, `5#2` | the last day; the working day next to one; the second Friday |
//! | a day of the month and one of the week | either is enough, as with Unix's cron |
//!
//! Where the clock of a time zone is set forward, an expression for times that are left out comes at the first moment after
//! the gap, once, and one with `*` or a step goes on behind it. Where it is set back, the former comes once, the latter in
//! both hours: what Unix's cron does.

use std::fmt;

use chrono::{DateTime, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use outport_policy::text;

/// A cron expression that comes true at least once. `Display` shows it as it was written.
#[derive(Clone, PartialEq, Eq)]
pub struct CronExpression {
    text: String,
    cron: Cron,
}

/// The reason why a text is no cron expression, to be read behind its key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CronExpressionError {
    /// Of another form.
    #[error("has {0} fields, and needs 6: second, minute, hour, day of the month, month, day of the week")]
    Fields(usize),
    /// A word that other clocks know, such as `@daily`.
    #[error("has no fields, and needs 6: such words are not read")]
    Word {
        /// The expression that says the same.
        same: Option<&'static str>,
    },
    /// Variables: which they are may change, what it comes to is known at start alone.
    #[error("has `{{{{`: variables are not read here")]
    Variables,
    /// Something in a field.
    #[error(
        "is no cron expression: `{}` cannot be the {field}, which is {range}",
        text::excerpt(written)
    )]
    Field {
        /// What stands there.
        written: String,
        /// The name of the field.
        field: &'static str,
        /// What it may be.
        range: &'static str,
    },
    /// Something that no field is to blame for alone.
    #[error("is no cron expression")]
    Form,
    /// The 30th of February.
    #[error("never comes true: there is no such day")]
    Never,
}

impl CronExpressionError {
    /// Advice on what to write.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Fields(5) => {
                "write the second in front, such as `0 30 9 * * *` for half past nine each day"
            }
            Self::Word { same: Some(same) } => same,
            Self::Variables => "write the expression itself",
            Self::Fields(_) | Self::Word { same: None } | Self::Field { .. } | Self::Form => {
                "such as `0 30 9 * * MON-FRI`, half past nine on working days"
            }
            Self::Never => "correct the day or the month",
        }
    }
}

impl CronExpression {
    /// Reads an expression.
    ///
    /// # Errors
    ///
    /// What has other than six fields, or one that is none; and what never comes true.
    pub fn parse(text: &str) -> Result<Self, CronExpressionError> {
        if text.contains("{{") {
            return Err(CronExpressionError::Variables);
        }
        let fields: Vec<_> = text.split_whitespace().collect();
        if let [word] = fields[..]
            && word.starts_with('@')
        {
            let known = WORDS.iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
            let same = known.map(|(_, same)| *same);
            return Err(CronExpressionError::Word { same });
        }
        if fields.len() != FIELDS.len() {
            return Err(CronExpressionError::Fields(fields.len()));
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Required)
            .year(Year::Disallowed)
            .sloppy_ranges(true)
            .build();
        let cron = parser
            .parse(text)
            .map_err(|_| wrong_field(&parser, &fields).unwrap_or(CronExpressionError::Form))?;
        let expression = Self {
            text: text.to_owned(),
            cron,
        };
        let some_time = Utc.timestamp_opt(0, 0).single();
        match some_time.and_then(|time| expression.next_after(time, Tz::UTC)) {
            Some(_) => Ok(expression),
            None => Err(CronExpressionError::Never),
        }
    }

    /// The first moment after `time` at which it comes true in the time zone; none where there is none before the year
    /// 5000.
    pub fn next_after(&self, time: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let found = self.cron.find_next_occurrence(&time.with_timezone(&zone), false);
        let next = found.ok()?.with_timezone(&Utc);
        // A library that answered otherwise would have us start one run after the other.
        (next > time).then_some(next)
    }
}

/// The first field that is none, where all others are `*`: the parser does not say which it does not understand.
fn wrong_field(parser: &CronParser, fields: &[&str]) -> Option<CronExpressionError> {
    FIELDS
        .iter()
        .zip(fields)
        .enumerate()
        .find_map(|(number, ((field, range), written))| {
            let mut alone = ["*"; FIELDS.len()];
            alone[number] = written;
            let refused = parser.parse(&alone.join(" ")).is_err();
            refused.then(|| CronExpressionError::Field {
                written: (*written).to_owned(),
                field,
                range,
            })
        })
}

/// The fields in their order, and what each of them may be.
const FIELDS: [(&str, &str); 6] = [
    ("second", "0 to 59"),
    ("minute", "0 to 59"),
    ("hour", "0 to 23"),
    ("day of the month", "1 to 31, or `L`"),
    ("month", "1 to 12, or `JAN` to `DEC`"),
    ("day of the week", "0 to 7, or `SUN` to `SAT`"),
];

/// Words of other clocks, with advice on what says the same here.
const WORDS: [(&str, &str); 7] = [
    ("@hourly", "write `0 0 * * * *`"),
    ("@daily", "write `0 0 0 * * *`"),
    ("@midnight", "write `0 0 0 * * *`"),
    ("@weekly", "write `0 0 0 * * SUN`"),
    ("@monthly", "write `0 0 0 1 * *`"),
    ("@yearly", "write `0 0 0 1 1 *`"),
    ("@annually", "write `0 0 0 1 1 *`"),
];

impl fmt::Display for CronExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for CronExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CronExpression({:?})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utc(text: &str) -> DateTime<Utc> {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn an_expression_comes_true_when_spins_does() {
        // (expression, zone, after, next)
        let rows = [
            (
                "0 30 9 * * *",
                "UTC",
                "2026-11-30T09:30:00Z",
                "2026-12-01T09:30:00Z",
            ),
            (
                "0 30 9 * * *",
                "Europe/Berlin",
                "2026-11-30T00:00:00Z",
                "2026-11-30T08:30:00Z",
            ),
            (
                "*/2 * * * * *",
                "UTC",
                "2026-11-30T00:00:00.5Z",
                "2026-11-30T00:00:02Z",
            ),
            // From the first on, as Spin's template has it.
            (
                "1/30 * * * * *",
                "UTC",
                "2026-11-30T00:00:02Z",
                "2026-11-30T00:00:31Z",
            ),
            // The 30th is a Monday; 0 and 7 are Sunday.
            (
                "0 0 0 * * 1",
                "UTC",
                "2026-11-24T00:00:00Z",
                "2026-11-30T00:00:00Z",
            ),
            (
                "0 0 0 * * 0",
                "UTC",
                "2026-11-24T00:00:00Z",
                "2026-11-29T00:00:00Z",
            ),
            (
                "0 0 0 * * 7",
                "UTC",
                "2026-11-24T00:00:00Z",
                "2026-11-29T00:00:00Z",
            ),
            (
                "0 0 0 * * MON",
                "UTC",
                "2026-11-24T00:00:00Z",
                "2026-11-30T00:00:00Z",
            ),
            // A day of the month or one of the week.
            (
                "0 0 0 13 * FRI",
                "UTC",
                "2026-11-30T00:00:00Z",
                "2026-12-04T00:00:00Z",
            ),
            (
                "0 0 0 13 * FRI",
                "UTC",
                "2026-12-11T00:00:00Z",
                "2026-12-13T00:00:00Z",
            ),
            // Years away.
            (
                "0 0 0 29 2 *",
                "UTC",
                "2096-03-01T00:00:00Z",
                "2104-02-29T00:00:00Z",
            ),
            // At two the clock goes to three.
            (
                "0 30 2 * * *",
                "Europe/Berlin",
                "2027-03-28T00:00:00Z",
                "2027-03-28T01:00:00Z",
            ),
            (
                "0 30 2 * * *",
                "Europe/Berlin",
                "2027-03-28T01:00:00Z",
                "2027-03-29T00:30:00Z",
            ),
            // At three the clock goes to two: half past two comes once, each half hour twice.
            (
                "0 30 2 * * *",
                "Europe/Berlin",
                "2026-10-25T00:00:00Z",
                "2026-10-25T00:30:00Z",
            ),
            (
                "0 30 2 * * *",
                "Europe/Berlin",
                "2026-10-25T00:30:00Z",
                "2026-10-26T01:30:00Z",
            ),
            (
                "0 */30 * * * *",
                "Europe/Berlin",
                "2026-10-25T00:30:00Z",
                "2026-10-25T01:00:00Z",
            ),
        ];
        for (text, zone, after, next) in rows {
            let expression = CronExpression::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let zone: Tz = zone.parse().unwrap();
            assert_eq!(
                expression.next_after(utc(after), zone),
                Some(utc(next)),
                "{text} in {zone} after {after}"
            );
        }
    }

    #[test]
    fn what_is_no_expression_says_why() {
        for (text, fields) in [("", 0), ("30 9 * * *", 5), ("daily", 1), ("0 30 9 * * * 2027", 7)] {
            let error = CronExpression::parse(text).expect_err(text);
            assert_eq!(error, CronExpressionError::Fields(fields), "{text:?}");
        }
        for (text, wrong, in_field) in [
            ("60 * * * * *", "60", "second"),
            ("a * * * * *", "a", "second"),
            ("*/0 * * * * *", "*/0", "second"),
            ("* 5,61 * * * *", "5,61", "minute"),
            ("* * 24 * * *", "24", "hour"),
            ("* * * 0 * *", "0", "day of the month"),
            ("* * * * FEBR *", "FEBR", "month"),
            ("0 30 9 * * 1-FRY", "1-FRY", "day of the week"),
            ("* * * * * MOON", "MOON", "day of the week"),
        ] {
            match CronExpression::parse(text).expect_err(text) {
                CronExpressionError::Field { written, field, .. } => {
                    assert_eq!((written.as_str(), field), (wrong, in_field), "{text:?}");
                }
                other => panic!("{text:?}: {other}"),
            }
        }
        for (word, same) in WORDS {
            let error = CronExpression::parse(word).expect_err(word);
            assert_eq!(error.help(), same, "{word}");
            // What is advised is an expression.
            let advised = same.split('`').nth(1).unwrap_or_default();
            CronExpression::parse(advised).unwrap_or_else(|error| panic!("{advised}: {error}"));
        }
        let error = CronExpression::parse("@reboot").expect_err("it is no time");
        assert_eq!(error, CronExpressionError::Word { same: None });
        for text in ["{{ when }}", "0 {{ minute }} * * * *"] {
            let error = CronExpression::parse(text).expect_err(text);
            assert_eq!(error, CronExpressionError::Variables, "{text:?}");
        }
        for text in ["0 0 0 30 2 *", "0 0 0 31 4,6,9,11 *"] {
            let error = CronExpression::parse(text).expect_err(text);
            assert_eq!(error, CronExpressionError::Never, "{text:?}");
        }
    }
}
