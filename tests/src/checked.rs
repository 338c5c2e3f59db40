//! An app for `outport check`, and what it says about it.

use std::fs;

use serde_json::Value;

use crate::guest;
use crate::outport::Outport;
use crate::schema;

/// An app whose only component imports sockets and HTTP and has these lines in its table, from line 10 on.
pub fn app(lines: &str) -> String {
    format!(
        "spin_manifest_version = 2\napplication.name = \"shop\"\n\n[[trigger.http]]\nroute = \"/...\"\n\
         component = \"web\"\n\n[component.web]\nsource = \"web.wasm\"\n{lines}\n"
    )
}

/// The same with these entries.
pub fn entries(entries: &str) -> String {
    app(&format!("allowed_outbound_hosts = [{entries}]"))
}

/// `outport check` of a manifest, with the code that [`app`] names.
pub fn check(manifest: &str) -> Outport {
    with_code(Outport::command("check")).manifest(manifest)
}

/// With the code that [`app`] names.
///
/// # Panics
///
/// If the guest cannot be read.
pub fn with_code(outport: Outport) -> Outport {
    let code = fs::read(guest::path("http-script-guest")).expect("the guests are committed");
    outport.file("web.wasm", code)
}

/// What `--format json` says, which is as the schema describes it.
///
/// # Panics
///
/// If it is not, or if the exit code is another one.
#[track_caller]
pub fn json(outport: Outport, code: i32) -> Value {
    let finished = outport.option("--format=json").finish().expect_code(code);
    schema::valid("docs/schema/check.json", &finished.stdout)
}

/// The findings as `CODE LINE:COLUMN`, or `CODE OPTION`.
///
/// # Panics
///
/// If the report has none.
pub fn listed(report: &Value) -> Vec<String> {
    let findings = report["findings"].as_array().expect("a list of findings");
    findings
        .iter()
        .map(|finding| {
            let code = finding["code"].as_str().expect("every finding has a code");
            let location = &finding["place"];
            match location["option"].as_str().or(location["environment"].as_str()) {
                Some(option) => format!("{code} {option}"),
                None => format!("{code} {}:{}", location["line"], location["column"]),
            }
        })
        .collect()
}
