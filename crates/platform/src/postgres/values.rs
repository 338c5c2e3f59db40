//! Values as the server sends them, in the terms of the newest interface, which is the widest.
//!
//! | PostgreSQL | here |
//! | --- | --- |
//! | `boolean`, `smallint`, `integer`, `bigint`, `real`, `double precision`, `bytea` | as they are |
//! | `text`, `varchar`, `char(n)` | `str` |
//! | `date`, `time` | in the Gregorian calendar, where the year before 1 is 0 |
//! | `timestamp`, `timestamptz` | `datetime`, the latter in UTC |
//! | `uuid`, `jsonb`, `numeric`, `interval` | as text, bytes of the text, text in the base of ten, and three numbers |
//! | `int4range`, `int8range`, `numrange` | the ends; a range that is empty goes from 0 to 0, of which neither is in it |
//! | arrays of `integer`, `bigint`, `numeric`, `text`, `varchar`, `char(n)` | lists, if they have one dimension |
//! | anything else | `unsupported`: its bytes |

use postgres_protocol::types as wire;
use tokio_postgres::fallible_iterator::FallibleIterator;
use tokio_postgres::types::Type;

use super::calendar;
use super::numeric;
use super::types::{DbDataType, DbValue, Interval, RangeBoundKind};
use crate::room::{NoRoom, Room};

/// Why a value cannot be given to a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoValue {
    #[error("its bytes are not those of its type")]
    Broken,
    #[error("it is infinite")]
    Infinite,
    #[error("it is an array of several dimensions")]
    Dimensions,
    #[error("it is too large")]
    TooLarge,
}

impl From<NoRoom> for NoValue {
    fn from(_: NoRoom) -> Self {
        Self::TooLarge
    }
}

/// What has memory of its own.
trait OnHeap {
    /// Bytes of it, where it has any.
    fn on_heap(&self) -> usize {
        0
    }
}

impl OnHeap for i32 {}
impl OnHeap for i64 {}
impl OnHeap for String {
    fn on_heap(&self) -> usize {
        self.len()
    }
}

/// One end of a range, if it has it.
type End<T> = Option<(T, RangeBoundKind)>;

/// What a column of that type is said to be.
pub(super) fn data_type(of: &Type) -> DbDataType {
    match *of {
        Type::BOOL => DbDataType::Boolean,
        Type::BYTEA => DbDataType::Binary,
        Type::FLOAT4 => DbDataType::Floating32,
        Type::FLOAT8 => DbDataType::Floating64,
        Type::INT2 => DbDataType::Int16,
        Type::INT4 => DbDataType::Int32,
        Type::INT8 => DbDataType::Int64,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR => DbDataType::Str,
        Type::TIMESTAMP | Type::TIMESTAMPTZ => DbDataType::Datetime,
        Type::DATE => DbDataType::Date,
        Type::TIME => DbDataType::Time,
        Type::UUID => DbDataType::Uuid,
        Type::JSONB => DbDataType::Jsonb,
        Type::NUMERIC => DbDataType::Decimal,
        Type::INT4_RANGE => DbDataType::RangeInt32,
        Type::INT8_RANGE => DbDataType::RangeInt64,
        Type::NUM_RANGE => DbDataType::RangeDecimal,
        Type::INT4_ARRAY => DbDataType::ArrayInt32,
        Type::INT8_ARRAY => DbDataType::ArrayInt64,
        Type::NUMERIC_ARRAY => DbDataType::ArrayDecimal,
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => DbDataType::ArrayStr,
        Type::INTERVAL => DbDataType::Interval,
        _ => DbDataType::Other(of.name().to_owned()),
    }
}

