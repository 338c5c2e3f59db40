//! The columns of a result.
//!
//! | MySQL | here |
//! | --- | --- |
//! | `TINYINT` to `BIGINT`, with or without `UNSIGNED`; `FLOAT`, `DOUBLE` | as they are; `BOOLEAN` is a `TINYINT` |
//! | `CHAR`, `VARCHAR`, `TEXT` of all sizes, `ENUM`, `SET` | `str` |
//! | `BINARY`, `VARBINARY`, `BLOB` of all sizes | `binary` |
//! | `DECIMAL`, dates and times, `YEAR`, `BIT`, `JSON`, `GEOMETRY` | `other`: the interface has no value for them |
//!
//! Text and bytes have the same types, and differ in their character set.

use mysql_common::constants::{ColumnFlags, ColumnType};
use mysql_common::io::ParseBuf;

use super::greeting::text;
use crate::rdbms::types::DbDataType;

/// One column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    /// `Other` for all that is not told apart.
    pub(super) of: DbDataType,
}

impl Column {
    /// None, if the packet is none of a column.
    pub(super) fn parse(packet: &[u8]) -> Option<Self> {
        let mut rest = ParseBuf(packet);
        let [_catalog, _database, _table, _own_table, name, _own_name] =
            [(); 6].map(|()| rest.checked_eat_lenenc_str());
        let _length = rest.checked_eat_lenenc_int()?;
        let character_set = rest.checked_eat_u16_le()?;
        let _width = rest.checked_eat_u32_le()?;
        let kind = rest.checked_eat_u8()?;
        let flags = ColumnFlags::from_bits_truncate(rest.checked_eat_u16_le()?);
        Some(Self {
            name: text(name?),
            of: data_type(kind, flags, character_set),
        })
    }
}

fn data_type(kind: u8, flags: ColumnFlags, character_set: u16) -> DbDataType {
    let Ok(kind) = ColumnType::try_from(kind) else {
        return DbDataType::Other;
    };
    let unsigned = flags.contains(ColumnFlags::UNSIGNED_FLAG);
    match (kind, unsigned) {
        (ColumnType::MYSQL_TYPE_TINY, false) => DbDataType::Int8,
        (ColumnType::MYSQL_TYPE_TINY, true) => DbDataType::Uint8,
        (ColumnType::MYSQL_TYPE_SHORT, false) => DbDataType::Int16,
        (ColumnType::MYSQL_TYPE_SHORT, true) => DbDataType::Uint16,
        (ColumnType::MYSQL_TYPE_INT24 | ColumnType::MYSQL_TYPE_LONG, false) => DbDataType::Int32,
        (ColumnType::MYSQL_TYPE_INT24 | ColumnType::MYSQL_TYPE_LONG, true) => DbDataType::Uint32,
        (ColumnType::MYSQL_TYPE_LONGLONG, false) => DbDataType::Int64,
        (ColumnType::MYSQL_TYPE_LONGLONG, true) => DbDataType::Uint64,
        (ColumnType::MYSQL_TYPE_FLOAT, _) => DbDataType::Floating32,
        (ColumnType::MYSQL_TYPE_DOUBLE, _) => DbDataType::Floating64,
        (
            ColumnType::MYSQL_TYPE_STRING
            | ColumnType::MYSQL_TYPE_VAR_STRING
            | ColumnType::MYSQL_TYPE_VARCHAR
            | ColumnType::MYSQL_TYPE_ENUM
            | ColumnType::MYSQL_TYPE_SET
            | ColumnType::MYSQL_TYPE_TINY_BLOB
            | ColumnType::MYSQL_TYPE_BLOB
            | ColumnType::MYSQL_TYPE_MEDIUM_BLOB
            | ColumnType::MYSQL_TYPE_LONG_BLOB,
            _,
        ) => match character_set {
            BINARY => DbDataType::Binary,
            _ => DbDataType::Str,
        },
        _ => DbDataType::Other,
    }
}

/// The character set of bytes that are no text.
const BINARY: u16 = 63;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_told_apart_by_type_sign_and_character_set() {
        let unsigned = ColumnFlags::UNSIGNED_FLAG;
        for (kind, flags, set, expected) in [
            (0x01, ColumnFlags::empty(), 63, DbDataType::Int8),
            (0x01, unsigned, 63, DbDataType::Uint8),
            (0x02, ColumnFlags::empty(), 63, DbDataType::Int16),
            (0x02, unsigned, 63, DbDataType::Uint16),
            (0x09, ColumnFlags::empty(), 63, DbDataType::Int32),
            (0x09, unsigned, 63, DbDataType::Uint32),
            (0x03, ColumnFlags::empty(), 63, DbDataType::Int32),
            (0x03, unsigned, 63, DbDataType::Uint32),
            (0x08, ColumnFlags::empty(), 63, DbDataType::Int64),
            (0x08, unsigned, 63, DbDataType::Uint64),
            (0x04, ColumnFlags::empty(), 63, DbDataType::Floating32),
            (0x05, unsigned, 63, DbDataType::Floating64),
            (0xfd, ColumnFlags::empty(), 45, DbDataType::Str),
            (0xfd, ColumnFlags::BINARY_FLAG, 46, DbDataType::Str),
            (0xfd, ColumnFlags::BINARY_FLAG, 63, DbDataType::Binary),
            (0xfc, ColumnFlags::BLOB_FLAG, 45, DbDataType::Str),
            (0xfc, ColumnFlags::BLOB_FLAG, 63, DbDataType::Binary),
            (0xfe, ColumnFlags::ENUM_FLAG, 45, DbDataType::Str),
            (0xf6, ColumnFlags::empty(), 63, DbDataType::Other),
            (0x0c, ColumnFlags::empty(), 63, DbDataType::Other),
            (0x10, unsigned, 63, DbDataType::Other),
            (0xf5, ColumnFlags::empty(), 45, DbDataType::Other),
            (0x77, ColumnFlags::empty(), 45, DbDataType::Other),
        ] {
            assert_eq!(data_type(kind, flags, set), expected, "{kind:#x} {flags:?} {set}");
        }
    }

    #[test]
    fn a_packet_that_is_none_of_a_column_is_none_and_no_panic() {
        let whole = b"\x03def\x01d\x01t\x01t\x04name\x01n\x0c\x3f\0\x0b\0\0\0\x03\0\0\0\0\0";
        let found = Column::parse(whole).unwrap();
        assert_eq!((found.name.as_str(), found.of), ("name", DbDataType::Int32));
        // What is behind the flags does not matter.
        for length in 0..whole.len() - 3 {
            assert_eq!(Column::parse(&whole[..length]), None, "{length}");
        }
        for byte in [0x00, 0xfb, 0xfc, 0xfd, 0xfe, 0xff] {
            for length in 0..60 {
                let _ = Column::parse(&vec![byte; length]);
            }
        }
    }
}
