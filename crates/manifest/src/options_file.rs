//! A file with a key for each option of a program, such as `outport.toml`.
//!
//! ```toml
//! max-memory = "64M"                                # a text
//! max-requests = 500                                # a whole number
//! allow-udp = true                                  # a flag
//! disallowed-outbound-hosts = ["*://*.internal:*"]  # a list
//! ```
//!
//! What comes out is what is written, in the order of the file, each part with its place. What options there are, and what
//! each takes, is for whoever has them: here a mistake is what is no TOML, and a key that is there twice.

use toml::Spanned;
use toml::de::{DeInteger, DeTable, DeValue};

use crate::reading::fields::content_span;
use crate::report::findings::Findings;
use crate::report::problem::{Area, Reading};
use crate::source::{Located, SourceFile, Span};
use crate::syntax::Repaired;

/// The content of such a file.
#[derive(Debug, Clone)]
pub struct OptionsFile {
    /// The file that it was read from.
    pub source: SourceFile,
    /// Its keys in the order of the file. What has a syntax mistake in it is left out.
    pub options: Vec<WrittenOption>,
}

/// A key and what is behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenOption {
    /// The key, without quotes.
    pub key: Located<String>,
    /// The value; the span of a text is its content without the quotes.
    pub value: Located<WrittenValue>,
}

/// A value of TOML, as far as options have use for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WrittenValue {
    /// `true` or `false`.
    Flag(bool),
    /// A whole number: decimal digits, perhaps behind a sign.
    Number(String),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Located<Self>>),
    /// Anything else; its type for messages, with its article.
    Other(&'static str),
}

impl WrittenValue {
    /// The type for messages, with its article.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Flag(_) => "`true` or `false`",
            Self::Number(_) => "a whole number",
            Self::Text(_) => "a string",
            Self::List(_) => "an array",
            Self::Other(name) => name,
        }
    }
}

impl OptionsFile {
    /// Reads such a file. All mistakes are reported, each at its place.
    pub fn parse(source: &SourceFile) -> Reading<Self> {
        let repaired = Repaired::of(source);
        let tree = repaired.tree();
        let found = Findings::new(source, Area::Config, &tree);
        let options = read(tree.root.get_ref(), &found);
        found.into_reading(Self {
            source: source.clone(),
            options,
        })
    }
}

fn read(table: &DeTable<'_>, found: &Findings) -> Vec<WrittenOption> {
    let sound = table
        .iter()
        .filter(|(key, value)| !found.is_damaged(&key.span()) && !found.is_damaged(&value.span()));
    sound
        .map(|(key, value)| WrittenOption {
            key: Located::new(
                key.get_ref().to_string(),
                content_span(&key.span(), found.source()),
            ),
            value: written(value, found.source()),
        })
        .collect()
}

fn written(value: &Spanned<DeValue<'_>>, source: &SourceFile) -> Located<WrittenValue> {
    let span: Span = value.span();
    match value.get_ref() {
        DeValue::String(text) => {
            Located::new(WrittenValue::Text(text.to_string()), content_span(&span, source))
        }
        DeValue::Integer(integer) => Located::new(WrittenValue::Number(decimal(integer)), span),
        DeValue::Boolean(flag) => Located::new(WrittenValue::Flag(*flag), span),
        DeValue::Array(items) => {
            let items = items.iter().map(|item| written(item, source)).collect();
            Located::new(WrittenValue::List(items), span)
        }
        DeValue::Float(_) => Located::new(WrittenValue::Other("a number with a fraction"), span),
        DeValue::Datetime(_) => Located::new(WrittenValue::Other("a date"), span),
        DeValue::Table(_) => Located::new(WrittenValue::Other("a table"), span),
    }
}

/// `0x10` is 16. What is larger than any number that is taken stays as it is written, for whoever refuses it.
fn decimal(integer: &DeInteger<'_>) -> String {
    let number = i128::from_str_radix(integer.as_str(), integer.radix());
    number.map_or_else(|_| integer.as_str().to_owned(), |number| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Reading<OptionsFile> {
        OptionsFile::parse(&SourceFile::new("outport.toml", text))
    }

    #[test]
    fn values_keep_their_type_and_their_place() {
        let text = "\u{feff}a = \"x\"\n'b' = 0x1_0\nc = true\nd = [\"y\", 2]\ne = 1.5\nf.g = 1\n[h]\ni = 1\n";
        let (file, _) = read(text).complete().expect("a sound file");
        let shown: Vec<String> = file
            .options
            .iter()
            .map(|option| {
                let (key, value) = (&option.key, &option.value);
                assert_eq!(file.source.slice(&key.span), key.value);
                format!(
                    "{} {:?} {}",
                    key.value,
                    value.value,
                    file.source.slice(&value.span)
                )
            })
            .collect();
        assert_eq!(
            shown[..5],
            [
                "a Text(\"x\") x",
                "b Number(\"16\") 0x1_0",
                "c Flag(true) true",
                "d List([Located { value: Text(\"y\"), span: 38..39 }, Located { value: Number(\"2\"), span: 42..43 }]) \
                 [\"y\", 2]",
                "e Other(\"a number with a fraction\") 1.5",
            ]
        );
        assert!(shown[5].starts_with("f Other(\"a table\")"), "{shown:?}");
        assert!(shown[6].starts_with("h Other(\"a table\")"), "{shown:?}");
    }

    #[test]
    fn every_mistake_is_told_and_what_is_sound_is_read() {
        let reading = read("a = 1\na = 2\nb = \"never closed\nc = [1,\nd = true\n = 3\ne = 4\n");
        let problems: Vec<String> = reading.problems().iter().map(ToString::to_string).collect();
        let lines: Vec<&str> = problems
            .iter()
            .filter_map(|problem| problem.strip_prefix("outport.toml:")?.split(':').next())
            .collect();
        assert_eq!(lines, ["2", "3", "4", "6"], "{problems:?}");
        assert_eq!(reading.problems()[0].code().to_string(), "config.duplicate-key");
        let keys = reading.tentative().options.iter();
        let keys: Vec<&str> = keys.map(|option| option.key.value.as_str()).collect();
        assert!(keys.contains(&"a") && keys.contains(&"e"), "{keys:?}");
        assert!(!keys.contains(&"b"), "{keys:?}");
    }

    #[test]
    fn nesting_without_end_is_a_mistake() {
        let text = format!("a = {}", "[".repeat(100_000));
        assert!(!read(&text).problems().is_empty());
        let text = format!("{} = 1", "a.".repeat(10_000) + "a");
        let _ = read(&text).problems().len();
    }
}
