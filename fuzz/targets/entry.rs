//! Entries, lists of ports and blocked networks, as authors and operators write them.
//!
//! Reading never panics. What is read is shown as a text that is read as the same again; what is refused is
//! refused at a place inside the text, and the text that is proposed instead is one that is read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use outport_policy::{BlockedNetwork, Entry, Location, PortSet};

fuzz_target!(|text: &str| {
    match Entry::parse(text, Location::Code) {
        Ok(entry) => {
            let again = Entry::parse(&entry.to_string(), Location::Code).expect("what is shown can be read");
            assert_eq!(entry, again);
            for scheme in entry.schemes() {
                assert!(!entry.ports_for(scheme).contains(0), "port 0 is no port");
            }
        }
        Err(error) => {
            assert!(text.get(error.span()).is_some(), "{:?} is outside", error.span());
            if let Some(instead) = error.instead() {
                // Its port may be for the author to fill in.
                assert!(
                    Entry::parse(&instead.replace(":PORT", ":1"), Location::Code).is_ok(),
                    "`{instead}` is proposed and refused"
                );
            }
            let _ = error.to_string();
        }
    }
    if let Ok(ports) = PortSet::parse(text) {
        assert!(!ports.contains(0));
    }
    let _ = BlockedNetwork::parse(text, Location::Code);
});