/// The value of a column of type `of`, or null where there are no bytes.
pub(super) fn value(of: &Type, bytes: Option<&[u8]>, room: &mut Room) -> Result<DbValue, NoValue> {
    room.take(size_of::<DbValue>())?;
    let Some(bytes) = bytes else {
        return Ok(DbValue::DbNull);
    };
    room.take(bytes.len())?;
    Ok(match *of {
        Type::BOOL => DbValue::Boolean(read(wire::bool_from_sql(bytes))?),
        Type::BYTEA => DbValue::Binary(bytes.to_vec()),
        Type::FLOAT4 => DbValue::Floating32(read(wire::float4_from_sql(bytes))?),
        Type::FLOAT8 => DbValue::Floating64(read(wire::float8_from_sql(bytes))?),
        Type::INT2 => DbValue::Int16(read(wire::int2_from_sql(bytes))?),
        Type::INT4 => DbValue::Int32(int4(bytes)?),
        Type::INT8 => DbValue::Int64(int8(bytes)?),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR => DbValue::Str(text(bytes)?),
        Type::TIMESTAMP | Type::TIMESTAMPTZ => date_and_time(read(wire::timestamp_from_sql(bytes))?)?,
        Type::DATE => DbValue::Date(date(read(wire::date_from_sql(bytes))?)?),
        Type::TIME => {
            let micros = read(wire::time_from_sql(bytes))?;
            DbValue::Time(calendar::time_of(micros).ok_or(NoValue::Broken)?)
        }
        Type::UUID => DbValue::Uuid(uuid(read(wire::uuid_from_sql(bytes))?)),
        Type::JSONB => DbValue::Jsonb(json(bytes)?),
        Type::NUMERIC => DbValue::Decimal(measured(decimal(bytes)?, room)?),
        Type::INT4_RANGE => DbValue::RangeInt32(range(bytes, int4, 0, room)?),
        Type::INT8_RANGE => DbValue::RangeInt64(range(bytes, int8, 0, room)?),
        Type::NUM_RANGE => DbValue::RangeDecimal(range(bytes, decimal, "0".to_owned(), room)?),
        Type::INT4_ARRAY => DbValue::ArrayInt32(array(bytes, int4, room)?),
        Type::INT8_ARRAY => DbValue::ArrayInt64(array(bytes, int8, room)?),
        Type::NUMERIC_ARRAY => DbValue::ArrayDecimal(array(bytes, decimal, room)?),
        Type::TEXT_ARRAY | Type::VARCHAR_ARRAY | Type::BPCHAR_ARRAY => {
            DbValue::ArrayStr(array(bytes, text, room)?)
        }
        Type::INTERVAL => DbValue::Interval(interval(bytes)?),
        _ => DbValue::Unsupported(bytes.to_vec()),
    })
}

/// What the library makes of bytes.
fn read<T, E>(found: Result<T, E>) -> Result<T, NoValue> {
    found.map_err(|_| NoValue::Broken)
}

fn int4(bytes: &[u8]) -> Result<i32, NoValue> {
    read(wire::int4_from_sql(bytes))
}

fn int8(bytes: &[u8]) -> Result<i64, NoValue> {
    read(wire::int8_from_sql(bytes))
}

fn text(bytes: &[u8]) -> Result<String, NoValue> {
    Ok(read(wire::text_from_sql(bytes))?.to_owned())
}

fn decimal(bytes: &[u8]) -> Result<String, NoValue> {
    numeric::text_of(bytes).ok_or(NoValue::Broken)
}

fn json(bytes: &[u8]) -> Result<Vec<u8>, NoValue> {
    match bytes.split_first() {
        Some((&VERSION_OF_JSONB, json)) => Ok(json.to_vec()),
        _ => Err(NoValue::Broken),
    }
}

fn date(days: i32) -> Result<calendar::Date, NoValue> {
    if [i32::MIN, i32::MAX].contains(&days) {
        return Err(NoValue::Infinite);
    }
    calendar::date_of(days.into()).ok_or(NoValue::Broken)
}

fn date_and_time(micros: i64) -> Result<DbValue, NoValue> {
    if [i64::MIN, i64::MAX].contains(&micros) {
        return Err(NoValue::Infinite);
    }
    let ((year, month, day), (hour, minute, second, nanosecond)) =
        calendar::date_and_time_of(micros).ok_or(NoValue::Broken)?;
    Ok(DbValue::Datetime((
        year, month, day, hour, minute, second, nanosecond,
    )))
}

fn uuid(bytes: [u8; 16]) -> String {
    let digits = format!("{:032x}", u128::from_be_bytes(bytes));
    let parts = [0..8, 8..12, 12..16, 16..20, 20..32];
    parts.map(|part| &digits[part]).join("-")
}

fn interval(bytes: &[u8]) -> Result<Interval, NoValue> {
    let (micros, rest) = bytes.split_at_checked(8).ok_or(NoValue::Broken)?;
    let (days, months) = rest.split_at_checked(4).ok_or(NoValue::Broken)?;
    Ok(Interval {
        micros: int8(micros)?,
        days: int4(days)?,
        months: int4(months)?,
    })
}

fn measured<T: OnHeap>(value: T, room: &mut Room) -> Result<T, NoValue> {
    room.take(value.on_heap())?;
    Ok(value)
}

