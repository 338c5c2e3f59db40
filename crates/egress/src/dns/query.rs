//! A name, by way of questions to the [DNS servers](super::servers), as its addresses.
//!
//! A name is asked for its A and AAAA records at the same time: over UDP, over TCP when the answer is truncated,
//! for the absolute name in lower case (the case of a query is a channel out of the sandbox, so it is not
//! randomised either). One family that answers is enough; the other may fail or stay silent.
//!
//! ```text
//! name ──▶ special? ── localhost: this machine; `.invalid`, `.onion`: no such name; nobody is asked
//!   ▲         │ no
//!   │         ▼
//!   │      one question ──▶ answer to exactly this question ──▶ Chain::follow
//!   └──────────── led on to another name, without its address ──────┘   addresses, or why there are none
//! ```
//!
//! The chain is walked here and not by the library underneath, since that loses its way where a later answer holds
//! a chain of its own, and hides from the judge what it met on the way.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hickory_resolver::proto::op::{DnsResponse, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name as WireName, RecordType};
use outport_policy::{Address, AnswerSource, Name};

use super::answer::{Answer, Extent, ResolveError};
use super::chain::{Chain, Step};
use super::servers::{Front, Servers};

impl Servers {
    /// The addresses of the absolute name `name`, after at most [`FAMILY_TIME`].
    pub(super) async fn resolve(&self, name: &Name) -> Result<Answer, ResolveError> {
        // One for both families: the server that answers for one is asked first for the other.
        let front = Front::new();
        let (v4, v6) = tokio::join!(
            self.ask_family(name, RecordType::A, &front),
            self.ask_family(name, RecordType::AAAA, &front)
        );
        merge(v4, v6)
    }

    async fn ask_family(
        &self,
        name: &Name,
        family: RecordType,
        front: &Front,
    ) -> Result<Chain, ResolveError> {
        let walked = tokio::time::timeout(FAMILY_TIME, self.walk(name, family, front)).await;
        walked.map_err(|_| ResolveError::TimedOut)?
    }

    /// Asks for `name`, and for each name that an answer leads to without an address.
    async fn walk(&self, name: &Name, family: RecordType, front: &Front) -> Result<Chain, ResolveError> {
        let mut chain = Chain::of(name);
        loop {
            if let Some(special) = special_use(chain.end(), family) {
                chain.addresses.push(special?);
                chain.ttl = Duration::ZERO;
                return Ok(chain);
            }
            let question = Query::query(wire_name(chain.end())?, family);
            // A server whose aliases lead nowhere has not answered, as if it had said SERVFAIL to them.
            let further = |response: &DnsResponse| {
                let mut further = chain.clone();
                let followed = further.follow(&response.answers)?;
                Ok((further, followed))
            };
            let (response, (further, followed)) = self.ask(&question, front, further).await?;
            chain = further;
            match followed {
                Step::Addresses => return Ok(chain),
                // RFC 6604, section 3: the code speaks of the last name of the chain.
                _ if response.response_code == ResponseCode::NXDomain => {
                    return Err(ResolveError::NoSuchName);
                }
                Step::Nothing => return Err(ResolveError::NoAddress),
                Step::Alias => {}
            }
        }
    }
}

/// The absolute name as it is asked for. Not by its text: the library's way to write names knows no label that begins
/// with a hyphen.
fn wire_name(name: &Name) -> Result<WireName, ResolveError> {
    let labels = name.as_str().split('.').map(str::as_bytes);
    WireName::from_labels(labels).map_err(|error| ResolveError::Failed {
        detail: error.to_string(),
    })
}

/// The answer for a name that no server may be asked for, wherever a chain meets it: RFC 6761, sections 6.3 and
/// 6.4, and RFC 7686, section 2.
fn special_use(name: &Name, family: RecordType) -> Option<Result<Address, ResolveError>> {
    if name.is_localhost() {
        let address = match family {
            RecordType::AAAA => IpAddr::from(Ipv6Addr::LOCALHOST),
            _ => IpAddr::from(Ipv4Addr::LOCALHOST),
        };
        return Some(Ok(Address::new(address)));
    }
    let apex = name.as_str().rsplit('.').next();
    matches!(apex, Some("invalid" | "onion")).then_some(Err(ResolveError::NoSuchName))
}

