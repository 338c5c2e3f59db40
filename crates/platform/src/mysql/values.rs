//! Values: those of a statement for the server, and those of its rows for the guest.

use mysql_common::constants::ColumnType;
use mysql_common::io::{BufMutExt, ParseBuf};

use super::columns::Column;
use super::failure::Failure;
use super::packets::Ended;
use crate::rdbms::types::{DbDataType, DbValue, ParameterValue};
use crate::room::{NoRoom, Room};

/// How rows are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Those of a statement that was prepared.
    Binary,
    /// Those of one that cannot be.
    Text,
}

/// Why a value cannot be given to a guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoValue {
    #[error("its bytes are not those of its type")]
    Broken,
    #[error("its text is not UTF-8")]
    NotText,
    #[error("the interface has no such type; `cast(… as char)` makes it text")]
    Type,
}

/// Why there is no row.
enum NoRow {
    Value(NoValue),
    Broken,
    TooLarge,
}

impl From<NoRoom> for NoRow {
    fn from(_: NoRoom) -> Self {
        Self::TooLarge
    }
}

impl From<NoValue> for NoRow {
    fn from(why: NoValue) -> Self {
        Self::Value(why)
    }
}

/// The values of a row.
pub(super) fn row(
    columns: &[Column],
    encoding: Encoding,
    packet: &[u8],
    room: &mut Room,
) -> Result<Vec<DbValue>, Failure> {
    let mut rest = ParseBuf(packet);
    let nulls = match encoding {
        Encoding::Text => &[],
        // A byte that says nothing, and a bit for each column behind two that are not used.
        Encoding::Binary => {
            let nulls = 1 + (columns.len() + 7 + 2) / 8;
            let nulls = rest.checked_eat(nulls).ok_or(Ended::NotUnderstood)?;
            &nulls[1..]
        }
    };
    let values = columns.iter().enumerate().map(|(at, column)| {
        let is_null = match encoding {
            Encoding::Text => rest.0.first() == Some(&NULL) && rest.checked_skip(1),
            Encoding::Binary => nulls[(at + 2) / 8] & (1 << ((at + 2) % 8)) != 0,
        };
        let value = if is_null {
            room.take(size_of::<DbValue>())
                .map(|()| DbValue::DbNull)
                .map_err(NoRow::from)
        } else {
            value(column.of, encoding, &mut rest, room)
        };
        value.map_err(|why| match why {
            NoRow::Value(why) => Failure::Value {
                column: column.name.clone(),
                why,
            },
            NoRow::Broken => Failure::Ended(Ended::NotUnderstood),
            NoRow::TooLarge => Failure::Ended(Ended::TooLarge),
        })
    });
    let values = values.collect::<Result<Vec<_>, _>>()?;
    room.take(size_of::<Vec<DbValue>>())
        .map_err(|_| Ended::TooLarge)?;
    Ok(values)
}

fn value(
    of: DbDataType,
    encoding: Encoding,
    rest: &mut ParseBuf<'_>,
    room: &mut Room,
) -> Result<DbValue, NoRow> {
    room.take(size_of::<DbValue>())?;
    match of {
        DbDataType::Str | DbDataType::Binary => {
            let bytes = rest.checked_eat_lenenc_str().ok_or(NoRow::Broken)?;
            room.take(bytes.len())?;
            if of == DbDataType::Binary {
                return Ok(DbValue::Binary(bytes.to_vec()));
            }
            let text = std::str::from_utf8(bytes).map_err(|_| NoValue::NotText)?;
            Ok(DbValue::Str(text.to_owned()))
        }
        DbDataType::Boolean | DbDataType::Other => Err(NoValue::Type.into()),
        number if encoding == Encoding::Binary => in_binary(number, rest).ok_or(NoRow::Broken),
        number => {
            let text = rest.checked_eat_lenenc_str().ok_or(NoRow::Broken)?;
            let text = std::str::from_utf8(text).map_err(|_| NoValue::Broken)?;
            Ok(in_text(number, text).ok_or(NoValue::Broken)?)
        }
    }
}

fn in_binary(of: DbDataType, rest: &mut ParseBuf<'_>) -> Option<DbValue> {
    Some(match of {
        DbDataType::Int8 => DbValue::Int8(rest.checked_eat_i8()?),
        DbDataType::Int16 => DbValue::Int16(rest.checked_eat_i16_le()?),
        DbDataType::Int32 => DbValue::Int32(rest.checked_eat_i32_le()?),
        DbDataType::Int64 => DbValue::Int64(rest.checked_eat_i64_le()?),
        DbDataType::Uint8 => DbValue::Uint8(rest.checked_eat_u8()?),
        DbDataType::Uint16 => DbValue::Uint16(rest.checked_eat_u16_le()?),
        DbDataType::Uint32 => DbValue::Uint32(rest.checked_eat_u32_le()?),
        DbDataType::Uint64 => DbValue::Uint64(rest.checked_eat_u64_le()?),
        DbDataType::Floating32 => DbValue::Floating32(rest.checked_eat_f32_le()?),
        DbDataType::Floating64 => DbValue::Floating64(rest.checked_eat_f64_le()?),
        DbDataType::Boolean | DbDataType::Str | DbDataType::Binary | DbDataType::Other => return None,
    })
}

