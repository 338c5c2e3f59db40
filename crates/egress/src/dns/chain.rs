//! The way from a name to its addresses through the records of one answer.
//!
//! Start at the name asked for; a CNAME record of the current name moves on to its target; address records count
//! only when the name that owns them lies on that way. Everything else in the message is ignored, so a server
//! cannot slip in addresses for a name that nobody asked about. A loop, or a way longer than [`LONGEST`], is an
//! error, and so is a target that is not a name.

use std::time::Duration;

use hickory_resolver::proto::rr::{RData, Record};
use outport_policy::{Address, Name};

use super::answer::ResolveError;

/// The names and addresses of one answer, and the smallest TTL of the records that led there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chain {
    pub(super) names: Vec<Name>,
    pub(super) addresses: Vec<Address>,
    pub(super) ttl: Duration,
}

/// Follows `records` from `start`.
///
/// # Errors
///
/// [`ResolveError::Failed`] for a loop, a chain that is too long, or a target that is not a name.
pub(super) fn follow(start: &Name, records: &[Record]) -> Result<Chain, ResolveError> {
    let mut chain = Chain {
        names: Vec::new(),
        addresses: Vec::new(),
        ttl: Duration::MAX,
    };
    let mut current = start.clone();
    while let Some((target, ttl)) = alias(&current, records)? {
        if target == *start || chain.names.contains(&target) {
            return Err(failed(format!("the CNAME records of `{start}` form a loop")));
        }
        if chain.names.len() == LONGEST {
            return Err(failed(format!(
                "`{start}` has more than {LONGEST} CNAME records in a row"
            )));
        }
        chain.ttl = chain.ttl.min(ttl);
        chain.names.push(target.clone());
        current = target;
    }
    for record in records.iter().filter(|record| owns(&current, record)) {
        if let Some(address) = record.data.ip_addr() {
            chain.ttl = chain.ttl.min(ttl(record));
            chain.addresses.push(Address::new(address));
        }
    }
    Ok(chain)
}

fn alias(name: &Name, records: &[Record]) -> Result<Option<(Name, Duration)>, ResolveError> {
    for record in records.iter().filter(|record| owns(name, record)) {
        if let RData::CNAME(target) = &record.data {
            let text = target.0.to_ascii();
            let target = Name::parse(&text).map_err(|_| {
                failed(format!(
                    "a CNAME record leads to `{}`, which is not a name",
                    text.escape_default()
                ))
            })?;
            return Ok(Some((target, ttl(record))));
        }
    }
    Ok(None)
}

fn owns(name: &Name, record: &Record) -> bool {
    let owner = record.name.to_ascii();
    owner.trim_end_matches('.').eq_ignore_ascii_case(name.as_str())
}

fn ttl(record: &Record) -> Duration {
    Duration::from_secs(record.ttl.into())
}

fn failed(detail: String) -> ResolveError {
    ResolveError::Failed { detail }
}

/// As many CNAME records in a row as are followed.
const LONGEST: usize = 16;

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use hickory_resolver::proto::rr::Name as WireName;
    use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME};

    use super::*;

    fn cname(owner: &str, ttl: u32, target: &str) -> Record {
        Record::from_rdata(
            WireName::from_str(owner).unwrap(),
            ttl,
            RData::CNAME(CNAME(WireName::from_str(target).unwrap())),
        )
    }

    fn a(owner: &str, ttl: u32, address: &str) -> Record {
        Record::from_rdata(
            WireName::from_str(owner).unwrap(),
            ttl,
            RData::A(A(address.parse().unwrap())),
        )
    }

    fn aaaa(owner: &str, ttl: u32, address: &str) -> Record {
        Record::from_rdata(
            WireName::from_str(owner).unwrap(),
            ttl,
            RData::AAAA(AAAA(address.parse().unwrap())),
        )
    }

    fn names(texts: &[&str]) -> Vec<Name> {
        texts.iter().map(|text| Name::parse(text).unwrap()).collect()
    }

    fn addresses(texts: &[&str]) -> Vec<Address> {
        texts
            .iter()
            .map(|text| Address::new(text.parse().unwrap()))
            .collect()
    }

    // proves: DL-4
    #[test]
    fn the_chain_holds_every_name_on_the_way_and_the_smallest_ttl() {
        let records = [
            a("c.example.", 300, "10.0.0.1"),
            cname("A.Example.", 60, "b.example."),
            cname("b.example.", 30, "c.example."),
            aaaa("c.example.", 300, "fd00::1"),
        ];
        let chain = follow(&Name::parse("a.example").unwrap(), &records).unwrap();
        assert_eq!(chain.names, names(&["b.example", "c.example"]));
        assert_eq!(chain.addresses, addresses(&["10.0.0.1", "fd00::1"]));
        assert_eq!(chain.ttl, Duration::from_secs(30));
    }

    #[test]
    fn records_of_other_names_are_ignored() {
        let records = [
            a("other.example.", 1, "10.6.6.6"),
            a("a.example.", 60, "10.0.0.1"),
            cname("unrelated.example.", 1, "elsewhere.example."),
            a("elsewhere.example.", 1, "10.6.6.7"),
        ];
        let chain = follow(&Name::parse("a.example").unwrap(), &records).unwrap();
        assert_eq!(chain.names, []);
        assert_eq!(chain.addresses, addresses(&["10.0.0.1"]));
        assert_eq!(chain.ttl, Duration::from_secs(60));
    }

    #[test]
    fn a_loop_and_a_chain_without_end_are_failures() {
        let start = Name::parse("n0.example").unwrap();
        let round = [
            cname("n0.example.", 1, "n1.example."),
            cname("n1.example.", 1, "n0.example."),
        ];
        assert!(matches!(follow(&start, &round), Err(ResolveError::Failed { .. })));

        let line = |length: usize| -> Vec<Record> {
            (0..length)
                .map(|i| cname(&format!("n{i}.example."), 1, &format!("n{}.example.", i + 1)))
                .collect()
        };
        assert_eq!(follow(&start, &line(LONGEST)).unwrap().names.len(), LONGEST);
        assert!(matches!(
            follow(&start, &line(LONGEST + 1)),
            Err(ResolveError::Failed { .. })
        ));
    }
}
