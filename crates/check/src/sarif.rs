//! Findings as SARIF 2.1.0, for the pages where code is reviewed.
//!
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>

use outport_manifest::Severity;
use outport_policy::Location;
use serde_json::{Value, json};

use crate::code::Code;
use crate::diagnostic::{Diagnostic, FindingCode};

/// The log of one run, as one JSON document with its line end.
pub fn report_sarif(findings: &[Diagnostic], version: &str) -> String {
    let mut codes: Vec<FindingCode> = findings.iter().map(|finding| finding.code()).collect();
    codes.sort_unstable();
    codes.dedup();
    let results: Vec<Value> = findings
        .iter()
        .map(|finding| result(finding, codes.binary_search(&finding.code()).unwrap_or_default()))
        .collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "outport",
                "semanticVersion": version,
                "rules": codes.iter().map(rule).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{log:#}\n")
}

fn rule(code: &FindingCode) -> Value {
    let severity = match code {
        FindingCode::Check(code) => code.severity(),
        FindingCode::File(_) => Severity::Error,
    };
    let mut rule = json!({
        "id": code.to_string(),
        "defaultConfiguration": { "level": severity.as_str() },
    });
    if let FindingCode::Check(code) = code {
        rule["shortDescription"] = json!({ "text": described(*code) });
    }
    rule
}

fn described(code: Code) -> &'static str {
    code.meaning()
}

fn result(finding: &Diagnostic, rule: usize) -> Value {
    let message = match &finding.help {
        Some(help) => format!("{}\nhelp: {help}", finding.message),
        None => finding.message.clone(),
    };
    let related: Vec<Value> = finding
        .related
        .iter()
        .enumerate()
        .map(|(id, (location, what))| {
            let mut location = location_of(location);
            location["id"] = json!(id);
            location["message"] = json!({ "text": what });
            location
        })
        .collect();
    let mut result = json!({
        "ruleId": finding.code().to_string(),
        "ruleIndex": rule,
        "level": finding.severity.as_str(),
        "message": { "text": message },
        "locations": [location_of(finding.location())],
    });
    if !related.is_empty() {
        result["relatedLocations"] = json!(related);
    }
    result
}

/// The location in the words of SARIF; one that is in no file has a logical location only.
fn location_of(location: &Location) -> Value {
    match location {
        Location::File {
            path,
            line,
            column,
            span,
        } => json!({
            "physicalLocation": {
                "artifactLocation": { "uri": uri(path) },
                "region": {
                    "startLine": line,
                    "startColumn": column,
                    "byteOffset": span.start,
                    "byteLength": span.len(),
                },
            },
        }),
        other => json!({ "logicalLocations": [{ "name": other.to_string() }] }),
    }
}

/// A relative reference (RFC 3986) for a path.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte))
            }
            b'\\' => uri.push('/'),
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}
