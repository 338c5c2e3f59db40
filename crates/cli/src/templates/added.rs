//! A component of a template in the files of an app that is there: its manifest and the tests of its policy.
//!
//! Both are changed as syntax, so comments, order and layout of what is there stay. What comes of it has to be read by whoever
//! changes a manifest with it: an author may have written its tables in a way that nothing can be added to.

use std::collections::{HashMap, VecDeque};

use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike, TomlError, Value};

use crate::templates::Start;
use crate::templates::project_name::ProjectName;

/// The reason why nothing was added.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AddError {
    #[error("it is not TOML: {}", .0.message())]
    NotToml(#[from] TomlError),
    #[error("`{0}` in it is not a table that anything can be added to")]
    Closed(&'static str),
}

/// The text of `manifest` with the component and the trigger of `rendered`, a manifest of a template. What belongs to the
/// component is in `folder`, relative to the manifest.
pub(crate) fn component(
    manifest: &str,
    rendered: &str,
    (name, start): (&ProjectName, Start),
    folder: &str,
) -> Result<String, AddError> {
    let mut document: DocumentMut = manifest.parse()?;
    let mut new: DocumentMut = rendered.parse()?;
    let trigger = take_trigger(&mut new, start).ok_or(AddError::Closed("trigger"))?;
    let mut component = take_component(&mut new, name).ok_or(AddError::Closed("component"))?;
    move_into(&mut component, folder);

    let triggers = below(&mut document, "trigger").ok_or(AddError::Closed("trigger"))?;
    append(triggers, start.key(), trigger).ok_or(AddError::Closed("trigger"))?;
    let components = below(&mut document, "component").ok_or(AddError::Closed("component"))?;
    insert(components, name.as_str(), component);
    Ok(with_its_line_ends(manifest, document.to_string()))
}

/// The text of a file of tests with `added` behind them. In a file for an app that had one component, its name was needless so
/// far.
pub(crate) fn tests(file: &str, only: Option<&str>, added: &str) -> Result<String, AddError> {
    let mut document: DocumentMut = file.parse()?;
    match document.get_mut("test") {
        None => {}
        Some(Item::ArrayOfTables(tests)) => {
            for test in tests.iter_mut() {
                if let (None, Some(only)) = (test.get("component"), only) {
                    name_first(test, only);
                }
            }
        }
        Some(_) => return Err(AddError::Closed("test")),
    }
    let text = format!("{}\n{}", document.to_string().trim_end(), added);
    let text = if file.trim().is_empty() {
        added.to_owned()
    } else {
        text
    };
    // Where it ended within a table, what follows is read as part of something else.
    text.parse::<DocumentMut>()?;
    Ok(with_its_line_ends(file, text))
}

impl Start {
    /// The key of its triggers in a manifest.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Command => "command",
        }
    }
}

fn take_trigger(new: &mut DocumentMut, start: Start) -> Option<Table> {
    let triggers = new.get_mut("trigger")?.get_mut(start.key())?;
    let first = triggers.as_array_of_tables_mut()?.get(0)?.clone();
    Some(placed_behind(first))
}

fn take_component(new: &mut DocumentMut, name: &ProjectName) -> Option<Table> {
    let component = new
        .get_mut("component")?
        .as_table_like_mut()?
        .remove(name.as_str())?;
    let mut component = placed_behind(component.into_table().ok()?);
    if let Some(build) = component.get_mut("build").and_then(Item::as_table_mut) {
        *build = placed_behind(build.clone());
    }
    Some(component)
}

/// A table that stands where it is put, and not where it stood in another file.
fn placed_behind(mut table: Table) -> Table {
    table.set_position(None);
    table.decor_mut().set_prefix("\n");
    table
}

fn move_into(component: &mut Table, folder: &str) {
    let moved = component
        .get("source")
        .and_then(Item::as_str)
        .map(|source| format!("{folder}/{source}"));
    if let Some(source) = moved {
        component.insert("source", Value::from(source).into());
    }
    if let Some(build) = component.get_mut("build").and_then(Item::as_table_like_mut) {
        build.insert("workdir", Value::from(folder).into());
    }
}

/// The table of that name, which is made if it is not there.
fn below<'d>(document: &'d mut DocumentMut, name: &str) -> Option<&'d mut dyn TableLike> {
    let item = document.entry(name).or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    item.as_table_like_mut()
}

