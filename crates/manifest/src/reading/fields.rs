//! Typed access to the keys of a TOML table, every value with its place.
//!
//! A reader asks a [`Fields`] for the keys it knows, then calls [`Fields::finish`], which reports all others. What
//! was asked for is what is known, so the list of known keys cannot part from the code that reads them.
//!
//! A value of the wrong type is reported and read as absent. A value with a syntax mistake in it was reported
//! already and is silently absent.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::report::findings::Findings;
use crate::report::mistake::Mistake;
use crate::report::spelling::nearest;
use crate::source::{Located, SourceFile, Span};

/// The keys of one table.
pub(crate) struct Fields<'t> {
    /// The table's name in messages: "`[component.web]`".
    title: String,
    span: Span,
    table: &'t DeTable<'t>,
    asked: Vec<&'static str>,
    /// Those that have to be there and are not.
    missing: Vec<&'static str>,
}

impl<'t> Fields<'t> {
    pub(crate) fn new(title: impl Into<String>, span: Span, table: &'t DeTable<'t>) -> Self {
        Self {
            title: title.into(),
            span,
            table,
            asked: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// The place of the table: its header, its braces, or the first key that implies it.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// The value of `key`, if it is there.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<Node<'t>> {
        self.asked.push(key);
        self.table
            .get_key_value(key)
            .map(|(written, value)| Node::new(written.get_ref(), value))
    }

    /// True if `key` is there, whether or not it means anything.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The value of `key`, which has to be there.
    pub(crate) fn require(&mut self, found: &mut Findings, key: &'static str) -> Option<Node<'t>> {
        let node = self.get(key);
        if node.is_none() && !found.is_in_unread_part(key) {
            self.missing.push(key);
            found.report(
                &self.span,
                Mistake::MissingKey {
                    key,
                    table: self.title.clone(),
                },
            );
        }
        node
    }

    /// All keys with their values, in the order of the file, for a table whose keys are names of the author's.
    pub(crate) fn names(&self, source: &SourceFile) -> Vec<(Located<String>, Node<'t>)> {
        names(self.table, source)
    }

    /// Reports every key that was not asked for. One that is missing is not reported beside its misspelling: that is
    /// one mistake. The answer is which of the known ones were meant.
    pub(crate) fn finish(mut self, found: &mut Findings) -> Vec<&'static str> {
        let mut all_meant = Vec::new();
        for (key, _) in self.table {
            let written: &str = key.get_ref();
            let damaged = found.is_damaged(&key.span());
            if !self.asked.contains(&written) && !damaged {
                let meant = nearest(written, self.asked.iter().copied());
                all_meant.extend(meant);
                let misspelled = |key: &&str| Some(*key) == meant;
                if let Some(index) = self.missing.iter().position(misspelled) {
                    found.withdraw_missing(self.missing.swap_remove(index), &self.title);
                }
                let known = self.asked.clone();
                let mistake = Mistake::UnknownKey {
                    key: written.to_owned(),
                    table: self.title.clone(),
                    meant: meant.map(str::to_owned),
                    known,
                };
                found.report(&content_span(&key.span(), found.source()), mistake);
            }
        }
        all_meant
    }
}

/// One value, and the key that messages name it by.
#[derive(Clone, Copy)]
pub(crate) struct Node<'t> {
    key: &'t str,
    /// Its number in the list of that key, from 1.
    item: Option<usize>,
    value: &'t Spanned<DeValue<'t>>,
}

impl<'t> Node<'t> {
    fn new(key: &'t str, value: &'t Spanned<DeValue<'t>>) -> Self {
        Self {
            key,
            item: None,
            value,
        }
    }

