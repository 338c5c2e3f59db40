//! One more entry in the list of a component.
//!
//! It stands at the end of the list, laid out as the one before it; where there is no list yet, one is written at the end of
//! the component's table. What is there already is not written again.

use toml_edit::{Document, Item};

use super::{BYTE_ORDER_MARK, FixError, ListEdit, edit_lists};

/// The reason why no entry was added.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddError {
    /// The file cannot be read.
    #[error("the file has mistakes to correct by hand first: {0}")]
    NotToml(#[from] toml_edit::TomlError),
    /// It cannot be changed.
    #[error(transparent)]
    NotChanged(#[from] FixError),
    /// The component is not there.
    #[error("there is no component `{0}` any more")]
    NoComponent(String),
    /// Something else stands where the list should.
    #[error("`allowed_outbound_hosts` of component `{0}` is not a list")]
    NotAList(String),
    /// Its list is an old one, which a new one would take the place of.
    #[error(
        "component `{0}` has `allowed_http_hosts`: `outport check --fix` makes a list of it that can be added to"
    )]
    OldList(String),
}

/// The text of a `spin.toml` with `entry` in `allowed_outbound_hosts` of the component `id`. None if it is there already.
///
/// # Errors
///
/// The text is not TOML, or has no such component, or a list that nothing can be added to.
pub fn add_entry(text: &str, id: &str, entry: &str) -> Result<Option<String>, AddError> {
    let bare = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    let document = Document::parse(bare.to_owned())?;
    let component = document
        .get("component")
        .and_then(|components| components.get(id));
    let component = component
        .and_then(Item::as_table_like)
        .ok_or_else(|| AddError::NoComponent(id.to_owned()))?;
    match component.get(LIST).map(Item::as_array) {
        Some(Some(list)) if list.iter().any(|own| own.as_str() == Some(entry)) => return Ok(None),
        Some(Some(_)) => {}
        Some(None) => return Err(AddError::NotAList(id.to_owned())),
        None if component.contains_key(OLD_LIST) => return Err(AddError::OldList(id.to_owned())),
        None => {}
    }
    let edit = ListEdit {
        table: vec!["component".to_owned(), id.to_owned()],
        key: LIST.to_owned(),
        remove: Vec::new(),
        add: vec![entry.to_owned()],
    };
    Ok(Some(edit_lists(text, &[edit])?))
}

const LIST: &str = "allowed_outbound_hosts";

const OLD_LIST: &str = "allowed_http_hosts";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_added_and_the_rest_stays_as_it_was() {
        for (before, after) in [
            (
                "[component.web]\nallowed_outbound_hosts = [\"a\"] # why\nx = 1\n",
                "[component.web]\nallowed_outbound_hosts = [\"a\", \"new\"] # why\nx = 1\n",
            ),
            (
                "[component.web]\nallowed_outbound_hosts = []\n",
                "[component.web]\nallowed_outbound_hosts = [\"new\"]\n",
            ),
            (
                "[component.web]\nallowed_outbound_hosts = [\n  # about a\n  'a', # a\n  # end\n]\n",
                "[component.web]\nallowed_outbound_hosts = [\n  # about a\n  'a', # a\n  # end\n  \"new\",\n]\n",
            ),
            (
                "[component.web]\r\nallowed_outbound_hosts = [\r\n    \"a\"\r\n]\r\n",
                "[component.web]\r\nallowed_outbound_hosts = [\r\n    \"a\",\r\n    \"new\"\r\n]\r\n",
            ),
            (
                "# top\n[component.web] # web\nsource = \"a.wasm\"\n\n[component.web.build]\ncommand = \"x\"\n",
                "# top\n[component.web] # web\nsource = \"a.wasm\"\nallowed_outbound_hosts = [\"new\"]\n\n[component.web.build]\ncommand = \"x\"\n",
            ),
            (
                "component = { web = { source = \"a\" } }",
                "component = { web = { source = \"a\" , allowed_outbound_hosts = [\"new\"] } }",
            ),
            (
                "\u{feff}[component.web]\n",
                "\u{feff}[component.web]\nallowed_outbound_hosts = [\"new\"]\n",
            ),
        ] {
            assert_eq!(
                add_entry(before, "web", "new"),
                Ok(Some(after.to_owned())),
                "{before}"
            );
            assert_eq!(add_entry(after, "web", "new"), Ok(None), "{after}");
        }
    }

    #[test]
    fn nothing_is_added_where_it_would_not_be_that() {
        let web = || "web".to_owned();
        for (text, error) in [
            ("[component.other]\n", AddError::NoComponent(web())),
            ("component = 1\n", AddError::NoComponent(web())),
            (
                "[component.web]\nallowed_outbound_hosts = \"a\"\n",
                AddError::NotAList(web()),
            ),
            (
                "[component.web]\nallowed_http_hosts = [\"a\"]\n",
                AddError::OldList(web()),
            ),
        ] {
            assert_eq!(add_entry(text, "web", "new"), Err(error), "{text}");
        }
        assert!(matches!(add_entry("[", "web", "new"), Err(AddError::NotToml(_))));
    }

    #[test]
    fn whatever_an_entry_says_it_is_a_string_and_nothing_else() {
        let entry = "\"]\n[x]\nb = [\"\u{1b}";
        let text = add_entry("[component.web]\n", "web", entry).unwrap().unwrap();
        let read: toml_edit::DocumentMut = text.parse().unwrap();
        assert_eq!(read["component"]["web"][LIST][0].as_str(), Some(entry));
        assert_eq!(read.len(), 1, "{text}");
    }
}