fn merge(v4: Result<Chain, ResolveError>, v6: Result<Chain, ResolveError>) -> Result<Answer, ResolveError> {
    let (mut chain, other, extent) = match (v4, v6) {
        (Ok(v4), Ok(v6)) => (v4, Some(v6), Extent::Whole),
        (Ok(only), Err(error)) | (Err(error), Ok(only)) => (only, None, extent_without(&error)),
        (Err(v4), Err(v6)) => return Err(worse(v4, v6)),
    };
    if let Some(other) = other {
        let names = other
            .names
            .into_iter()
            .filter(|name| !chain.names.contains(name))
            .collect::<Vec<_>>();
        chain.names.extend(names);
        chain.addresses.extend(other.addresses);
        chain.ttl = chain.ttl.min(other.ttl);
    }
    let mut addresses = Vec::with_capacity(chain.addresses.len());
    for address in chain.addresses {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(Answer {
        chain: chain.names,
        addresses,
        source: AnswerSource::Server,
        ttl: chain.ttl,
        extent,
    })
}

/// The extent of an answer for one family if the other one has none because of `error`.
fn extent_without(error: &ResolveError) -> Extent {
    match error {
        ResolveError::NoSuchName | ResolveError::NoAddress => Extent::Whole,
        ResolveError::TimedOut | ResolveError::Failed { .. } | ResolveError::Refused { .. } => {
            Extent::OneFamily
        }
    }
}

/// The error that two families without an address make together. That a name has none needs the word of both: a family
/// that failed says nothing (DNS-5), and some servers say of a name with IPv4 addresses alone that it does not exist
/// when they are asked for the others (RFC 4074, section 4.2). Where both are known, RFC 8020 holds: a name that does
/// not exist does so for every family.
fn worse(v4: ResolveError, v6: ResolveError) -> ResolveError {
    match (v4, v6) {
        (ResolveError::NoAddress, other) | (other, ResolveError::NoAddress) => other,
        (ResolveError::NoSuchName, other) | (other, _) => other,
    }
}

/// The time that one family of addresses may take with all tries; a little less than the time of a whole look-up, so
/// that a silent family does not spoil the answer of the other.
const FAMILY_TIME: Duration = Duration::from_millis(4500);

#[cfg(test)]
mod tests {
    use outport_policy::Address;

    use super::*;

    fn chain(names: &[&str], addresses: &[&str], ttl: u64) -> Chain {
        let mut chain = Chain::of(&Name::parse("a.example").unwrap());
        chain.names = names.iter().map(|name| Name::parse(name).unwrap()).collect();
        chain.addresses = addresses
            .iter()
            .map(|address| Address::new(address.parse().unwrap()))
            .collect();
        chain.ttl = Duration::from_secs(ttl);
        chain
    }

    #[test]
    fn the_answers_of_both_families_become_one() {
        let answer = merge(
            Ok(chain(&["b.example", "c.example"], &["10.0.0.1", "10.0.0.1"], 60)),
            Ok(chain(
                &["b.example", "d.example"],
                &["fd00::1", "::ffff:10.0.0.1"],
                30,
            )),
        )
        .unwrap();
        let expected = chain(
            &["b.example", "c.example", "d.example"],
            &["10.0.0.1", "fd00::1"],
            30,
        );
        assert_eq!(answer.chain, expected.names);
        assert_eq!(answer.addresses, expected.addresses);
        assert_eq!(answer.ttl, expected.ttl);
    }

    #[test]
    fn an_answer_is_whole_if_nobody_failed() {
        let rows = [
            (ResolveError::NoAddress, Extent::Whole),
            (ResolveError::NoSuchName, Extent::Whole),
            (ResolveError::TimedOut, Extent::OneFamily),
            (
                ResolveError::Failed {
                    detail: "servfail".into(),
                },
                Extent::OneFamily,
            ),
            (
                ResolveError::Refused {
                    detail: "refused".into(),
                },
                Extent::OneFamily,
            ),
        ];
        for (other, extent) in rows {
            let known = || Ok(chain(&[], &["10.0.0.1"], 60));
            let failed = || Err(other.clone());
            let found =
                [(known(), failed()), (failed(), known())].map(|(v4, v6)| merge(v4, v6).unwrap().extent);
            assert_eq!(found, [extent; 2], "{other:?}");
        }
        let both = merge(
            Ok(chain(&[], &["10.0.0.1"], 60)),
            Ok(chain(&[], &["fd00::1"], 60)),
        );
        assert_eq!(both.unwrap().extent, Extent::Whole);
    }

    // proves: DNS-10
    #[test]
    fn names_of_special_use_are_nothing_to_ask_a_server_for() {
        let rows = [
            ("localhost", Some("127.0.0.1 ::1")),
            ("db.localhost", Some("127.0.0.1 ::1")),
            ("db.invalid", Some("none")),
            ("invalid", Some("none")),
            ("db.onion", Some("none")),
            ("db.example", None),
            ("localhost.example", None),
            ("notinvalid", None),
        ];
        for (text, expected) in rows {
            let name = Name::parse(text).unwrap();
            let families = [RecordType::A, RecordType::AAAA].map(|family| special_use(&name, family));
            let found = match families {
                [Some(Ok(v4)), Some(Ok(v6))] => Some(format!("{v4} {v6}")),
                [
                    Some(Err(ResolveError::NoSuchName)),
                    Some(Err(ResolveError::NoSuchName)),
                ] => Some("none".into()),
                [None, None] => None,
                other => panic!("{text}: {other:?}"),
            };
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }

    // proves: DNS-5
    #[test]
    fn a_name_has_no_address_if_neither_family_has_one_and_none_failed() {
        let failed = || ResolveError::Failed {
            detail: "servfail".into(),
        };
        let rows = [
            (
                ResolveError::NoSuchName,
                ResolveError::NoSuchName,
                ResolveError::NoSuchName,
            ),
            (
                ResolveError::NoSuchName,
                ResolveError::NoAddress,
                ResolveError::NoSuchName,
            ),
            (
                ResolveError::NoAddress,
                ResolveError::NoSuchName,
                ResolveError::NoSuchName,
            ),
            (ResolveError::NoSuchName, failed(), failed()),
            (failed(), ResolveError::NoSuchName, failed()),
            (
                ResolveError::TimedOut,
                ResolveError::NoSuchName,
                ResolveError::TimedOut,
            ),
            (
                ResolveError::NoAddress,
                ResolveError::NoAddress,
                ResolveError::NoAddress,
            ),
            (ResolveError::NoAddress, failed(), failed()),
            (failed(), ResolveError::NoAddress, failed()),
            (
                ResolveError::TimedOut,
                ResolveError::NoAddress,
                ResolveError::TimedOut,
            ),
        ];
        for (v4, v6, expected) in rows {
            assert_eq!(
                merge(Err(v4.clone()), Err(v6.clone())),
                Err(expected),
                "{v4:?} and {v6:?}"
            );
        }
    }
}