    /// The key that messages name the value by.
    pub(crate) fn key(&self) -> &'t str {
        self.key
    }

    /// The same value under another name in messages.
    pub(crate) fn called(self, key: &'t str) -> Self {
        Self { key, ..self }
    }

    /// All of the value, with the quotes if it has any.
    pub(crate) fn span(&self) -> Span {
        self.value.span()
    }

    pub(crate) fn is_string(&self) -> bool {
        self.value.get_ref().is_str()
    }

    pub(crate) fn is_array(&self) -> bool {
        self.value.get_ref().is_array()
    }

    pub(crate) fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// The value of a table's only key, if it is this one.
    pub(crate) fn only(&self, key: &str) -> Option<Self> {
        let table = self.value.get_ref().as_table()?;
        let (name, value) = table.iter().next().filter(|_| table.len() == 1)?;
        (name.get_ref() == key).then(|| Self {
            key: name.get_ref(),
            item: None,
            value,
        })
    }

    pub(crate) fn is_bool(&self) -> bool {
        self.value.get_ref().is_bool()
    }

    /// The value as a whole number, whatever its type; for saying what is there.
    pub(crate) fn integer(&self) -> Option<i64> {
        let integer = self.value.get_ref().as_integer()?;
        i64::from_str_radix(integer.as_str(), integer.radix()).ok()
    }

    /// A string, at the place of its content.
    pub(crate) fn string(&self, found: &mut Findings) -> Option<Located<String>> {
        match self.sound(found)? {
            DeValue::String(text) => Some(Located::new(
                text.to_string(),
                content_span(&self.span(), found.source()),
            )),
            _ => self.wrong_type(found, "a string"),
        }
    }

    /// A string with something in it.
    pub(crate) fn filled_string(&self, found: &mut Findings) -> Option<Located<String>> {
        let text = self.string(found)?;
        if text.value.trim().is_empty() {
            let wrong = "must not be empty".to_owned();
            found.report(
                &text.span,
                Mistake::Value {
                    key: self.key.to_owned(),
                    wrong,
                    help: None,
                },
            );
            return None;
        }
        Some(text)
    }

    pub(crate) fn boolean(&self, found: &mut Findings) -> Option<Located<bool>> {
        match self.sound(found)? {
            DeValue::Boolean(value) => Some(Located::new(*value, self.span())),
            _ => self.wrong_type(found, "`true` or `false`"),
        }
    }

    /// A whole number from 0 to `u32::MAX`.
    pub(crate) fn count(&self, found: &mut Findings) -> Option<Located<u32>> {
        self.count_to(found, u32::MAX)
    }

    /// A whole number from 0 to `most`.
    pub(crate) fn count_to(&self, found: &mut Findings, most: u32) -> Option<Located<u32>> {
        let DeValue::Integer(integer) = self.sound(found)? else {
            return self.wrong_type(found, "a whole number");
        };
        match u32::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(count) if count <= most => Some(Located::new(count, self.span())),
            _ => {
                let wrong = format!("must be a number from 0 to {most}");
                found.report(
                    &self.span(),
                    Mistake::Value {
                        key: self.key.to_owned(),
                        wrong,
                        help: None,
                    },
                );
                None
            }
        }
    }

    /// The items of an array.
    pub(crate) fn items(&self, found: &mut Findings, expected: &'static str) -> Vec<Self> {
        match self.value.get_ref() {
            DeValue::Array(items) => (1..)
                .zip(items)
                .map(|(number, item)| Node {
                    item: Some(number),
                    ..Node::new(self.key, item)
                })
                .collect(),
            _ => {
                self.sound(found)
                    .and_then(|_| self.wrong_type::<()>(found, expected));
                Vec::new()
            }
        }
    }

    /// The number of items that are written: those of an array, and one for anything else.
    pub(crate) fn written_items(&self) -> usize {
        match self.value.get_ref() {
            DeValue::Array(items) => items.len(),
            _ => 1,
        }
    }

    /// An array of strings. Items of another type are reported and left out.
    pub(crate) fn strings(&self, found: &mut Findings) -> Vec<Located<String>> {
        let items = self.items(found, "an array of strings");
        items.iter().filter_map(|item| item.string(found)).collect()
    }

    /// A table with known keys.
    pub(crate) fn table(&self, found: &mut Findings, title: impl Into<String>) -> Option<Fields<'t>> {
        match self.value.get_ref() {
            DeValue::Table(table) => Some(Fields::new(title, self.span(), table)),
            _ => self.sound(found).and_then(|_| self.wrong_type(found, "a table")),
        }
    }

    /// A table whose keys are names of the author's.
    pub(crate) fn named(&self, found: &mut Findings) -> Vec<(Located<String>, Self)> {
        match self.value.get_ref() {
            DeValue::Table(table) => names(table, found.source()),
            _ => {
                self.sound(found)
                    .and_then(|_| self.wrong_type::<()>(found, "a table"));
                Vec::new()
            }
        }
    }

    /// Reports that the value is not `expected`.
    pub(crate) fn wrong_type<T>(&self, found: &mut Findings, expected: &'static str) -> Option<T> {
        let mistake = Mistake::WrongType {
            key: self.key.to_owned(),
            item: self.item,
            expected,
            found: self.type_name(),
        };
        found.report(&self.span(), mistake);
        None
    }

    /// The value, if no syntax mistake stands in it.
    fn sound(&self, found: &Findings) -> Option<&'t DeValue<'t>> {
        (!found.is_damaged(&self.span())).then(|| self.value.get_ref())
    }

    fn type_name(&self) -> &'static str {
        match self.value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "`true` or `false`",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        }
    }
}

