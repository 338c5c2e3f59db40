//! What a guest looks up: a name or an address, in whatever spelling.
//!
//! Reading never panics. What is read is canonical: it is shown in a form that is read as the same host, in lower
//! case, in characters that a name server and a log can bear; and an address is never an IPv4-mapped one.

#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use outport_policy::{Address, Host, Name};

fuzz_target!(|text: &str| {
    match Host::parse(text) {
        Ok(Host::Name(name)) => {
            assert_eq!(Name::parse(name.as_str()), Ok(name.clone()), "{text:?}");
            let shown = name.as_str();
            assert!(shown.len() <= 253 && !shown.is_empty(), "{text:?}");
            assert!(
                shown.split('.').all(|label| (1..=63).contains(&label.len())),
                "{text:?}"
            );
            assert!(
                shown
                    .bytes()
                    .all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase()),
                "{text:?} became {shown:?}"
            );
            assert!(shown.parse::<IpAddr>().is_err(), "{text:?} is an address");
            assert!(!shown.contains(['*', '@', '/', ':', '%', '[', ']']), "{shown:?}");
        }
        Ok(Host::Address(address)) => {
            assert_eq!(Address::new(address.ip()), address);
            assert_eq!(address.ip(), address.ip().to_canonical());
        }
        Err(_) => {}
    }
});
