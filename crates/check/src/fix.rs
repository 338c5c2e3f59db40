//! Safe changes of a `spin.toml`: entries are taken out of their lists or spelled otherwise, and an old list moves into
//! the one that took its place. An entry is added to the list of a component. Comments, order and layout of everything else
//! stay.

mod addition;
mod layout;
mod line_ends;
mod list_edit;
mod old_list;

use std::collections::BTreeMap;
use std::ops::Range;

use toml_edit::{Array, Document, DocumentMut, Item, TableLike, Value};

pub use self::addition::{AddError, add_entry};
use self::layout::{comment, first_line, joined, last_line, prefix, suffix};
use self::line_ends::as_they_were;
pub use self::list_edit::{ListEdit, edit_lists};
use self::old_list::move_list;
use crate::diagnostic::{Diagnostic, Fix};

/// The reason why nothing was changed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FixError {
    /// The file cannot be read, so it cannot be changed either.
    #[error("the file has mistakes to correct by hand first: {0}")]
    NotToml(#[from] toml_edit::TomlError),
    /// A list is not where it was said to be.
    #[error("`{0}` is not a table that has a list of hosts")]
    NoSuchTable(String),
}

/// The text with every fix of the findings in it, and how many that were. Findings in other files are left alone,
/// so pass only those of this file.
///
/// # Errors
///
/// When the text is not TOML.
pub fn apply_fixes(text: &str, findings: &[Diagnostic]) -> Result<(String, usize), FixError> {
    let bare = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let shift = text.len() - bare.len();
    let document = Document::parse(bare.to_owned())?;
    let mut strings = Strings::default();
    strings.walk_table(document.as_table(), &mut Vec::new());
    let fixes = findings.iter().filter_map(|finding| {
        let fix = finding.fix.as_ref()?;
        let span = span(fix);
        Some((span.start.checked_sub(shift)?..span.end.checked_sub(shift)?, fix))
    });
    let mut changes: Vec<(&[Step], usize, &Fix)> = Vec::new();
    let mut moves = Vec::new();
    for (span, fix) in fixes {
        match fix {
            Fix::Move { to, entries, .. } => {
                moves.extend(strings.list(&span).map(|path| (path, *to, entries.as_slice())))
            }
            _ => changes.extend(strings.around(&span).map(|(path, index)| (path, index, fix))),
        }
    }
    // From the end of each list, so that what is still to be changed keeps its number.
    changes.sort_by_key(|(_, index, _)| std::cmp::Reverse(*index));
    let mut document: DocumentMut = document.into_mut();
    let mut done = 0;
    for (path, index, fix) in &changes {
        if let Some(array) = array_at(&mut document, path) {
            change(array, *index, fix);
            done += 1;
        }
    }
    for (path, to, entries) in moves {
        done += usize::from(move_list(&mut document, path, to, entries));
    }
    Ok((as_it_was_written(&document.to_string(), text), done))
}

const BYTE_ORDER_MARK: char = '\u{feff}';

/// One step from a table or list to what is in it.
#[derive(Clone, Debug)]
enum Step {
    Key(String),
    Index(usize),
}

fn span(fix: &Fix) -> Range<usize> {
    match fix {
        Fix::Remove { span } | Fix::Replace { span, .. } | Fix::Move { span, .. } => span.clone(),
    }
}

/// The strings of all arrays, in the order of the file.
#[derive(Default)]
struct Strings {
    paths: Vec<Vec<Step>>,
    /// The position where each array begins, and the number of its path.
    arrays: BTreeMap<usize, usize>,
    /// The span of each string with its quotes, the number of its array's path, and its own in the array.
    found: BTreeMap<usize, (Range<usize>, usize, usize)>,
}

impl Strings {
    /// The array and the number of the string that holds the span between its quotes.
    fn around(&self, span: &Range<usize>) -> Option<(&[Step], usize)> {
        let (_, (string, path, index)) = self.found.range(..span.start).next_back()?;
        (span.end < string.end).then(|| (self.paths[*path].as_slice(), *index))
    }

    /// The array of this span.
    fn list(&self, span: &Range<usize>) -> Option<&[Step]> {
        let path = self.arrays.get(&span.start)?;
        Some(self.paths[*path].as_slice())
    }

    fn walk_table(&mut self, table: &dyn TableLike, path: &mut Vec<Step>) {
        for (key, item) in table.iter() {
            path.push(Step::Key(key.to_owned()));
            self.walk_item(item, path);
            path.pop();
        }
    }

