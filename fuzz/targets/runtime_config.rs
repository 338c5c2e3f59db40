//! The operator's runtime config file.
//!
//! Reading never panics, and every problem and note is at a place inside the file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outport_manifest::{RuntimeConfig, SourceFile};
use outport_policy::Location;

fuzz_target!(|text: &str| {
    let reading = RuntimeConfig::parse(&SourceFile::new("config.toml", text));
    let problems = reading.problems().iter().map(|problem| &problem.location);
    let notes = reading.notes().iter().map(|note| &note.location);
    for location in problems.chain(notes) {
        if let Location::File { span, .. } = location {
            assert!(text.get(span.clone()).is_some(), "{span:?} is outside");
        }
    }
    for problem in reading.problems() {
        let _ = (problem.to_string(), problem.help());
    }
});
