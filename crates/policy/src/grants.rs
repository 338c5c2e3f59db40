//! The destinations that an instance may reach because of names that it looked up (DNS-3 to DNS-7).
//!
//! A grant says "this name answered with this address". Which ports and protocols that opens is not written down
//! here: the decision asks the author's entries and the operator's deny list for the *name* at the moment of the
//! attempt, so a deny list that changes meanwhile counts at once.
//!
//! ```text
//! begin(name) ── ticket ──► settle(ticket, outcome)     replaces what the name granted
//!                      └──► dropped                     changes nothing
//! ```
//!
//! Tickets are numbered. An outcome takes effect only if no look-up of the same name that was begun later has
//! settled before it: of two in flight the later one wins, whichever answers first. A name remembers the number of
//! its newest ticket; when it makes room for another one, it tells the older tickets that are still out.
//!
//! Bounds: so many names, the least recently looked-up of which makes room; and a memory of addresses that were
//! granted once, for the message that tells a guest's author so. Grants know no TTL: an address may be reached
//! until its name is looked up again.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use crate::{Address, Name};

/// The grants of one instance.
#[derive(Clone, Debug)]
pub struct Grants {
    names: HashMap<Name, Arc<Granted>>,
    /// The names that granted an address. INVARIANT: the inverse of `names`, without empty lists. This is what a
    /// decision asks, and it is ordered rather than hashed: most instances have a few addresses, and a server that
    /// chooses its answers cannot make an ordered map slow.
    addresses: BTreeMap<Address, Vec<Arc<Granted>>>,
    ended: Ended,
    /// The look-ups in flight, as many as the decision lets begin, and those that have ended since the last one began.
    in_flight: Vec<Weak<InFlight>>,
    most_names: usize,
    next_ticket: u64,
    evicted: Option<Name>,
}

#[derive(Clone, Debug)]
struct Granted {
    name: Name,
    addresses: Vec<Address>,
    chain: Vec<Name>,
    ticket: u64,
    looked_up: Instant,
}

/// The right to settle one look-up. Dropping it abandons the look-up, which then grants nothing.
#[derive(Debug)]
#[must_use = "a look-up that is not settled grants nothing"]
pub struct Ticket(Arc<InFlight>);

#[derive(Debug)]
struct InFlight {
    name: Name,
    number: u64,
    /// A later look-up of the name has settled, and nothing else remembers it any more.
    // Atomic since the ticket is elsewhere; both are used under whatever guards the table.
    superseded: AtomicBool,
}

/// The way in which a look-up ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupOutcome {
    /// The name answered; these addresses were judged and may be granted.
    Answered {
        /// The names that the answer led through, the CNAME chain without the name itself.
        chain: Vec<Name>,
        /// The addresses to grant.
        addresses: Vec<Address>,
    },
    /// The name does not exist, has no address, or none that may be granted: its grants end (DNS-5).
    Nothing,
    /// The resolver failed or took too long: what was granted stays (DNS-5).
    Failed,
}

/// The effect of settling a look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The outcome is in force.
    InForce,
    /// A look-up of the same name that was begun later has settled already; nothing changed.
    Superseded,
    /// The outcome changes nothing.
    Unchanged,
}

/// The way in which a grant ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The name was looked up again, and the new answer does not have the address (DNS-4, DNS-5).
    Replaced,
    /// Too many other names were looked up since (DNS-12).
    Evicted,
}

/// A name that granted an address.
#[derive(Clone, Copy, Debug)]
pub struct Grant<'g> {
    /// The name that was looked up.
    pub name: &'g Name,
    /// The names that its answer led through.
    pub chain: &'g [Name],
    /// The time of the look-up.
    pub looked_up: Instant,
}

impl Grants {
    /// No grants yet, and room for `most_names` names.
    pub fn new(most_names: usize) -> Self {
        Self {
            names: HashMap::new(),
            addresses: BTreeMap::new(),
            ended: Ended::default(),
            in_flight: Vec::new(),
            most_names,
            next_ticket: 0,
            evicted: None,
        }
    }

    /// Notes that a look-up of `name` begins.
    pub fn begin(&mut self, name: Name) -> Ticket {
        self.next_ticket += 1;
        let ticket = Arc::new(InFlight {
            name,
            number: self.next_ticket,
            superseded: AtomicBool::new(false),
        });
        // Here, since nothing of this is called when a ticket is dropped.
        self.in_flight.retain(|own| own.strong_count() > 0);
        self.in_flight.push(Arc::downgrade(&ticket));
        Ticket(ticket)
    }

