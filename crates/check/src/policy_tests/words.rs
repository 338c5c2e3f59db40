//! The messages of the reader of a file of tests, in the words of who writes one: keys, tables and arrays in place of
//! fields, maps and sequences. What it says of the text itself is left as it is.

use outport_manifest::nearest;

/// The message, and what to write instead, if that can be said. `written` is what stands at its place.
pub(super) fn in_words_of_authors(said: &str, written: &str) -> (String, Option<String>) {
    if let Some(key) = said.strip_prefix("missing field ") {
        return (format!("the key {key} is missing"), None);
    }
    if let Some((key, known)) = parted(said, "unknown field `", "`, expected ") {
        return (format!("there is no key `{key}` here"), Some(meant(key, known)));
    }
    if let Some((found, expected)) = parted(said, "invalid type: ", ", expected ") {
        let help = (expected == "a sequence" && found == "map" && written.trim_start().starts_with("[test]"))
            .then(|| "write `[[test]]` instead of `[test]`".to_owned());
        let message = format!("{} belongs here, not {}", name(expected), name(found));
        return (message, help);
    }
    match said {
        "duplicate key" => ("the key is given twice".to_owned(), None),
        _ => (said.to_owned(), None),
    }
}

/// The text before and behind `between`.
fn parted<'s>(said: &'s str, begin: &str, between: &str) -> Option<(&'s str, &'s str)> {
    said.strip_prefix(begin)?.split_once(between)
}

/// `known` is a list: `` one of `a`, `b` ``.
fn meant(key: &str, known: &str) -> String {
    let known = known.strip_prefix("one of ").unwrap_or(known);
    let names = known.split(", ").map(|name| name.trim_matches('`'));
    match nearest(key, names) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("the keys here are {known}"),
    }
}

fn name(of_the_reader: &str) -> &'static str {
    let word = of_the_reader.split(['`', '"']).next().unwrap_or_default().trim();
    match word {
        "string" | "a string" => "a string",
        "integer" => "a whole number",
        "floating point" => "a number",
        "boolean" => "`true` or `false`",
        "sequence" | "a sequence" => "an array",
        _ => "a table",
    }
}
