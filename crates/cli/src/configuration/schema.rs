//! The JSON schema of `outport.toml`, for editors: `docs/schema/outport.schema.json`.

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
    match (key.takes_only_numbers(), key.value_name()) {
        (true, _) => json!({ "type": "integer", "minimum": 0 }),
        (false, "SIZE") => json!({
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string", "pattern": "^([0-9]+([KMGkmg]([Ii]?[Bb])?|[Bb])?|none)$" }
            ]
        }),
        (false, "TIME") => json!({ "type": "string", "pattern": "^([0-9]+(ms|s|m|h)|none)$" }),
        (false, "PORTS") => json!({ "type": ["integer", "string"] }),
        (false, _) => json!({ "type": "string" }),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

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
