//! Lists of hosts with entries taken out of them, and others put in. Comments, order and layout of everything else stay.

use toml_edit::{Array, Document, DocumentMut, Item, TableLike, Value};

use super::old_list::append_new;
use super::{BYTE_ORDER_MARK, FixError, apply_fixes, as_it_was_written};
use crate::code::Code;
use crate::diagnostic::{Diagnostic, Fix};

/// A change of one list.
#[derive(Clone, Debug, Default)]
pub struct ListEdit {
    /// The keys of the table that has the list: `component`, `web`.
    pub table: Vec<String>,
    /// The key of the list in it.
    pub key: String,
    /// Where entries stand that are taken out: bytes of the text, a byte order mark included.
    pub remove: Vec<std::ops::Range<usize>>,
    /// Entries that are put in, behind those that are there.
    pub add: Vec<String>,
}

/// The text with these changes in it.
///
/// # Errors
///
/// The text is not TOML, or has no such table.
pub fn edit_lists(text: &str, edits: &[ListEdit]) -> Result<String, FixError> {
    let removed = edits.iter().flat_map(|edit| &edit.remove).map(|span| {
        let fix = Fix::Remove { span: span.clone() };
        Diagnostic::new(Code::Redundant, outport_policy::Location::Code, "").fixed_by(Some(fix))
    });
    let (without, _) = apply_fixes(text, &removed.collect::<Vec<_>>())?;
    if edits.iter().all(|edit| edit.add.is_empty()) {
        return Ok(without);
    }
    let bare = without.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&without);
    let mut document: DocumentMut = Document::parse(bare.to_owned())?.into_mut();
    for edit in edits.iter().filter(|edit| !edit.add.is_empty()) {
        let inline = is_inline(document.as_item(), &edit.table);
        let table = table_of(document.as_table_mut(), &edit.table)
            .ok_or_else(|| FixError::NoSuchTable(edit.table.join(".")))?;
        put(table, edit, inline)?;
    }
    Ok(as_it_was_written(&document.to_string(), text))
}

fn table_of<'d>(table: &'d mut dyn TableLike, keys: &[String]) -> Option<&'d mut dyn TableLike> {
    let Some((key, rest)) = keys.split_first() else {
        return Some(table);
    };
    table_of(table.get_mut(key)?.as_table_like_mut()?, rest)
}

/// True if one of the tables is in braces, which have no lines.
fn is_inline(document: &Item, keys: &[String]) -> bool {
    let mut item = Some(document);
    keys.iter().any(|key| {
        item = item.and_then(|item| item.get(key.as_str()));
        item.is_some_and(Item::is_inline_table)
    })
}

fn put(table: &mut dyn TableLike, edit: &ListEdit, inline: bool) -> Result<(), FixError> {
    match table.get_mut(&edit.key) {
        Some(item) => {
            let array = item.as_array_mut();
            let array = array.ok_or_else(|| FixError::NoSuchTable(edit.table.join(".")))?;
            let is_bare = array.trailing().as_str().unwrap_or_default().trim().is_empty();
            if array.is_empty() && is_bare && !inline {
                let decor = array.decor().clone();
                *array = fresh(&edit.add);
                *array.decor_mut() = decor;
            } else {
                append_new(array, &edit.add);
            }
        }
        None => {
            let array = if inline {
                edit.add.iter().map(String::as_str).collect()
            } else {
                fresh(&edit.add)
            };
            table.insert(&edit.key, Item::Value(Value::Array(array)));
        }
    }
    Ok(())
}

/// A list that there was none of: one entry on the line of its key, several on lines of their own.
fn fresh(entries: &[String]) -> Array {
    let mut array: Array = entries.iter().map(String::as_str).collect();
    if array.len() > 1 {
        for value in array.iter_mut() {
            value.decor_mut().set_prefix("\n    ");
        }
        array.set_trailing("\n");
        array.set_trailing_comma(true);
    }
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(text: &str, remove: &[&str], add: &[&str]) -> String {
        let remove = remove.iter().map(|entry| {
            let start = text.find(&format!("\"{entry}\"")).unwrap() + 1;
            start..start + entry.len()
        });
        let edit = ListEdit {
            table: vec!["component".to_owned(), "web".to_owned()],
            key: "hosts".to_owned(),
            remove: remove.collect(),
            add: add.iter().map(|entry| (*entry).to_owned()).collect(),
        };
        edit_lists(text, &[edit]).unwrap()
    }

    #[test]
    fn entries_go_behind_those_that_are_there_and_the_rest_stays_as_it_was() {
        let rows: [(&str, &[&str], &[&str], &str); 9] = [
            (
                "[component.web]\nhosts = [\"a\"] # why\nx = 1\n",
                &[],
                &["b"],
                "[component.web]\nhosts = [\"a\", \"b\"] # why\nx = 1\n",
            ),
            (
                "[component.web]\nhosts = [\n  \"a\", # about a\n  # end\n]\n",
                &[],
                &["b", "c"],
                "[component.web]\nhosts = [\n  \"a\", # about a\n  # end\n  \"b\",\n  \"c\",\n]\n",
            ),
            (
                "[component.web]\nhosts = [\n  \"a\" # about a\n]\n",
                &[],
                &["b"],
                "[component.web]\nhosts = [\n  \"a\", # about a\n  \"b\"\n]\n",
            ),
            (
                "[component.web]\r\nhosts = [\r\n  \"a\",\r\n  \"b\",\r\n]\r\n",
                &["a"],
                &["c"],
                "[component.web]\r\nhosts = [\r\n  \"b\",\r\n  \"c\",\r\n]\r\n",
            ),
            (
                "[component.web]\nhosts = [] # none\n",
                &[],
                &["a", "b"],
                "[component.web]\nhosts = [\n    \"a\",\n    \"b\",\n] # none\n",
            ),
            (
                "[component.web]\nsource = \"w\"\n\n[component.web.build]\ncommand = \"x\"\n",
                &[],
                &["a"],
                "[component.web]\nsource = \"w\"\nhosts = [\"a\"]\n\n[component.web.build]\ncommand = \"x\"\n",
            ),
            (
                "component.web = { source = \"w\", hosts = [\"a\"] }\n",
                &[],
                &["b"],
                "component.web = { source = \"w\", hosts = [\"a\", \"b\"] }\n",
            ),
            (
                "\u{feff}[component.web]\nhosts = [\"a\", \"b\"]",
                &["a"],
                &["c"],
                "\u{feff}[component.web]\nhosts = [\"b\", \"c\"]",
            ),
            (
                "[component.web]\nhosts = [\"a\", \"{{ b }}\"]\n",
                &["a"],
                &[],
                "[component.web]\nhosts = [\"{{ b }}\"]\n",
            ),
        ];
        for (before, remove, add, after) in rows {
            assert_eq!(edit(before, remove, add), after, "{before}");
        }
    }

    #[test]
    fn a_table_that_is_not_there_is_an_error() {
        let edit = ListEdit {
            table: vec!["component".to_owned(), "other".to_owned()],
            key: "hosts".to_owned(),
            add: vec!["a".to_owned()],
            ..ListEdit::default()
        };
        let error = edit_lists("[component.web]\n", &[edit]).unwrap_err();
        assert!(error.to_string().contains("component.other"), "{error}");
    }
}
