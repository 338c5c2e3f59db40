//! The operator's runtime config file.
//!
//! Reading never panics, and every problem and note is at a place inside the file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outport_manifest::{RuntimeConfig, SourceFile};
use outport_policy::Place;

fuzz_target!(|text: &str| {
    let reading = RuntimeConfig::parse(&SourceFile::new("config.toml", text));
    let problems = reading.problems().iter().map(|problem| &problem.place);
    let notes = reading.notes().iter().map(|note| &note.place);
    for place in problems.chain(notes) {
        if let Place::File { span, .. } = place {
            assert!(text.get(span.clone()).is_some(), "{span:?} is outside");
        }
    }
    for problem in reading.problems() {
        let _ = (problem.to_string(), problem.help());
    }
});
