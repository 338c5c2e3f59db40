//! Colour, where a person looks at it; and text that others wrote, made safe to look at.

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

/// The text with every character that a terminal would obey instead of showing replaced by one that it shows.
/// Line breaks stay.
pub(crate) fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| if c == '\n' { c } else { shown(c) })
        .collect()
}

/// The character, or one of the same width that is only shown.
pub(crate) fn shown(c: char) -> char {
    match c {
        '\t' => ' ',
        // Characters that change the direction or the joining of what follows.
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' => {
            '\u{fffd}'
        }
        _ if c.is_control() => '\u{fffd}',
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // proves: RSN-4
    #[test]
    fn what_others_wrote_cannot_move_the_cursor() {
        assert_eq!(
            harmless("a\x1b[2Jb\r\tc\nd\u{202e}e\u{9b}"),
            "a\u{fffd}[2Jb\u{fffd} c\nd\u{fffd}e\u{fffd}"
        );
    }
}
