//! `spin.toml`, and the values of its variables.
//!
//! Reading never panics, every problem and note is at a place inside the file, and a file that was read without
//! problems gives entries which the same parser reads again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outport_manifest::{GivenVariables, Manifest, SourceFile, VariableFileFormat, Variables};
use outport_policy::{Entry, Location};

fuzz_target!(|text: &str| {
    // Behind a zero byte a variables file may follow, or `.env` behind a `#`.
    let (text, values) = text.split_once('\0').unwrap_or((text, ""));
    let file = SourceFile::new("spin.toml", text);
    let reading = Manifest::parse(&file);
    let problems = reading.problems().iter().map(|problem| &problem.location);
    let notes = reading.notes().iter().map(|note| &note.location);
    problems.chain(notes).for_each(|location| inside(location, text));
    for problem in reading.problems() {
        let _ = (problem.to_string(), problem.help());
    }
    let Ok((manifest, _)) = reading.complete() else {
        return;
    };
    let mut given = GivenVariables::default();
    match (values.strip_prefix('#'), values.starts_with('{')) {
        (Some(lines), _) => given.dotenv(&SourceFile::new(".env", lines)),
        (None, true) => given.file(&SourceFile::new("values", values), VariableFileFormat::Json),
        (None, false) => given.file(&SourceFile::new("values", values), VariableFileFormat::Toml),
    }
    let variables = Variables::resolve(&manifest.variables, &given, &file);
    for component in &manifest.components {
        let Ok((entries, _)) = component.outbound_entries(variables.tentative()).complete() else {
            continue;
        };
        for entry in entries {
            // An entry with a secret in it is shown as its template.
            let shown = entry.to_string();
            assert!(
                shown.contains("{{") || Entry::parse(&shown, Location::Code).is_ok(),
                "{shown}"
            );
        }
    }
});

fn inside(location: &Location, text: &str) {
    if let Location::File {
        path,
        span,
        line,
        column,
    } = location
    {
        assert!(*line > 0 && *column > 0);
        assert!(
            &**path != "spin.toml" || text.get(span.clone()).is_some(),
            "{span:?} is outside"
        );
    }
}