fn range<T: Clone + OnHeap>(
    bytes: &[u8],
    value: fn(&[u8]) -> Result<T, NoValue>,
    zero: T,
    room: &mut Room,
) -> Result<(End<T>, End<T>), NoValue> {
    let mut end = |bound: wire::RangeBound<Option<&[u8]>>| -> Result<End<T>, NoValue> {
        let (bytes, kind) = match bound {
            wire::RangeBound::Unbounded => return Ok(None),
            wire::RangeBound::Inclusive(bytes) => (bytes, RangeBoundKind::Inclusive),
            wire::RangeBound::Exclusive(bytes) => (bytes, RangeBoundKind::Exclusive),
        };
        let value = measured(value(bytes.ok_or(NoValue::Broken)?)?, room)?;
        Ok(Some((value, kind)))
    };
    match read(wire::range_from_sql(bytes))? {
        wire::Range::Empty => {
            let zero = Some((zero, RangeBoundKind::Exclusive));
            Ok((zero.clone(), zero))
        }
        wire::Range::Nonempty(lower, upper) => Ok((end(lower)?, end(upper)?)),
    }
}

fn array<T: OnHeap>(
    bytes: &[u8],
    value: fn(&[u8]) -> Result<T, NoValue>,
    room: &mut Room,
) -> Result<Vec<Option<T>>, NoValue> {
    let array = read(wire::array_from_sql(bytes))?;
    if read(array.dimensions().count())? > 1 {
        return Err(NoValue::Dimensions);
    }
    let mut found = Vec::new();
    let mut values = array.values();
    while let Some(bytes) = read(values.next())? {
        room.take(size_of::<Option<T>>())?;
        let value = bytes.map(value).transpose()?;
        found.push(value.map(|value| measured(value, room)).transpose()?);
    }
    Ok(found)
}

const VERSION_OF_JSONB: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn of(of: &Type, bytes: &[u8]) -> Result<DbValue, NoValue> {
        value(of, Some(bytes), &mut Room::new(1 << 20))
    }

    #[test]
    fn bytes_that_are_not_those_of_the_type_are_no_value_and_no_panic() {
        let all = [
            Type::BOOL,
            Type::FLOAT4,
            Type::FLOAT8,
            Type::INT2,
            Type::INT4,
            Type::INT8,
            Type::TIMESTAMP,
            Type::DATE,
            Type::TIME,
            Type::UUID,
            Type::NUMERIC,
            Type::INT4_RANGE,
            Type::NUM_RANGE,
            Type::INT4_ARRAY,
            Type::TEXT_ARRAY,
            Type::INTERVAL,
        ];
        for kind in &all {
            for length in [0, 1, 3, 5, 7, 9, 17, 21, 100] {
                for byte in [0x00, 0x01, 0x7f, 0xff] {
                    // A few of these are values, and most are not.
                    let _ = of(kind, &vec![byte; length]);
                }
            }
            assert!(of(kind, &[0xff; 7]).is_err(), "{kind}");
        }
        assert_eq!(text(b"\xff"), Err(NoValue::Broken));
        assert_eq!(json(b"\x02{}"), Err(NoValue::Broken));
        assert_eq!(date(i32::MAX), Err(NoValue::Infinite));
        assert!(matches!(date_and_time(i64::MIN), Err(NoValue::Infinite)));
    }

    #[test]
    fn what_is_larger_than_it_was_sent_takes_the_room_that_it_needs() {
        // One group of digits that is followed by 131,068 zeros.
        let number = [0, 1, 0x7f, 0xff, 0, 0, 0, 0, 0, 1];
        let mut room = Room::new(1 << 20);
        let found = (0..10).take_while(|_| value(&Type::NUMERIC, Some(&number), &mut room).is_ok());
        assert_eq!(found.count(), 7);
        // An array of nulls.
        let mut nulls = [0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 25].to_vec();
        nulls.extend(100_000_u32.to_be_bytes());
        nulls.extend(1_u32.to_be_bytes());
        nulls.extend(vec![0xff; 400_000]);
        let found = |room| value(&Type::TEXT_ARRAY, Some(&nulls), &mut Room::new(room)).map(drop);
        assert_eq!(found(1 << 20), Err(NoValue::TooLarge));
        assert_eq!(found(1 << 22), Ok(()));
        let mut room = Room::new(1000);
        let nulls = (0..100).take_while(|_| value(&Type::INT4, None, &mut room).is_ok());
        assert_eq!(nulls.count(), 1000 / size_of::<DbValue>());
    }
}
