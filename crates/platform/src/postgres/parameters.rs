//! Values for the server. They go as text, which the server reads as whatever the statement wants there: an integer of any
//! size, a text as an enum, a date as a timestamp. It never is part of the statement. Bytes go as they are.

use std::fmt::Display;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

use super::calendar;
use super::types::{Interval, ParameterValue, RangeBoundKind};

/// A value as it is sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Parameter {
    Null,
    /// Read by the server.
    Text(String),
    /// As the server keeps it.
    Bytes(Vec<u8>),
}

/// Why a value cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadParameter {
    #[error("it is bytes, and the statement wants no `bytea` there")]
    NotBytes,
    #[error("it is not JSON in UTF-8")]
    NotText,
    #[error("it is beyond every date")]
    NoDate,
}

impl Parameter {
    /// `value` for where the statement wants a `wanted`.
    pub(super) fn new(value: ParameterValue, wanted: &Type) -> Result<Self, BadParameter> {
        Ok(Self::Text(match value {
            ParameterValue::DbNull => return Ok(Self::Null),
            ParameterValue::Binary(bytes) if *wanted == Type::BYTEA => return Ok(Self::Bytes(bytes)),
            ParameterValue::Binary(_) => return Err(BadParameter::NotBytes),
            // The one type of which text is something else than the number.
            ParameterValue::Int8(number) if *wanted == Type::CHAR => {
                return Ok(Self::Bytes(number.to_be_bytes().to_vec()));
            }
            ParameterValue::Boolean(value) => value.to_string(),
            ParameterValue::Int8(number) => number.to_string(),
            ParameterValue::Int16(number) => number.to_string(),
            ParameterValue::Int32(number) => number.to_string(),
            ParameterValue::Int64(number) => number.to_string(),
            ParameterValue::Floating32(number) => number.to_string(),
            ParameterValue::Floating64(number) => number.to_string(),
            ParameterValue::Str(text) | ParameterValue::Uuid(text) | ParameterValue::Decimal(text) => text,
            ParameterValue::Jsonb(json) => String::from_utf8(json).map_err(|_| BadParameter::NotText)?,
            ParameterValue::Date(date) => calendar::date_text(date),
            ParameterValue::Time(time) => calendar::time_text(time),
            ParameterValue::Datetime((year, month, day, hour, minute, second, nanosecond)) => {
                calendar::date_and_time_text((year, month, day), (hour, minute, second, nanosecond))
            }
            ParameterValue::Timestamp(seconds) => {
                let (date, time) = calendar::date_and_time_of_unix(seconds).ok_or(BadParameter::NoDate)?;
                calendar::date_and_time_text(date, time)
            }
            ParameterValue::RangeInt32(ends) => range(&ends),
            ParameterValue::RangeInt64(ends) => range(&ends),
            ParameterValue::RangeDecimal(ends) => range(&ends),
            ParameterValue::ArrayInt32(values) => array(&values),
            ParameterValue::ArrayInt64(values) => array(&values),
            ParameterValue::ArrayDecimal(values) | ParameterValue::ArrayStr(values) => array(&values),
            ParameterValue::Interval(interval) => return Ok(Self::interval(interval, wanted)),
        }))
    }

    fn interval(interval: Interval, wanted: &Type) -> Self {
        let Interval { micros, days, months } = interval;
        if *wanted != Type::INTERVAL {
            return Self::Text(format!("{months} mons {days} days {micros} microseconds"));
        }
        let mut bytes = micros.to_be_bytes().to_vec();
        bytes.extend(days.to_be_bytes());
        bytes.extend(months.to_be_bytes());
        Self::Bytes(bytes)
    }
}

/// One end of a range, if it has it.
type End<T> = Option<(T, RangeBoundKind)>;

/// `["1","5")`, as PostgreSQL reads a range.
fn range<T: Display>((lower, upper): &(End<T>, End<T>)) -> String {
    let written = |end: &End<T>, inclusive, exclusive| match end {
        None => (exclusive, String::new()),
        Some((value, RangeBoundKind::Inclusive)) => (inclusive, quoted(value)),
        Some((value, RangeBoundKind::Exclusive)) => (exclusive, quoted(value)),
    };
    let (begin, lower) = written(lower, '[', '(');
    let (end, upper) = written(upper, ']', ')');
    format!("{begin}{lower},{upper}{end}")
}

/// `{"1",NULL}`, as PostgreSQL reads an array.
fn array<T: Display>(values: &[Option<T>]) -> String {
    let mut text = "{".to_owned();
    for (at, value) in values.iter().enumerate() {
        if at > 0 {
            text.push(',');
        }
        match value {
            None => text += "NULL",
            Some(value) => text += &quoted(value),
        }
    }
    text.push('}');
    text
}