fn names<'t>(table: &'t DeTable<'t>, source: &SourceFile) -> Vec<(Located<String>, Node<'t>)> {
    table
        .iter()
        .map(|(key, value)| {
            let name: &'t str = key.get_ref();
            let span = content_span(&key.span(), source);
            (Located::new(name.to_owned(), span), Node::new(name, value))
        })
        .collect()
}

/// A string or key without its quotes: `"a"`, `'a'`, `"""a"""`, `'''a'''`, or bare. The line break behind opening
/// triple quotes is no content.
pub(crate) fn content_span(span: &Span, source: &SourceFile) -> Span {
    let text = source.slice(span);
    for quotes in ["\"\"\"", "'''", "\"", "'"] {
        let Some(content) = text
            .strip_prefix(quotes)
            .and_then(|rest| rest.strip_suffix(quotes))
        else {
            continue;
        };
        let multi_line = quotes.len() == 3;
        let line_break = match multi_line {
            true if content.starts_with("\r\n") => 2,
            true if content.starts_with('\n') => 1,
            _ => 0,
        };
        let start = span.start + quotes.len();
        return start + line_break..start + content.len();
    }
    span.clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::problem::Area;
    use crate::syntax::Repaired;

    /// Every string value of the text with what its span covers.
    fn contents(text: &str) -> Vec<(String, String)> {
        let source = SourceFile::new("spin.toml", text);
        let repaired = Repaired::of(&source);
        let tree = repaired.tree();
        let mut found = Findings::new(&source, Area::Manifest, &tree);
        let fields = Fields::new("the file", 0..0, tree.root.get_ref());
        let values = fields.names(&source).into_iter();
        values
            .filter_map(|(_, node)| node.string(&mut found))
            .map(|text| (text.value, source.slice(&text.span).to_owned()))
            .collect()
    }

    #[test]
    fn the_span_of_a_string_is_its_content() {
        let rows = [
            ("a = \"x\"", "x", "x"),
            ("a = 'x'", "x", "x"),
            ("a = \"\"", "", ""),
            ("a = \"\"\"x\"\"\"", "x", "x"),
            ("a = \"\"\"\nx\"\"\"", "x", "x"),
            ("a = '''\r\nx'''", "x", "x"),
            ("a = '''''x'''''", "''x''", "''x''"),
            ("a = \"ü\\tx\"", "ü\tx", "ü\\tx"),
            ("a = \"'x'\"", "'x'", "'x'"),
        ];
        for (text, value, covered) in rows {
            assert_eq!(
                contents(text),
                [(value.to_owned(), covered.to_owned())],
                "{text:?}"
            );
        }
    }
}