    fn walk_item(&mut self, item: &Item, path: &mut Vec<Step>) {
        match item {
            Item::None => {}
            Item::Table(table) => self.walk_table(table, path),
            Item::ArrayOfTables(tables) => {
                for (index, table) in tables.iter().enumerate() {
                    path.push(Step::Index(index));
                    self.walk_table(table, path);
                    path.pop();
                }
            }
            Item::Value(Value::InlineTable(table)) => self.walk_table(table, path),
            Item::Value(Value::Array(array)) => {
                self.paths.push(path.clone());
                self.arrays
                    .extend(array.span().map(|span| (span.start, self.paths.len() - 1)));
                let strings = array.iter().enumerate().filter(|(_, value)| value.is_str());
                let placed = strings.filter_map(|(index, value)| Some((value.span()?, index)));
                for (span, index) in placed {
                    self.found.insert(span.start, (span, self.paths.len() - 1, index));
                }
            }
            Item::Value(_) => {}
        }
    }
}

fn table_at<'d>(table: &'d mut dyn TableLike, path: &[Step]) -> Option<&'d mut dyn TableLike> {
    let Some((step, rest)) = path.split_first() else {
        return Some(table);
    };
    let Step::Key(key) = step else { return None };
    match (table.get_mut(key)?, rest.split_first()) {
        (Item::ArrayOfTables(tables), Some((Step::Index(index), rest))) => {
            table_at(tables.get_mut(*index)?, rest)
        }
        (item, _) => table_at(item.as_table_like_mut()?, rest),
    }
}

/// The table that a list is in, and the list's key there.
fn holder_of<'d, 'p>(
    document: &'d mut DocumentMut,
    path: &'p [Step],
) -> Option<(&'d mut dyn TableLike, &'p str)> {
    let (Step::Key(key), tables) = path.split_last()? else {
        return None;
    };
    Some((table_at(document.as_table_mut(), tables)?, key))
}

/// True if the list is in braces, `{ … }`, which have no lines.
fn is_inline(document: &DocumentMut, path: &[Step]) -> bool {
    let mut item = Some(document.as_item());
    path.iter().any(|step| {
        item = item.and_then(|item| match step {
            Step::Key(key) => item.get(key.as_str()),
            Step::Index(index) => item.get(*index),
        });
        item.is_some_and(Item::is_inline_table)
    })
}

fn array_at<'d>(document: &'d mut DocumentMut, path: &[Step]) -> Option<&'d mut Array> {
    let (table, key) = holder_of(document, path)?;
    table.get_mut(key)?.as_array_mut()
}

fn change(array: &mut Array, index: usize, fix: &Fix) {
    match fix {
        Fix::Remove { .. } => remove(array, index),
        Fix::Move { .. } => {}
        Fix::Replace { with, .. } => {
            let Some(value) = array.get_mut(index) else { return };
            let decor = value.decor().clone();
            *value = Value::from(with.as_str());
            *value.decor_mut() = decor;
        }
    }
}

/// Removes an entry. The text around it is layout. Comments on lines of their own stay; one behind the entry goes with
/// it if nothing else is left on its line.
fn remove(array: &mut Array, index: usize) {
    if index >= array.len() {
        return;
    }
    let removed = array.remove(index);
    let (before, suffix) = (prefix(&removed), suffix(&removed));
    let next = array.get(index).map(prefix);
    let follows = next.unwrap_or_else(|| array.trailing().as_str().unwrap_or_default().to_owned());
    // The comma is between these two, and can have its comment on either side.
    let [(_, own_lines), (before_comma, between), (behind_comma, rest)] =
        [&before, &suffix, &follows].map(|layout| first_line(layout));
    let kept = if before.contains('\n') {
        comment(first_line(&before).0).to_owned()
    } else {
        format!("{}{}", comment(before_comma), comment(behind_comma))
    };
    let kept = format!("{kept}{}{}", comment(own_lines), comment(between));
    let layout = match (rest.is_empty(), index < array.len()) {
        (false, _) => rest,
        // The next one takes the place of the removed one.
        (true, true) => last_line(&before),
        (true, false) if suffix.contains('\n') => "\n",
        (true, false) if follows.is_empty() => &suffix,
        (true, false) => &follows,
    };
    let layout = joined(&kept, layout);
    match array.get_mut(index) {
        Some(next) => next.decor_mut().set_prefix(layout),
        None => array.set_trailing(layout),
    }
}

/// With the line ends and the byte order mark that the text had.
fn as_it_was_written(changed: &str, before: &str) -> String {
    let mark = if before.starts_with(BYTE_ORDER_MARK) {
        "\u{feff}"
    } else {
        ""
    };
    let lines = as_they_were(changed, before);
    let ended = if before.ends_with('\n') {
        lines.as_str()
    } else {
        lines.trim_end_matches(['\r', '\n'])
    };
    format!("{mark}{ended}")
}

