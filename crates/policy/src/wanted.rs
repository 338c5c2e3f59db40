//! What the author's list lacks for an attempt that it alone refuses: what somebody can be asked for.
//!
//! ```text
//! Policy::wanted ─ every layer is asked ─┬─ another layer than the author's refuses, too ▶ nothing: no list would help
//!                                        ├─ an entry would not help (the guest is to look up again, …) ▶ nothing
//!                                        └─ the remedy of each list (RSN-5) ▶ Wanted, those of the own list first
//! AllowList::with, Policy::with ◀── an addition that somebody agreed to; the attempt is then judged as ever
//! ```
//!
//! Nothing is decided here. An addition is never wider than the attempt: an entry has the very host, port and protocol, and
//! of a look-up, which has no port, only the look-up of that one name is added. With that alone no address can be
//! connected to: its port is asked for when the guest says it.

use std::fmt;

use crate::{AllowList, Attempt, Denial, Entry, Layer, Location, Name, Policy, Reason, Remedy, Situation};

/// A list that an attempt has to be on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ListOf {
    /// That of the component or the part that makes the attempt.
    Own,
    /// That of the component around the part that makes the attempt.
    Whole,
}

/// What would be added to a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addition {
    /// An entry.
    Entry(Entry),
    /// That one name may be looked up, and nothing else.
    Lookup(LookupAlone),
}

/// That a name may be looked up, though no entry has it. What it answers with cannot be connected to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupAlone {
    name: Name,
    location: Location,
}

/// An addition that a list lacks for an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    list: ListOf,
    addition: Addition,
    reason: Reason,
    name: Option<Name>,
}

impl LookupAlone {
    /// The name that may be looked up.
    pub fn name(&self) -> &Name {
        &self.name
    }
}

impl Wanted {
    /// The list that lacks it.
    pub fn list(&self) -> ListOf {
        self.list
    }

    /// The addition.
    pub fn addition(&self) -> &Addition {
        &self.addition
    }

    /// The reason why that list refuses.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The name that the guest looked the destination up by, if it did.
    pub fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }

    fn of(denial: &Denial<'_>, attempt: &Attempt<'_>, location: &Location) -> Option<Self> {
        if denial.reason().layer() != Layer::AllowList {
            return None;
        }
        let (list, remedy) = match denial.remedy(attempt)? {
            Remedy::OfComponent(remedy) => (ListOf::Whole, *remedy),
            Remedy::OfPart(remedy) => (ListOf::Own, *remedy),
            remedy => (ListOf::Own, remedy),
        };
        let addition = match (remedy, attempt) {
            // Also where the remedy for people has the port of another entry of that name: it is a guess.
            (Remedy::AddEntry(_) | Remedy::AddEntryWithPort(_), Attempt::Lookup { name }) => {
                Addition::Lookup(LookupAlone {
                    name: (*name).clone(),
                    location: location.clone(),
                })
            }
            (Remedy::AddEntry(text), _) => Addition::Entry(Entry::parse(&text, location.clone()).ok()?),
            _ => return None,
        };
        Some(Self {
            list,
            addition,
            reason: denial.reason(),
            name: denial.name().cloned(),
        })
    }
}

impl Policy {
    /// The additions to lists without which the attempt is refused, where nothing but the lists of authors refuses it.
    /// None where it is permitted, where another layer refuses as well, or where no entry would permit it. What is added
    /// is written at `location`.
    pub fn wanted<'p>(
        &'p self,
        attempt: &Attempt<'_>,
        situation: &Situation<'p>,
        location: &Location,
    ) -> Vec<Wanted> {
        if self.allow().is_the_operators() {
            return Vec::new();
        }
        let denials = self.denials(attempt, situation);
        let wanted = denials.iter().map(|denial| Wanted::of(denial, attempt, location));
        wanted.collect::<Option<Vec<_>>>().unwrap_or_default()
    }

    /// The same policy with an addition to one of its lists. What is for the list of a component around is nothing where
    /// there is none.
    #[must_use]
    pub fn with(&self, list: ListOf, addition: &Addition) -> Self {
        match list {
            ListOf::Own => self.with_own(self.allow().with(addition)),
            ListOf::Whole => self.with_whole(|whole| whole.with(ListOf::Own, addition)),
        }
    }
}

impl AllowList {
    /// The same list with an addition at its end, if it is not there yet.
    #[must_use]
    pub fn with(&self, addition: &Addition) -> Self {
        match addition {
            Addition::Entry(entry) if self.entries().contains(entry) => self.clone(),
            Addition::Lookup(lookup) if self.permits_lookup_alone(lookup.name()).is_some() => self.clone(),
            Addition::Entry(entry) => self.with_entry(entry.clone()),
            Addition::Lookup(lookup) => self.with_lookup(lookup.clone()),
        }
    }
}

/// The addition as it is cited: with its place.
impl fmt::Display for LookupAlone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "look-up of {} alone ({})", self.name, self.location)
    }
}

#[cfg(test)]
mod tests;