/// Puts a table behind those of a list, in the way in which that is written.
fn append(tables: &mut dyn TableLike, key: &str, table: Table) -> Option<()> {
    let list = tables
        .entry(key)
        .or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    match list {
        Item::ArrayOfTables(list) => list.push(table),
        Item::Value(Value::Array(list)) => push_inline(list, table.into_inline_table()),
        _ => return None,
    }
    Some(())
}

fn push_inline(list: &mut Array, mut table: InlineTable) {
    table.decor_mut().clear();
    list.push(table);
}

fn insert(tables: &mut dyn TableLike, key: &str, table: Table) {
    // What is within an inline table is inline as well.
    let item = if tables.get_values().is_empty() || !is_inline(tables) {
        Item::Table(table)
    } else {
        Item::Value(table.into_inline_table().into())
    };
    tables.insert(key, item);
}

fn is_inline(tables: &dyn TableLike) -> bool {
    tables.iter().all(|(_, item)| item.is_value())
}

fn name_first(test: &mut Table, component: &str) {
    test.insert("component", Value::from(component).into());
    test.sort_values_by(|one, _, other, _| (one.get() != "component").cmp(&(other.get() != "component")));
}

/// The text with the line ends of the file that it takes the place of: a line that was there keeps its own, and a new one has
/// that of the line before it.
fn with_its_line_ends(before: &str, text: String) -> String {
    if !before.contains("\r\n") {
        return text;
    }
    let (mut old, mut end) = (before.split_inclusive('\n').map(split_end).peekable(), None);
    let first = before
        .split_inclusive('\n')
        .next()
        .map_or("\n", |line| split_end(line).1);
    let mut new: VecDeque<&str> = text.split_inclusive('\n').map(|line| split_end(line).0).collect();
    // How often a line is still to come: one that does not was changed, and not put behind another one.
    let mut coming: HashMap<&str, usize> = HashMap::new();
    for line in &new {
        *coming.entry(line).or_default() += 1;
    }
    let mut written = String::with_capacity(text.len() + new.len());
    while let Some(line) = new.pop_front() {
        let is_old = old
            .peek()
            .is_some_and(|(old, _)| *old == line || !coming.contains_key(old));
        if is_old {
            end = old
                .next()
                .map(|(_, end)| end)
                .filter(|end| !end.is_empty())
                .or(end);
        }
        if let Some(count) = coming.get_mut(line) {
            *count -= 1;
            if *count == 0 {
                coming.remove(line);
            }
        }
        written.push_str(line);
        let has_end = !new.is_empty() || text.ends_with('\n');
        written.push_str(
            end.filter(|_| has_end)
                .unwrap_or(if has_end { first } else { "" }),
        );
    }
    written
}

