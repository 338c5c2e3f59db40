//! Bytes that somebody gives for a component: they are identified, described and renamed without a panic; what was mapped
//! once has nothing more to map; and a module is prepared for the encoder, which is another's.

#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use outport_components::{Description, Kind, identify, mapped, prepared, producers, rename};

fuzz_target!(|bytes: &[u8]| {
    let kind = identify(bytes);
    assert!(producers(bytes).len() <= outport_components::MOST_PRODUCERS);
    let _ = Description::of(bytes, bytes);
    let _ = rename(bytes, |name| Some(format!("{name}x")));
    if let Ok(component) = mapped(bytes) {
        let again = mapped(&component).expect("what was mapped is read");
        assert!(matches!(again, Cow::Borrowed(_)));
        if kind == Ok(Kind::Component) {
            assert_eq!(&*component, bytes);
        }
    }
    let _ = prepared(bytes);
});
