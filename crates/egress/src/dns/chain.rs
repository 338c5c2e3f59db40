//! The way from a name to its addresses, through the CNAME records of one answer or several.
//!
//! ```text
//! Chain::of(name) ── follow(answer) ─┬─▶ Addresses: the way is at its end
//!        ▲                           ├─▶ Alias: the answer led on to another name, which is asked for next
//!        └───── the next answer ─────┘    Nothing: the answer has nothing for the name where the way stands
//! ```
//!
//! Start at the name asked for; a CNAME record of the current name moves on to its target; address records count
//! only when the name that owns them is the one where the way stands. Everything else in an answer is ignored, so a
//! server cannot slip in addresses for a name that nobody asked about. A loop, or a way longer than [`LONGEST`] in
//! all answers together, is an error, and so is a target that is not a name.

use std::time::Duration;

use hickory_resolver::proto::rr::{Name as WireName, RData, Record};
use outport_policy::{Address, Name};

use super::answer::ResolveError;

/// The names and addresses that a name led to, and the smallest TTL of the records on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    start: Name,
    pub(super) names: Vec<Name>,
    pub(super) addresses: Vec<Address>,
    pub(super) ttl: Duration,
}

/// The effect of an answer on a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The answer has the addresses.
    Addresses,
    /// The answer led to another name, without an address of that one.
    Alias,
    /// The answer says nothing of the name where the chain stands.
    Nothing,
}

impl Chain {
    /// The way from `start`, before its first step.
    pub(super) fn of(start: &Name) -> Self {
        Self {
            start: start.clone(),
            names: Vec::new(),
            addresses: Vec::new(),
            ttl: Duration::MAX,
        }
    }

    /// The name where the way stands, whose addresses are wanted.
    pub(super) fn end(&self) -> &Name {
        self.names.last().unwrap_or(&self.start)
    }

    /// Goes on through `records`, as far as they lead.
    ///
    /// # Errors
    ///
    /// [`ResolveError::Failed`] for a loop, a chain that is too long, or a target that is not a name.
    pub(super) fn follow(&mut self, records: &[Record]) -> Result<Step, ResolveError> {
        let before = self.names.len();
        // Looked for anew at each step, since records stand in any order.
        while let Some((target, ttl)) = alias(self.end(), records)? {
            self.step_to(target)?;
            self.ttl = self.ttl.min(ttl);
        }
        let end = self.end().clone();
        for record in records.iter().filter(|record| owns(&end, record)) {
            if let Some(address) = record.data.ip_addr() {
                self.ttl = self.ttl.min(ttl(record));
                self.addresses.push(Address::new(address));
            }
        }
        Ok(match (self.addresses.is_empty(), self.names.len() > before) {
            (false, _) => Step::Addresses,
            (true, true) => Step::Alias,
            (true, false) => Step::Nothing,
        })
    }

    fn step_to(&mut self, target: Name) -> Result<(), ResolveError> {
        let start = &self.start;
        if target == *start || self.names.contains(&target) {
            return Err(failed(format!("the CNAME records of `{start}` form a loop")));
        }
        if self.names.len() == LONGEST {
            let detail = format!("`{start}` has more than {LONGEST} CNAME records in a row");
            return Err(failed(detail));
        }
        self.names.push(target);
        Ok(())
    }
}

fn alias(name: &Name, records: &[Record]) -> Result<Option<(Name, Duration)>, ResolveError> {
    for record in records.iter().filter(|record| owns(name, record)) {
        if let RData::CNAME(target) = &record.data {
            let name = written(&target.0).and_then(|text| Name::parse(&text).ok());
            let target = name.ok_or_else(|| {
                failed(format!(
                    "a CNAME record leads to `{}`, which is not a name",
                    target.0.to_ascii().escape_default()
                ))
            })?;
            return Ok(Some((target, ttl(record))));
        }
    }
    Ok(None)
}

fn owns(name: &Name, record: &Record) -> bool {
    // RFC 4343: names are the same in upper and lower case, and servers answer in either.
    written(&record.name).is_some_and(|owner| owner.eq_ignore_ascii_case(name.as_str()))
}

/// The text of a name from a message, label by label. The library would escape what it takes for unusual, such as a
/// hyphen at the start of a label. None if a label holds what would read as something else: a dot, or what is not
/// ASCII.
pub(super) fn written(name: &WireName) -> Option<String> {
    let labels = name.iter().map(|label| {
        let label = std::str::from_utf8(label).ok()?;
        (label.is_ascii() && !label.contains('.')).then_some(label)
    });
    Some(labels.collect::<Option<Vec<_>>>()?.join("."))
}

/// RFC 2181, section 8: a TTL with the highest bit set is taken for zero.
fn ttl(record: &Record) -> Duration {
    match i32::try_from(record.ttl) {
        Ok(seconds) => Duration::from_secs(seconds.unsigned_abs().into()),
        Err(_) => Duration::ZERO,
    }
}

fn failed(detail: String) -> ResolveError {
    ResolveError::Failed { detail }
}

/// As many CNAME records in a row as are followed.
const LONGEST: usize = 16;

#[cfg(test)]
mod tests {
    use std::str::FromStr;

    use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME};

    use super::*;

    fn follow(start: &Name, records: &[Record]) -> Result<Chain, ResolveError> {
        let mut chain = Chain::of(start);
        chain.follow(records).map(|_| chain)
    }

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

    // proves: DL-4
    #[test]
    fn a_chain_goes_on_where_the_last_answer_ended() {
        let mut chain = Chain::of(&Name::parse("a.example").unwrap());
        let rows = [
            (
                vec![cname("a.example.", 60, "b.example.")],
                Step::Alias,
                "b.example",
            ),
            (
                vec![
                    a("a.example.", 60, "10.6.6.6"),
                    cname("c.example.", 60, "stranger.example."),
                ],
                Step::Nothing,
                "b.example",
            ),
            (
                vec![
                    cname("b.example.", 20, "c.example."),
                    a("c.example.", 40, "10.0.0.1"),
                ],
                Step::Addresses,
                "c.example",
            ),
        ];
        for (records, followed, end) in rows {
            assert_eq!(chain.follow(&records), Ok(followed), "{records:?}");
            assert_eq!(chain.end().as_str(), end, "{records:?}");
        }
        assert_eq!(chain.names, names(&["b.example", "c.example"]));
        assert_eq!(chain.addresses, addresses(&["10.0.0.1"]));
        assert_eq!(chain.ttl, Duration::from_secs(20));
        let back = [cname("c.example.", 1, "a.example.")];
        assert!(chain.follow(&back).is_err(), "a loop over several answers");
    }

    #[test]
    fn a_ttl_with_the_highest_bit_set_is_zero() {
        let rows = [
            (0, 0),
            (1, 1),
            (0x7fff_ffff, 0x7fff_ffff),
            (0x8000_0000, 0),
            (u32::MAX, 0),
        ];
        for (sent, kept) in rows {
            let records = [a("a.example.", sent, "10.0.0.1")];
            let chain = follow(&Name::parse("a.example").unwrap(), &records).unwrap();
            assert_eq!(chain.ttl, Duration::from_secs(kept), "{sent}");
        }
    }
}
