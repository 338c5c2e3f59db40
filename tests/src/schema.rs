//! JSON schemas, and documents that must be what they say.

use std::fs;
use std::path::Path;

use boon::{Compiler, Schemas};
use serde_json::Value;

use crate::guest::workspace;
use crate::outport::Finished;

/// The document, if it is what the schema `path` says; the path is from the root of the workspace.
///
/// # Panics
///
/// If the text is no JSON, or not what the schema says.
#[track_caller]
pub fn valid(path: &str, text: &str) -> Value {
    let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
    compiler.enable_format_assertions();
    let schema = workspace().join(path);
    add_neighbours(&mut compiler, &schema);
    let index = compiler
        .compile(&schema.to_string_lossy(), &mut schemas)
        .unwrap_or_else(|error| panic!("{path}: {error:#}"));
    let document: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    if let Err(error) = schemas.validate(&document, index) {
        panic!("{path}: {error:#}\n{text}");
    }
    document
}

/// Gives the compiler the schemas beside this one, which it may name by their `$id`: nothing is fetched.
fn add_neighbours(compiler: &mut Compiler, schema: &Path) {
    let folder = schema.parent().expect("a schema lies in a folder");
    let files = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let files = files.map(|file| file.expect("an entry of the folder").path());
    for file in
        files.filter(|file| file != schema && file.extension().is_some_and(|extension| extension == "json"))
    {
        let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let neighbour: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        if let Some(id) = neighbour["$id"].as_str() {
            let added = compiler.add_resource(id, neighbour.clone());
            added.unwrap_or_else(|error| panic!("{}: {error:#}", file.display()));
        }
    }
}

/// Holds every line of the run's audit log against the schema of the log.
///
/// # Panics
///
/// If one is not what the schema says.
#[track_caller]
pub fn assert_log_of(finished: &Finished) {
    let lines = finished.audit.iter().map(ToString::to_string);
    for line in lines.chain(finished.outcomes.iter().map(ToString::to_string)) {
        valid("docs/schema/audit-log.json", &line);
    }
}

#[cfg(test)]
mod tests {
    use super::valid;

    const SARIF: &str = "tests/schemas/sarif-2.1.0.json";

    #[test]
    fn what_the_schema_says_is_valid() {
        let log = r#"{ "version": "2.1.0", "runs": [] }"#;
        assert_eq!(valid(SARIF, log)["version"], "2.1.0");
    }

    #[test]
    #[should_panic(expected = "sarif-2.1.0.json")]
    fn what_the_schema_does_not_say_is_not() {
        valid(SARIF, r#"{ "version": "2.1.0", "runs": [{ "results": [] }] }"#);
    }
}
