//! What was rendered, held against what it was rendered from.
//!
//! Values come from whoever typed them. However one is written, it may make nothing of a manifest but itself: a further table or
//! entry is a door that nobody opened. So the text is read as any manifest is, before it is put in place.

use anyhow::{Context, bail, ensure};
use outport_manifest::{Manifest, SourceFile};
use toml_edit::{DocumentMut, Item};

use super::{MANIFEST, POLICY_TESTS, Rendered, Start, Values, manifest, policy_tests};

/// Fails unless the manifest has the values, nothing besides, and no mistake.
pub(super) fn check(files: &[Rendered], start: Start, values: &Values) -> anyhow::Result<()> {
    let source = SourceFile::new(MANIFEST, manifest(files));
    if let Err(wrong) = Manifest::parse(&source).complete() {
        let first = wrong.0.first().map(ToString::to_string).unwrap_or_default();
        bail!("`{MANIFEST}` would have a mistake: {first}");
    }
    let document: DocumentMut = source.text().parse()?;
    let name = values.name.as_str();
    let component = only(&document, "component", name)?;
    let list = component.get("allowed_outbound_hosts").and_then(Item::as_array);
    let entries: Vec<_> = list
        .context("no list of hosts")?
        .iter()
        .map(|entry| entry.as_str())
        .collect();
    let wanted: Vec<_> = values.entries.iter().map(|entry| Some(&**entry)).collect();
    ensure!(
        entries == wanted,
        "another list of hosts would be in `{MANIFEST}`"
    );

    let triggers = only(&document, "trigger", start.key())?.as_array_of_tables();
    let trigger = triggers
        .filter(|all| all.len() == 1)
        .and_then(|all| all.get(0))
        .with_context(|| format!("`{MANIFEST}` would not have one trigger"))?;
    let is_of_it = trigger.get("component").and_then(Item::as_str) == Some(name);
    ensure!(
        is_of_it,
        "the trigger in `{MANIFEST}` would be of another component"
    );
    if start == Start::Http {
        let route = trigger.get("route").and_then(Item::as_str);
        let is_it = route == Some(&values.route);
        ensure!(is_it, "another route would be in `{MANIFEST}`");
    }
    let tests = policy_tests(files).parse::<DocumentMut>();
    tests.with_context(|| format!("`{POLICY_TESTS}` would not be TOML"))?;
    Ok(())
}

/// The only item of the table of that name, which has that key.
fn only<'d>(document: &'d DocumentMut, table: &str, key: &str) -> anyhow::Result<&'d Item> {
    let items = document.get(table).and_then(Item::as_table_like);
    items
        .filter(|items| items.len() == 1)
        .and_then(|items| items.get(key))
        .with_context(|| format!("`{MANIFEST}` would not have one `{table}`, `{key}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::templates::ALL;

    fn checked(route: &str, change: impl Fn(&str) -> String) -> anyhow::Result<()> {
        let values = Values {
            name: "my-app".parse().unwrap(),
            route: route.to_owned(),
            entries: vec!["https://a.test".to_owned()],
        };
        let mut files = ALL[0].render(&values);
        for file in &mut files {
            file.text = change(&file.text);
        }
        check(&files, ALL[0].start, &values)
    }

    #[test]
    fn what_is_not_what_was_asked_for_is_found() {
        checked("/...", str::to_owned).unwrap();
        checked("/a\"\\{{}}'", str::to_owned).unwrap();
        let rows = [
            (
                "\"https://a.test\"]",
                "\"https://a.test\", \"*://*:*\"]",
                "list of hosts",
            ),
            ("\"/...\"", "\"/a\"", "route"),
            ("\"/...\"", "\"/...\" b", "mistake"),
            (
                "[component.",
                "[component.more]\nsource = \"a.wasm\"\n\n[component.",
                "component",
            ),
            (
                "[[trigger.http]]",
                "[[trigger.http]]\nroute = \"/a\"\ncomponent = \"my-app\"\n[[trigger.http]]",
                "one trigger",
            ),
        ];
        for (from, to, expected) in rows {
            let error = checked("/...", |text| text.replacen(from, to, 1)).unwrap_err();
            assert!(error.to_string().contains(expected), "{to}: {error}");
        }
    }
}
