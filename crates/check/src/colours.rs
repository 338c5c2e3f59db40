//! Colour, where a person looks at it.

/// The choice between colours and plain text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colours {
    /// No.
    #[default]
    Plain,
    /// With the escape sequences of terminals.
    Terminal,
}

/// A colour that text is shown in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// For errors and denials.
    Red,
    /// For warnings.
    Yellow,
    /// For titles.
    Green,
    /// For notes.
    Cyan,
    /// For what surrounds a quotation.
    Blue,
    /// As it is, in bold.
    Bold,
}

impl Colours {
    /// The text in this colour.
    pub fn with(self, colour: Colour, text: &str) -> String {
        let code = match colour {
            Colour::Red => "1;31",
            Colour::Yellow => "1;33",
            Colour::Green => "1;32",
            Colour::Cyan => "1;36",
            Colour::Blue => "1;34",
            Colour::Bold => "1",
        };
        match self {
            Self::Terminal => format!("\x1b[{code}m{text}\x1b[0m"),
            Self::Plain => text.to_owned(),
        }
    }
}