fn in_text(of: DbDataType, text: &str) -> Option<DbValue> {
    Some(match of {
        DbDataType::Int8 => DbValue::Int8(text.parse().ok()?),
        DbDataType::Int16 => DbValue::Int16(text.parse().ok()?),
        DbDataType::Int32 => DbValue::Int32(text.parse().ok()?),
        DbDataType::Int64 => DbValue::Int64(text.parse().ok()?),
        DbDataType::Uint8 => DbValue::Uint8(text.parse().ok()?),
        DbDataType::Uint16 => DbValue::Uint16(text.parse().ok()?),
        DbDataType::Uint32 => DbValue::Uint32(text.parse().ok()?),
        DbDataType::Uint64 => DbValue::Uint64(text.parse().ok()?),
        DbDataType::Floating32 => DbValue::Floating32(text.parse().ok()?),
        DbDataType::Floating64 => DbValue::Floating64(text.parse().ok()?),
        DbDataType::Boolean | DbDataType::Str | DbDataType::Binary | DbDataType::Other => return None,
    })
}

/// Appends values to the command that runs a prepared statement: which are null, their types, and what they are. Bytes have
/// a type of their own, so that a server does not take them for text.
pub(super) fn append(command: &mut Vec<u8>, values: &[ParameterValue]) {
    if values.is_empty() {
        return;
    }
    let mut nulls = vec![0_u8; values.len().div_ceil(8)];
    let (mut types, mut encoded) = (Vec::new(), Vec::new());
    for (at, value) in values.iter().enumerate() {
        let (of, sign) = match value {
            ParameterValue::Boolean(value) => integer(i64::from(*value), &mut encoded),
            ParameterValue::Int8(value) => integer(i64::from(*value), &mut encoded),
            ParameterValue::Int16(value) => integer(i64::from(*value), &mut encoded),
            ParameterValue::Int32(value) => integer(i64::from(*value), &mut encoded),
            ParameterValue::Int64(value) => integer(*value, &mut encoded),
            ParameterValue::Uint8(value) => integer(i64::from(*value), &mut encoded),
            ParameterValue::Uint16(value) => integer(i64::from(*value), &mut encoded),
            ParameterValue::Uint32(value) => integer(i64::from(*value), &mut encoded),
            ParameterValue::Uint64(value) => {
                encoded.extend(value.to_le_bytes());
                (ColumnType::MYSQL_TYPE_LONGLONG, UNSIGNED)
            }
            ParameterValue::Floating32(value) => {
                encoded.extend(value.to_le_bytes());
                (ColumnType::MYSQL_TYPE_FLOAT, SIGNED)
            }
            ParameterValue::Floating64(value) => {
                encoded.extend(value.to_le_bytes());
                (ColumnType::MYSQL_TYPE_DOUBLE, SIGNED)
            }
            ParameterValue::Str(value) => {
                encoded.put_lenenc_str(value.as_bytes());
                (ColumnType::MYSQL_TYPE_VAR_STRING, SIGNED)
            }
            ParameterValue::Binary(value) => {
                encoded.put_lenenc_str(value);
                (ColumnType::MYSQL_TYPE_LONG_BLOB, SIGNED)
            }
            ParameterValue::DbNull => {
                nulls[at / 8] |= 1 << (at % 8);
                (ColumnType::MYSQL_TYPE_NULL, SIGNED)
            }
        };
        types.extend([of as u8, sign]);
    }
    command.extend(nulls);
    command.push(TYPES_FOLLOW);
    command.extend(types);
    command.extend(encoded);
}

fn integer(value: i64, encoded: &mut Vec<u8>) -> (ColumnType, u8) {
    encoded.extend(value.to_le_bytes());
    (ColumnType::MYSQL_TYPE_LONGLONG, SIGNED)
}

/// A null among values that are text.
const NULL: u8 = 0xfb;

