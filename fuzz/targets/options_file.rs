//! `outport.toml`, a file with a key for each option.
//!
//! Reading never panics, and every key, value and problem is at a place inside the file.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outport_manifest::{Located, OptionsFile, SourceFile, WrittenValue};
use outport_policy::Location;

fuzz_target!(|text: &str| {
    let reading = OptionsFile::parse(&SourceFile::new("outport.toml", text));
    for problem in reading.problems() {
        if let Location::File { span, .. } = &problem.location {
            assert!(text.get(span.clone()).is_some(), "{span:?} is outside");
        }
        let _ = (problem.to_string(), problem.help());
    }
    for option in &reading.tentative().options {
        let span = &option.key.span;
        assert!(text.get(span.clone()).is_some(), "{span:?} is outside");
        assert_inside(text, &option.value);
    }
});

fn assert_inside(text: &str, value: &Located<WrittenValue>) {
    let span = &value.span;
    assert!(text.get(span.clone()).is_some(), "{span:?} is outside");
    if let WrittenValue::List(items) = &value.value {
        items.iter().for_each(|item| assert_inside(text, item));
    }
}