#[cfg(test)]
mod tests {
    use outport_manifest::SourceFile;

    use super::*;
    use crate::code::Code;

    fn finding(text: &str, entry: &str, with: Option<&str>) -> Diagnostic {
        let start = text.find(entry).unwrap();
        let span = start..start + entry.len();
        let fix = match with {
            None => Fix::Remove { span: span.clone() },
            Some(with) => Fix::Replace {
                span: span.clone(),
                with: with.to_owned(),
            },
        };
        let location = SourceFile::new("spin.toml", text).location(&span);
        Diagnostic::new(Code::Redundant, location, "").fixed_by(Some(fix))
    }

    #[test]
    fn entries_are_taken_out_and_the_rest_stays_as_it_was() {
        for (before, entries, after) in [
            (
                r#"x.hosts = ["a", "b", "c"] # why"#,
                &["a"][..],
                r#"x.hosts = ["b", "c"] # why"#,
            ),
            (r#"x.hosts = ["a", "b", "c"]"#, &["b"], r#"x.hosts = ["a", "c"]"#),
            (r#"x.hosts = ["a", "b", "c"]"#, &["c", "a"], r#"x.hosts = ["b"]"#),
            (
                r#"x = { hosts = ["a", 'b'], y = 1 }"#,
                &["b"],
                r#"x = { hosts = ["a"], y = 1 }"#,
            ),
            (
                "[[t]]\nhosts = ['a', 'b']\n[[t]]\nhosts = ['c', 'd']\n",
                &["c"],
                "[[t]]\nhosts = ['a', 'b']\n[[t]]\nhosts = ['d']\n",
            ),
            (
                "hosts = [\n  \"a\", # first\n  \"b\",\n]\n",
                &["b"],
                "hosts = [\n  \"a\", # first\n]\n",
            ),
            (
                "hosts = [\n  \"a\",\n  # about b\n  \"b\",\n  \"c\",\n]\n",
                &["b"],
                "hosts = [\n  \"a\",\n  # about b\n  \"c\",\n]\n",
            ),
            (
                "hosts = [\"a\", # first\n  \"b\"]\n",
                &["b"],
                "hosts = [\"a\" # first\n]\n",
            ),
            (
                "hosts = [\n  \"a\",\n  \"b\" # about b\n]\n",
                &["b"],
                "hosts = [\n  \"a\"\n]\n",
            ),
            (
                "hosts = [\n  \"a\" # about a\n  , \"b\"\n]\n",
                &["a"],
                "hosts = [\n  \"b\"\n]\n",
            ),
            (
                "hosts = [\n  \"a\", # about a\n  # about b\n  \"b\", # too\n\n  \"c\", # about c\n]\n",
                &["b"],
                "hosts = [\n  \"a\", # about a\n  # about b\n\n  \"c\", # about c\n]\n",
            ),
            (
                "hosts = [\n  \"a\", \"b\", # both\n  \"c\", # about c\n]\n",
                &["b", "c"],
                "hosts = [\n  \"a\", # both\n]\n",
            ),
            ("hosts = [ \"a\", \"b\" ]\n", &["b"], "hosts = [ \"a\" ]\n"),
            (
                "hosts = [\r\n  \"a\",\r\n  \"b\",\r\n]\r\n",
                &["b"],
                "hosts = [\r\n  \"a\",\r\n]\r\n",
            ),
            (
                "\u{feff}hosts = ['a', 'b'] # ü\n",
                &["b"],
                "\u{feff}hosts = ['a'] # ü\n",
            ),
        ] {
            let findings: Vec<Diagnostic> = entries
                .iter()
                .map(|entry| {
                    let quoted = before
                        .find(&format!("\"{entry}\""))
                        .or_else(|| before.find(&format!("'{entry}'")))
                        .unwrap()
                        + 1;
                    let span = quoted..quoted + entry.len();
                    Diagnostic::new(Code::Redundant, outport_policy::Location::Code, "")
                        .fixed_by(Some(Fix::Remove { span }))
                })
                .collect();
            assert_eq!(
                apply_fixes(before, &findings).unwrap(),
                (after.to_owned(), entries.len()),
                "{before}"
            );
        }
    }

    #[test]
    fn an_entry_is_spelled_otherwise_in_its_place() {
        let text = "hosts = [\n  'HTTPS://A.example', # why\n]\n";
        let findings = [finding(text, "HTTPS://A.example", Some("https://a.example"))];
        let (after, done) = apply_fixes(text, &findings).unwrap();
        assert_eq!(
            (after.as_str(), done),
            ("hosts = [\n  \"https://a.example\", # why\n]\n", 1)
        );
    }

    #[test]
    fn an_old_list_moves_into_the_one_that_took_its_place() {
        for (before, after) in [
            (
                "[component.web]\n# why\nold = ['a'] # so\nx = 1\n",
                "[component.web]\nx = 1\n# why\nnew = [\"http://a\", \"https://a\"] # so\n",
            ),
            (
                "x = { old = ['a'], y = 1 }\n",
                "x = { y = 1 , new = [\"http://a\", \"https://a\"] }\n",
            ),
            (
                "[[t]]\nold = ['a']\nnew = []\n",
                "[[t]]\nnew = [\"http://a\", \"https://a\"]\n",
            ),
            (
                "old = ['a']\nnew = [\n  # b\n  'b',\n  'https://a',\n]\n",
                "new = [\n  # b\n  'b',\n  'https://a',\n  \"http://a\",\n]\n",
            ),
            (
                "old = [\n  # before\n  'a', # behind\n  # end\n]\n",
                "new = [\n  # before\n  \"http://a\",\n  \"https://a\", # behind\n  # end\n]\n",
            ),
            (
                "new = ['b']\n# why\nold = ['a'] # so\n",
                "# why\n# so\nnew = ['b', \"http://a\", \"https://a\"]\n",
            ),
            (
                "x = 1\n  # new\n  new = [ 'b' ] # b\n  old = [\n    # above\n    'a', # a\n    # end\n  ]\n",
                "x = 1\n  # new\n  # above\n  # a\n  # end\n  new = [ 'b', \"http://a\", \"https://a\" ] # b\n",
            ),
            (
                "x = { new = ['b'], old = [\n  'a', # a\n] }\n",
                "x = { new = ['b', \"http://a\", \"https://a\" # a\n]}\n",
            ),
            (
                "# why\nold = ['a'] # so\nnew = [\n  'b', # b\n  # end\n]\n",
                "new = [\n  'b', # b\n  # end\n  # why\n  \"http://a\",\n  \"https://a\",\n  # so\n]\n",
            ),
            (
                "old = [ # list\n  # above\n  'a', # a\n]\nnew = [\n  'https://a',\n  'http://a', # b\n]\n",
                "new = [\n  'https://a',\n  'http://a', # b\n  # list\n  # above\n]\n",
            ),
            (
                "old = ['a' # behind\n]\nnew = [\n  'b', # b\n]\n",
                "new = [\n  'b', # b\n  \"http://a\",\n  \"https://a\", # behind\n]\n",
            ),
            ("old = ['a']\nnew = 'b'\n", "old = ['a']\nnew = 'b'\n"),
        ] {
            let start = before.find("old = ").unwrap() + "old = ".len();
            let fix = Fix::Move {
                span: start..start + 1,
                to: "new",
                entries: vec![["http://a", "https://a"].map(str::to_owned).into()],
            };
            let finding =
                Diagnostic::new(Code::Redundant, outport_policy::Location::Code, "").fixed_by(Some(fix));
            let (text, done) = apply_fixes(before, &[finding]).unwrap();
            assert_eq!((text.as_str(), done), (after, usize::from(before != after)));
        }
    }

    #[test]
    fn an_item_of_an_old_list_that_stands_for_nothing_leaves_no_gap() {
        for (before, after) in [
            ("old = ['a', 'all']\n", "new = [\"http://*:*\"]\n"),
            ("old = [\n  'a', 'all',\n]\n", "new = [\n  \"http://*:*\",\n]\n"),
            (
                "old = [\n  'a', # a\n  'all',\n]\n",
                "new = [\n  \"http://*:*\",\n]\n",
            ),
            (
                "old = [ # list\n  'a', # a\n  # all\n  'all', # too\n  # end\n]\n",
                "new = [ # list\n  # all\n  \"http://*:*\", # too\n  # end\n]\n",
            ),
        ] {
            let start = "old = ".len();
            let fix = Fix::Move {
                span: start..start + 1,
                to: "new",
                entries: vec![Vec::new(), vec!["http://*:*".to_owned()]],
            };
            let finding =
                Diagnostic::new(Code::Redundant, outport_policy::Location::Code, "").fixed_by(Some(fix));
            let (text, _) = apply_fixes(before, &[finding]).unwrap();
            assert_eq!(text, after);
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_left_alone() {
        assert!(apply_fixes("hosts = [", &[]).is_err());
    }
}
