//! Lines of JSON in which nothing but letters reaches whoever looks at them.

use std::io::{self, Write};

use outport_policy::text;
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// A value as a line of JSON, in which every character is escaped that a terminal could take for more than text (RSN-4).
/// What it means is the same. None if it cannot become one, which a struct of texts and numbers always can.
pub fn json_line(value: &impl Serialize) -> Option<String> {
    let mut line = Vec::with_capacity(512);
    value
        .serialize(&mut Serializer::with_formatter(&mut line, Printable))
        .ok()?;
    String::from_utf8(line).ok()
}

struct Printable;

impl Formatter for Printable {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, text: &str) -> io::Result<()> {
        // Nearly every text, and each name of a member, has nothing to escape.
        if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return writer.write_all(text.as_bytes());
        }
        let mut rest = text;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| text::mask(*c) != *c) {
            writer.write_all(&rest.as_bytes()[..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}