const SIGNED: u8 = 0;
const UNSIGNED: u8 = 0x80;
const TYPES_FOLLOW: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [DbDataType; 14] = [
        DbDataType::Boolean,
        DbDataType::Int8,
        DbDataType::Int16,
        DbDataType::Int32,
        DbDataType::Int64,
        DbDataType::Uint8,
        DbDataType::Uint16,
        DbDataType::Uint32,
        DbDataType::Uint64,
        DbDataType::Floating32,
        DbDataType::Floating64,
        DbDataType::Str,
        DbDataType::Binary,
        DbDataType::Other,
    ];

    fn column(of: DbDataType) -> Column {
        Column {
            name: "c".to_owned(),
            of,
        }
    }

    fn said(columns: &[DbDataType], encoding: Encoding, packet: &[u8], room: usize) -> String {
        let columns: Vec<Column> = columns.iter().copied().map(column).collect();
        match row(&columns, encoding, packet, &mut Room::new(room)) {
            Ok(values) => format!("{values:?}"),
            Err(why) => why.to_string(),
        }
    }

    #[test]
    fn values_of_a_row_are_read_or_it_is_said_why_not() {
        let (text, binary) = (Encoding::Text, Encoding::Binary);
        let broken = "the column `c`: its bytes are not those of its type";
        let other = "the column `c`: the interface has no such type; `cast(… as char)` makes it text";
        let foreign = "the server does not speak the protocol of MySQL";
        for (of, encoding, packet, expected) in [
            (DbDataType::Int8, binary, &b"\0\0\xff"[..], "[DbValue::Int8(-1)]"),
            (DbDataType::Uint8, binary, b"\0\0\xff", "[DbValue::Uint8(255)]"),
            (DbDataType::Int64, binary, b"\0\0\xff", foreign),
            (DbDataType::Str, binary, b"\0\0\x02hi", "[DbValue::Str(\"hi\")]"),
            (DbDataType::Str, binary, b"\0\0\x03hi", foreign),
            (
                DbDataType::Str,
                binary,
                b"\0\0\x01\xff",
                "the column `c`: its text is not UTF-8",
            ),
            (
                DbDataType::Binary,
                binary,
                b"\0\0\x01\xff",
                "[DbValue::Binary([255])]",
            ),
            (DbDataType::Other, binary, b"\0\0\x01\xff", other),
            (DbDataType::Other, binary, b"\0\x04", "[DbValue::DbNull]"),
            (DbDataType::Int8, binary, b"\0", foreign),
            (DbDataType::Int8, binary, b"", foreign),
            (DbDataType::Int8, text, b"\x02-5", "[DbValue::Int8(-5)]"),
            (DbDataType::Int8, text, b"\x03200", broken),
            (
                DbDataType::Floating64,
                text,
                b"\x041e-3",
                "[DbValue::Floating64(0.001)]",
            ),
            (DbDataType::Str, text, b"\xfb", "[DbValue::DbNull]"),
            (DbDataType::Str, text, b"", foreign),
            (DbDataType::Other, text, b"\x011", other),
        ] {
            assert_eq!(said(&[of], encoding, packet, 1000), expected, "{of:?} {packet:?}");
        }
        for of in ALL {
            for encoding in [text, binary] {
                for byte in [0x00, 0x01, 0xfa, 0xfc, 0xfd, 0xfe, 0xff] {
                    for length in 0..40 {
                        let _ = said(&[of, of, of], encoding, &vec![byte; length], 1 << 20);
                    }
                }
            }
        }
    }

    #[test]
    fn a_row_takes_the_room_that_it_needs() {
        let large = "the answer is larger than any may be";
        let many = vec![DbDataType::Int8; 4000];
        let nulls = vec![0xff; 1 + 4009 / 8];
        assert_eq!(
            said(&many, Encoding::Binary, &nulls, 4000 * size_of::<DbValue>()),
            large
        );
        assert_ne!(
            said(&many, Encoding::Binary, &nulls, 4001 * size_of::<DbValue>()),
            large
        );
        let text = [&b"\0\0\xfc\xe8\x03"[..], &[b'a'; 1000]].concat();
        assert_eq!(said(&[DbDataType::Str], Encoding::Binary, &text, 1000), large);
    }

    #[test]
    fn values_are_written_with_their_types() {
        let mut command = vec![0x17];
        append(&mut command, &[]);
        assert_eq!(command, [0x17]);
        append(
            &mut command,
            &[
                ParameterValue::DbNull,
                ParameterValue::Int8(-1),
                ParameterValue::Uint64(u64::MAX),
                ParameterValue::Binary(b"\xff".to_vec()),
                ParameterValue::Str("é".to_owned()),
            ],
        );
        let expected = [
            &b"\x17\x01\x01\x06\0\x08\0\x08\x80\xfb\0\xfd\0"[..],
            &[0xff; 16],
            b"\x01\xff\x02\xc3\xa9",
        ];
        assert_eq!(command, expected.concat());
    }
}