/// A line and what ends it.
fn split_end(line: &str) -> (&str, &str) {
    let bare = line.strip_suffix('\n').unwrap_or(line);
    let bare = bare
        .strip_suffix('\r')
        .filter(|_| bare.len() < line.len())
        .unwrap_or(bare);
    line.split_at(bare.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RENDERED: &str = "[[trigger.http]]\nroute = \"/new/...\"\ncomponent = \"new\"\n\n[component.new]\nsource = \"app.wasm\"\n\n\
        [component.new.build]\ncommand = \"make\"\n";

    fn added(manifest: &str) -> String {
        let name = "new".parse().unwrap();
        component(manifest, RENDERED, (&name, Start::Http), "parts/new").unwrap()
    }

    #[test]
    fn comments_and_order_stay_and_tables_stand_beside_their_like() {
        let manifest = "# first\nspin_manifest_version = 2 # two\n\n[application]\nname = 'a'\n\n# of the trigger\n[[trigger.http]]\n\
            route = \"/...\"\ncomponent = \"web\"\n\n# of the component\n[component.web] # web\nsource = 'web.wasm'\n\n\
            [component.web.build]\ncommand = \"cc\" # cc\n# last\n";
        let expected = "# first\nspin_manifest_version = 2 # two\n\n[application]\nname = 'a'\n\n# of the trigger\n[[trigger.http]]\n\
            route = \"/...\"\ncomponent = \"web\"\n\n[[trigger.http]]\nroute = \"/new/...\"\ncomponent = \"new\"\n\n\
            # of the component\n[component.web] # web\nsource = 'web.wasm'\n\n\
            [component.web.build]\ncommand = \"cc\" # cc\n\n[component.new]\nsource = \"parts/new/app.wasm\"\n\n\
            [component.new.build]\ncommand = \"make\"\nworkdir = \"parts/new\"\n# last\n";
        assert_eq!(added(manifest), expected);
    }

    #[test]
    fn however_the_tables_are_written_both_components_are_there() {
        for manifest in [
            "application.name = 'a'\ncomponent.web.source = 'w'\ntrigger.http = [{ route = '/', component = 'web' }]\n",
            "component = { web = { source = 'w' } }\n[trigger]\nhttp = [{ route = '/', component = 'web' }]\n",
            "[component]\nweb = { source = 'w' }\n[[trigger.http]]\nroute = '/'\ncomponent = 'web'\n",
            "[[trigger.http]]\r\nroute = '/'\r\ncomponent = 'web'\r\n[component.web]\r\nsource = 'w'",
        ] {
            let text = added(manifest);
            let document: DocumentMut = text
                .parse()
                .unwrap_or_else(|error| panic!("{manifest}\n{text}\n{error}"));
            let triggers = &document["trigger"]["http"];
            assert_eq!(triggers[0]["component"].as_str(), Some("web"), "{text}");
            assert_eq!(triggers[1]["component"].as_str(), Some("new"), "{text}");
            assert_eq!(
                document["component"]["web"]["source"].as_str(),
                Some("w"),
                "{text}"
            );
            assert_eq!(
                document["component"]["new"]["build"]["workdir"].as_str(),
                Some("parts/new")
            );
            assert_eq!(
                text.matches('\n').count(),
                if manifest.contains('\r') {
                    text.matches("\r\n").count()
                } else {
                    text.matches('\n').count()
                }
            );
        }
        for (manifest, key) in [
            ("component = 5", "component"),
            ("trigger = []", "trigger"),
            ("trigger.http = 5", "trigger"),
        ] {
            let name = "new".parse().unwrap();
            let error = component(manifest, RENDERED, (&name, Start::Http), "new").unwrap_err();
            assert!(error.to_string().contains(key), "{manifest}: {error}");
        }
    }

    #[test]
    fn each_line_keeps_its_end_and_a_new_one_has_that_of_the_one_before() {
        let before = "# one\r\nspin_manifest_version = 2\n\n[application]\r\nname = 'a'\n[[trigger.http]]\nroute = '/'\n\
            component = 'web'\r\n\r\n[component.web]\nsource = 'w'\n";
        let text = added(before);
        let mut rest = &*text;
        for line in before.split_inclusive('\n') {
            let (_, behind) = rest
                .split_once(line)
                .unwrap_or_else(|| panic!("{line:?}: {text:?}"));
            rest = behind;
        }
        assert!(
            text.contains("'web'\r\n\r\n[[trigger.http]]\r\nroute = \"/new/...\"\r\n"),
            "{text:?}"
        );
        assert!(
            text.ends_with("\n\n[component.new.build]\ncommand = \"make\"\nworkdir = \"parts/new\"\n"),
            "{text:?}"
        );

        // A line that was changed keeps its end as well.
        let inline =
            "trigger.http = [{ route = '/', component = 'web' }]\n# two\r\ncomponent.web.source = 'w'\n";
        let text = added(inline);
        assert!(
            text.contains("}]\n# two\r\ncomponent.web.source = 'w'\n"),
            "{text:?}"
        );
    }

    #[test]
    fn tests_of_the_only_component_get_its_name() {
        let file = "# mine\n[[test]]\ndestination = \"a.test\" # why\nexpect = \"deny\"\n\n[[test]]\ncomponent = \"web\"\nexpect = 'x'\n";
        let expected = "# mine\n[[test]]\ncomponent = \"web\"\ndestination = \"a.test\" # why\nexpect = \"deny\"\n\n[[test]]\n\
            component = \"web\"\nexpect = 'x'\n\n[[test]]\nexpect = \"allow\"\n";
        let added = "\n[[test]]\nexpect = \"allow\"\n";
        assert_eq!(tests(file, Some("web"), added).unwrap(), expected);
        assert_eq!(tests("", None, added).unwrap(), added);
        assert!(
            tests("test = []", None, added).is_err()
                && tests("test = 5", None, added).is_err()
                && tests("[", None, added).is_err()
        );
    }
}
