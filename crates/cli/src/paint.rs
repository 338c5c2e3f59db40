//! Colour, where a person looks at it; and text that others wrote, made safe to look at.

use outport_policy::text;

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    Coloured,
    Plain,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    Red,
    Yellow,
    Green,
    Cyan,
    Blue,
    Bold,
}

impl Paint {
    pub(crate) fn with(self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Red => "1;31",
            Colour::Yellow => "1;33",
            Colour::Green => "1;32",
            Colour::Cyan => "1;36",
            Colour::Blue => "1;34",
            Colour::Bold => "1",
        };
        match self {
            Paint::Coloured => format!("\x1b[{code}m{text}\x1b[0m"),
            Paint::Plain => text.to_owned(),
        }
    }
}

/// The text with every character that a terminal would obey instead of showing replaced by one that it shows. Line breaks
/// stay, and each further line is indented: so it is never taken for something that Outport says of its own accord.
pub(crate) fn harmless(text: &str) -> String {
    let mut lines = text.split('\n').map(text::terminal);
    let mut harmless = lines.next().unwrap_or_default();
    for line in lines {
        harmless.push('\n');
        if !line.is_empty() && !line.starts_with(INDENT) {
            harmless.push_str(INDENT);
        }
        harmless.push_str(&line);
    }
    harmless
}

const INDENT: &str = "    ";

#[cfg(test)]
mod tests {
    use super::*;

    // proves: RSN-4
    #[test]
    fn what_others_wrote_cannot_move_the_cursor() {
        assert_eq!(
            harmless("a\x1b[2Jb\r\tc\nd\u{202e}e\u{9b}\u{2028}f"),
            "a\u{fffd}[2Jb\u{fffd} c\n    d\u{fffd}e\u{fffd}\u{fffd}f"
        );
    }

    // proves: RSN-4
    #[test]
    fn what_others_wrote_begins_no_line_of_ours() {
        let trap = "it trapped\n    0: main\n denied: x\n\ndenied: y\r";
        assert_eq!(
            harmless(trap),
            "it trapped\n    0: main\n     denied: x\n\n    denied: y\u{fffd}"
        );
    }
}
