//! The answers of a name server, from the bytes on the wire to the addresses that are judged.
//!
//! Whatever a server says: following its records through one answer or several ends, gives no address but those of
//! the name where the way ends, and no chain that is longer than is followed or that comes back to itself.

#![no_main]

// The sources of another crate, of which a part is used: that crate as a whole brings all of wasmtime.
#[allow(dead_code, unreachable_pub, reason = "see above")]
#[path = "../../crates/egress/src/dns/answer.rs"]
mod answer;
#[allow(dead_code, unreachable_pub, reason = "see above")]
#[path = "../../crates/egress/src/dns/chain.rs"]
mod chain;

use std::collections::BTreeSet;

use chain::{Chain, Step};
use hickory_resolver::proto::op::Message;
use libfuzzer_sys::fuzz_target;
use outport_policy::{Address, Name};

fuzz_target!(|bytes: &[u8]| {
    let messages = messages(bytes);
    let records = || messages.iter().flat_map(|message| &message.answers);
    let owners = records().map(|record| record.name.to_ascii());
    let mut starts: Vec<Name> = owners.filter_map(|owner| Name::parse(&owner).ok()).collect();
    starts.push(Name::parse("a.test").expect("a name"));
    for start in starts.iter().take(8) {
        let mut way = Chain::of(start);
        for message in &messages {
            match way.follow(&message.answers) {
                Ok(Step::Alias) => {}
                Ok(Step::Addresses | Step::Nothing) | Err(_) => break,
            }
        }
        assert!(way.names.len() <= 16, "{} names", way.names.len());
        let different: BTreeSet<&Name> = way.names.iter().chain([start]).collect();
        assert_eq!(different.len(), way.names.len() + 1, "a loop was followed");
        for address in &way.addresses {
            let owned = records().any(|record| {
                let owner = record.name.to_ascii();
                owner
                    .trim_end_matches('.')
                    .eq_ignore_ascii_case(way.end().as_str())
                    && record.data.ip_addr().map(Address::new) == Some(*address)
            });
            assert!(owned, "{address} belongs to another name");
        }
    }
});

/// One answer after the other, each with two bytes of length before it, as over TCP.
fn messages(mut bytes: &[u8]) -> Vec<Message> {
    let mut messages = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (message, rest) = rest.split_at(length);
        messages.extend(Message::from_vec(message).ok());
        bytes = rest;
    }
    messages
}
