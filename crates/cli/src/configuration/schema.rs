//! The JSON schema of `outport.toml`, for editors: `docs/schema/outport.schema.json`.

use std::ffi::OsStr;

use clap::CommandFactory;
use serde_json::{Map, Value, json};

use super::keys::{Key, Keys, Shape};
use crate::CommandLine;

/// The schema, as a text that ends with a line end.
pub(crate) fn schema() -> String {
    let keys = Keys::of(&CommandLine::command());
    let mut names: Vec<&Key> = keys.iter().collect();
    names.sort_by_key(|key| key.name());
    let properties: Map<String, Value> = names
        .into_iter()
        .map(|key| (key.name().to_owned(), property(key)))
        .collect();
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "outport.toml: the operator's options of Outport",
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    });
    format!("{schema:#}\n")
}

fn property(key: &Key) -> Value {
    let (help, default) = key.help();
    let description = match default {
        Some(default) if key.default_value().is_none() => format!("{help}. By default: {default}"),
        _ => help,
    };
    let mut property = match key.shape() {
        Shape::Flag => json!({ "type": "boolean", "default": false }),
        Shape::Value => value(key),
        Shape::List => json!({ "type": "array", "items": value(key) }),
    };
    property["description"] = description.into();
    if let Some(default) = key.default_value() {
        property["default"] = match default.parse::<u64>() {
            Ok(number) if key.takes_only_numbers() => number.into(),
            _ => default.into(),
        };
    }
    property
}

fn value(key: &Key) -> Value {
    let values = key.possible_values();
    if !values.is_empty() {
        return json!({ "enum": values });
    }
    let takes = |text: &str| key.check(OsStr::new(text)).is_ok();
    let or_none = if takes("none") { "|none" } else { "" };
    match (key.takes_only_numbers(), key.value_name()) {
        (true, _) => whole_number(&takes),
        (false, "SIZE") => json!({
            "anyOf": [
                whole_number(&takes),
                {
                    "type": "string",
                    "pattern": format!("^([0-9]+([KMGkmg]([Ii]?[Bb])?|[Bb])?{or_none})$")
                }
            ]
        }),
        (false, "TIME") => {
            let number = if takes("0s") { "[0-9]+" } else { "0*[1-9][0-9]*" };
            json!({ "type": "string", "pattern": format!("^({number}(ms|s|m|h){or_none})$") })
        }
        (false, "PORTS") => json!({
            "type": ["integer", "string"],
            "minimum": 1,
            "maximum": u16::MAX,
            "minLength": 1
        }),
        (false, _) if takes("") => json!({ "type": "string" }),
        (false, _) => json!({ "type": "string", "minLength": 1 }),
    }
}

/// The bounds of a number are where the option begins to take it, and where it ends to. An end that no number of 32 bits
/// reaches is none.
fn whole_number(takes: &dyn Fn(&str) -> bool) -> Value {
    let takes = |number: u32| takes(&number.to_string());
    // Bytes and counts that are taken are powers of two at least, and all others from there on.
    let probes = std::iter::once(0).chain((0..u32::BITS).map(|bit| 1 << bit));
    let Some(known) = probes.into_iter().find(|number| takes(*number)) else {
        return json!({ "type": "integer", "minimum": 0 });
    };
    let least = boundary(known / 2, known, &takes);
    if takes(u32::MAX) {
        return json!({ "type": "integer", "minimum": least });
    }
    let refused = boundary(known, u32::MAX, &|number| !takes(number));
    json!({ "type": "integer", "minimum": least, "maximum": refused - 1 })
}

/// The first number from `from` to `to` that `holds`, which does so for all behind it.
fn boundary(from: u32, to: u32, holds: &dyn Fn(u32) -> bool) -> u32 {
    let (mut from, mut to) = (from, to);
    while from < to {
        let middle = from + (to - from) / 2;
        if holds(middle) {
            to = middle;
        } else {
            from = middle + 1;
        }
    }
    to
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_bounds_of_numbers_are_those_of_the_options() {
        let keys = Keys::of(&CommandLine::command());
        let of = |name: &str| value(keys.get(name).unwrap());
        assert_eq!(
            of("max-requests"),
            json!({ "type": "integer", "minimum": 1, "maximum": 10000 })
        );
        assert_eq!(of("max-sockets"), json!({ "type": "integer", "minimum": 0 }));
        assert_eq!(of("max-memory")["anyOf"][0]["minimum"], 65536);
        assert_eq!(boundary(0, 100, &|number| number >= 37), 37);
    }

    #[test]
    fn the_schema_is_documented() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema/outport.schema.json");
        if std::env::var_os("UPDATE_DOCS").is_some() {
            fs::write(&path, schema()).unwrap();
        }
        let documented = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            documented == schema(),
            "docs/schema/outport.schema.json is not up to date: run this test with UPDATE_DOCS=1"
        );
    }
}