    /// Puts the outcome of a look-up in force, all of it at once.
    pub fn settle(&mut self, ticket: Ticket, outcome: LookupOutcome, now: Instant) -> Settled {
        self.evicted = None;
        let (name, number) = (ticket.0.name.clone(), ticket.0.number);
        let (chain, addresses) = match outcome {
            LookupOutcome::Failed => return Settled::Unchanged,
            LookupOutcome::Nothing => (Vec::new(), Vec::new()),
            LookupOutcome::Answered { chain, addresses } => (chain, addresses),
        };
        let newest = self.names.get(&name).map(|granted| granted.ticket);
        if newest.is_some_and(|newest| newest > number) || ticket.0.superseded.load(Ordering::Relaxed) {
            return Settled::Superseded;
        }
        self.replace(Granted {
            name,
            addresses,
            chain,
            ticket: number,
            looked_up: now,
        });
        Settled::InForce
    }

    /// The names that grant `address`.
    pub fn of(&self, address: Address) -> impl Iterator<Item = Grant<'_>> {
        self.addresses
            .get(&address)
            .into_iter()
            .flatten()
            .map(|granted| Grant {
                name: &granted.name,
                chain: &granted.chain,
                looked_up: granted.looked_up,
            })
    }

    /// The name that granted `address` last and does no longer, and how that came, if it is remembered.
    pub fn ended(&self, address: Address) -> Option<(&Name, Ending)> {
        let mut newest_first = self.ended.0.iter().rev();
        let (_, name, ending) = newest_first.find(|(own, ..)| *own == address)?;
        Some((name, *ending))
    }

    /// The name that made room for another one when a look-up was last settled, if one did (DNS-12).
    pub fn evicted(&self) -> Option<&Name> {
        self.evicted.as_ref()
    }

    /// The names that grant addresses now, in no order, with what they grant.
    pub fn all(&self) -> impl Iterator<Item = (Grant<'_>, &[Address])> {
        let granting = self
            .names
            .values()
            .filter(|granted| !granted.addresses.is_empty());
        granting.map(|granted| {
            let grant = Grant {
                name: &granted.name,
                chain: &granted.chain,
                looked_up: granted.looked_up,
            };
            (grant, granted.addresses.as_slice())
        })
    }

    /// The number of names that are remembered, those without an address included.
    pub fn names(&self) -> usize {
        self.names.len()
    }

    /// INVARIANT: a name without addresses stays remembered for its ticket, so that an older look-up which
    /// answers late cannot bring its grants back.
    fn replace(&mut self, granted: Granted) {
        let name = granted.name.clone();
        if !self.names.contains_key(&name) && self.names.len() >= self.most_names {
            self.forget_least_recent();
        }
        let granted = Arc::new(granted);
        let before = self.names.insert(name.clone(), Arc::clone(&granted));
        // The new ones first, so that an address that stays is never without a name, and does not count as ended.
        for address in &granted.addresses {
            let here = self.addresses.entry(*address).or_default();
            match here.iter_mut().find(|own| own.name == name) {
                Some(own) => *own = Arc::clone(&granted),
                None => here.push(Arc::clone(&granted)),
            }
        }
        for address in before.iter().flat_map(|before| &before.addresses) {
            if !granted.addresses.contains(address) {
                self.end(*address, &name, Ending::Replaced);
            }
        }
    }

    fn forget_least_recent(&mut self) {
        // A walk over all names, a few hundred, and only where a new name comes to a full table.
        let oldest = self
            .names
            .iter()
            .min_by_key(|(_, granted)| (granted.looked_up, granted.ticket));
        let Some(name) = oldest.map(|(name, _)| name.clone()) else {
            return;
        };
        let Some(forgotten) = self.names.remove(&name) else {
            return;
        };
        for address in &forgotten.addresses {
            self.end(*address, &name, Ending::Evicted);
        }
        let in_flight = self.in_flight.iter().filter_map(Weak::upgrade);
        in_flight
            .filter(|own| own.name == name && own.number < forgotten.ticket)
            .for_each(|own| own.superseded.store(true, Ordering::Relaxed));
        self.evicted = Some(name);
    }

    fn end(&mut self, address: Address, name: &Name, ending: Ending) {
        if let Some(here) = self.addresses.get_mut(&address) {
            here.retain(|own| own.name != *name);
            if here.is_empty() {
                self.addresses.remove(&address);
                self.ended.remember(address, name.clone(), ending);
            }
        }
    }
}

impl Ticket {
    /// The name that is looked up.
    pub fn name(&self) -> &Name {
        &self.0.name
    }
}

/// The last addresses whose grants ended, oldest first.
#[derive(Clone, Debug, Default)]
struct Ended(VecDeque<(Address, Name, Ending)>);

impl Ended {
    const MOST: usize = 256;

    fn remember(&mut self, address: Address, name: Name, ending: Ending) {
        if self.0.len() == Self::MOST {
            self.0.pop_front();
        }
        self.0.push_back((address, name, ending));
    }
}

#[cfg(test)]
mod tests;
