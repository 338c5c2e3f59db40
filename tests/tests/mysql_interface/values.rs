//! Values of every type, there and back.

use outport_e2e::mariadb::MariaDb;

use super::{VERSIONS, address, said, up};

/// A value of each type, as it is written in Python, where the server keeps it, and as it comes back.
const VALUES: [(&str, &str, &str); 36] = [
    ("Boolean(True)", "boolean", "INT8: Int8(1)"),
    ("Int8(-128)", "tinyint", "INT8: Int8(-128)"),
    ("Uint8(255)", "tinyint unsigned", "UINT8: Uint8(255)"),
    ("Int16(-32768)", "smallint", "INT16: Int16(-32768)"),
    ("Uint16(65535)", "smallint unsigned", "UINT16: Uint16(65535)"),
    ("Int32(-8388608)", "mediumint", "INT32: Int32(-8388608)"),
    (
        "Uint32(16777215)",
        "mediumint unsigned",
        "UINT32: Uint32(16777215)",
    ),
    ("Int32(-2147483648)", "int", "INT32: Int32(-2147483648)"),
    ("Uint32(4294967295)", "int unsigned", "UINT32: Uint32(4294967295)"),
    (
        "Int64(-9223372036854775808)",
        "bigint",
        "INT64: Int64(-9223372036854775808)",
    ),
    (
        "Int64(9223372036854775807)",
        "bigint unsigned",
        "UINT64: Uint64(9223372036854775807)",
    ),
    ("Floating32(1.5)", "float", "FLOATING32: Floating32(1.5)"),
    ("Floating64(1e-300)", "double", "FLOATING64: Floating64(1e-300)"),
    (
        "Str(\"a'b\\\\\\u00e9\\U0001f600\")",
        "varchar(20) character set utf8mb4",
        "STR: Str(\"a'b\\\\é😀\")",
    ),
    ("Str('x ')", "char(3)", "STR: Str('x')"),
    (
        "Str('\\u00e9')",
        "varchar(9) character set latin1",
        "STR: Str('é')",
    ),
    (
        "Str('\\u00e9')",
        "varchar(9) character set utf8mb4 collate utf8mb4_bin",
        "STR: Str('é')",
    ),
    ("Str('x')", "text", "STR: Str('x')"),
    ("Str('x')", "longtext", "STR: Str('x')"),
    ("Str('b')", "enum('a', 'b')", "STR: Str('b')"),
    ("Str('a,b')", "set('a', 'b')", "STR: Str('a,b')"),
    ("Str('{\"a\": 1}')", "json", "STR: Str('{\"a\": 1}')"),
    (
        "Binary(b'\\x00\\xff')",
        "varbinary(9)",
        "BINARY: Binary(b'\\x00\\xff')",
    ),
    (
        "Binary(b'\\x00\\xff')",
        "binary(3)",
        "BINARY: Binary(b'\\x00\\xff\\x00')",
    ),
    ("Binary(b'\\x00\\xff')", "blob", "BINARY: Binary(b'\\x00\\xff')"),
    ("Binary(b'')", "longblob", "BINARY: Binary(b'')"),
    ("Str('1.5')", "double", "FLOATING64: Floating64(1.5)"),
    ("DbNull()", "int", "INT32: DbNull()"),
    ("DbNull()", "datetime", "OTHER: DbNull()"),
    ("Str('1.50')", "decimal(10, 2)", NO_TYPE),
    ("Str('2026-02-28')", "date", NO_TYPE),
    ("Str('23:59:59.5')", "time(1)", NO_TYPE),
    ("Str('2026-02-28 01:02:03')", "datetime", NO_TYPE),
    ("Str('2026-02-28 01:02:03')", "timestamp", NO_TYPE),
    ("Int32(2026)", "year", NO_TYPE),
    ("Boolean(True)", "bit(1)", NO_TYPE),
];

const NO_TYPE: &str =
    "ValueConversionFailed: the column `v`: the interface has no such type; `cast(… as char)` makes it text";

// proves: HI-1, HI-2, HI-4
#[test]
fn a_value_of_every_type_goes_to_the_server_and_comes_back() {
    let server = MariaDb::start();
    let app = up(&format!("\"mysql://localhost:{}\"", server.port())).start();
    let address = address(&server);
    for version in VERSIONS {
        for (value, kept, expected) in VALUES {
            // The SDK of version 2 has no integers beyond the signed ones of their size.
            if version == "2" && value == "Uint32(4294967295)" {
                continue;
            }
            let found = said(
                &app,
                version,
                &[
                    ("address", &address),
                    ("do", &format!("!create temporary table t (v {kept})")),
                    ("do", "!insert into t values (?)"),
                    ("values", &format!("[ParameterValue_{value}]")),
                    ("do", "select v from t"),
                ],
            );
            let expected = match (expected, version) {
                (NO_TYPE, "3") => format!("0 rows, then {NO_TYPE}"),
                (NO_TYPE, _) => NO_TYPE.to_owned(),
                _ => format!("v {expected}"),
            };
            assert_eq!(
                found,
                ["done", "done", &expected],
                "{version}: {value} as {kept}\n{app}"
            );
        }
    }
    let ended = app.stop();
    assert!(ended.reasons().is_empty(), "{ended}");
}