fn quoted(value: &impl Display) -> String {
    let value = value.to_string().replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{value}\"")
}

impl ToSql for Parameter {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => return Ok(IsNull::Yes),
            Self::Text(text) => out.put_slice(text.as_bytes()),
            Self::Bytes(bytes) => out.put_slice(bytes),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        match self {
            Self::Null | Self::Bytes(_) => Format::Binary,
            Self::Text(_) => Format::Text,
        }
    }

    tokio_postgres::types::to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_text_that_the_server_reads_or_bytes() {
        let text = |text: &str| Ok(Parameter::Text(text.to_owned()));
        let some = |text: &str| Some(text.to_owned());
        let (inclusive, exclusive) = (RangeBoundKind::Inclusive, RangeBoundKind::Exclusive);
        let interval = |micros| Interval {
            micros,
            days: -2,
            months: 3,
        };
        let in_bytes = [
            &(-1_i64).to_be_bytes()[..],
            &(-2_i32).to_be_bytes(),
            &3_i32.to_be_bytes(),
        ];
        for (value, wanted, expected) in [
            (ParameterValue::DbNull, Type::INT4, Ok(Parameter::Null)),
            (ParameterValue::Boolean(true), Type::BOOL, text("true")),
            (ParameterValue::Int8(-5), Type::INT4, text("-5")),
            (
                ParameterValue::Int8(-5),
                Type::CHAR,
                Ok(Parameter::Bytes(vec![251])),
            ),
            (
                ParameterValue::Int64(i64::MIN),
                Type::INT8,
                text("-9223372036854775808"),
            ),
            (ParameterValue::Floating64(0.1), Type::FLOAT8, text("0.1")),
            (ParameterValue::Floating32(f32::NAN), Type::FLOAT4, text("NaN")),
            (
                ParameterValue::Floating32(f32::NEG_INFINITY),
                Type::FLOAT4,
                text("-inf"),
            ),
            (ParameterValue::Str("a'b\\".to_owned()), Type::TEXT, text("a'b\\")),
            (
                ParameterValue::Binary(vec![0]),
                Type::BYTEA,
                Ok(Parameter::Bytes(vec![0])),
            ),
            (
                ParameterValue::Binary(vec![0]),
                Type::TEXT,
                Err(BadParameter::NotBytes),
            ),
            (
                ParameterValue::Jsonb(vec![0xff]),
                Type::JSONB,
                Err(BadParameter::NotText),
            ),
            (
                ParameterValue::Timestamp(0),
                Type::TIMESTAMPTZ,
                text("1970-01-01 00:00:00.000000000+00"),
            ),
            (
                ParameterValue::Timestamp(i64::MAX),
                Type::TIMESTAMPTZ,
                Err(BadParameter::NoDate),
            ),
            (
                ParameterValue::RangeInt32((Some((1, inclusive)), Some((5, exclusive)))),
                Type::INT4_RANGE,
                text("[\"1\",\"5\")"),
            ),
            (
                ParameterValue::RangeInt64((None, Some((5, inclusive)))),
                Type::INT8_RANGE,
                text("(,\"5\"]"),
            ),
            (
                ParameterValue::RangeDecimal((Some(("1,5\"".to_owned(), exclusive)), None)),
                Type::NUM_RANGE,
                text("(\"1,5\\\"\",)"),
            ),
            (
                ParameterValue::ArrayInt32(vec![Some(1), None]),
                Type::INT4_ARRAY,
                text("{\"1\",NULL}"),
            ),
            (
                ParameterValue::ArrayInt64(Vec::new()),
                Type::INT8_ARRAY,
                text("{}"),
            ),
            (
                ParameterValue::ArrayStr(vec![some("a\"b\\,{}"), some("NULL"), some("")]),
                Type::TEXT_ARRAY,
                text("{\"a\\\"b\\\\,{}\",\"NULL\",\"\"}"),
            ),
            (
                ParameterValue::Interval(interval(-1)),
                Type::INTERVAL,
                Ok(Parameter::Bytes(in_bytes.concat())),
            ),
            (
                ParameterValue::Interval(interval(1)),
                Type::TEXT,
                text("3 mons -2 days 1 microseconds"),
            ),
        ] {
            let said = format!("{value:?} {wanted}");
            assert_eq!(Parameter::new(value, &wanted), expected, "{said}");
        }
    }
}
