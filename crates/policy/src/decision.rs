//! The answer to an attempt: a permit with the rule that gave it, or a denial with its reason.

use std::fmt;

use crate::deny_list::{DeniedBy, DenyMatch};
use crate::{Attempt, BlockedNetwork, Endpoint, Entry, Label, LookupAlone, Name, Reason, Remedy, Setting};

/// The answer of the policy to an attempt. There is no default and no `bool`: an attempt that nobody judged is not
/// allowed.
#[derive(Debug)]
#[must_use = "an attempt goes ahead only with the permit that the decision holds"]
pub enum Decision<'p> {
    /// Every layer permits it.
    Allow(Permit<'p>),
    /// A layer refuses it, the first that does in the order of ORD-1.
    Deny(Denial<'p>),
}

/// The right to go ahead, once. Only [`Policy::decide`](crate::Policy::decide) makes one, and it cannot be copied:
/// whoever goes ahead uses it up.
#[derive(Debug)]
#[must_use = "what was permitted is done with the permit, or not at all"]
pub struct Permit<'p> {
    rule: Rule<'p>,
    remote: Option<Endpoint>,
}

/// The rule that permitted an attempt.
#[derive(Clone, Debug)]
pub enum Rule<'p> {
    /// An entry that covers the destination itself.
    Entry(&'p Entry),
    /// An entry that covers a name, and a look-up of that name which answered with the address.
    Grant {
        /// The name that was looked up.
        name: &'p Name,
        /// The entry that covers it.
        entry: &'p Entry,
    },
    /// A label that the component lists.
    Label(&'p Label),
    /// A name that may be looked up though no entry has it, since somebody who was asked said so.
    Lookup(&'p LookupAlone),
    /// Nothing was needed: the attempt reaches nobody by itself.
    Harmless,
}

/// A refusal.
#[derive(Clone, Debug)]
pub struct Denial<'p> {
    reason: Reason,
    by: Option<DeniedBy<'p>>,
    closest: Option<&'p Entry>,
    name: Option<Name>,
    setting: Option<Setting>,
    /// The list that refuses, where a part asks that has a list of its own.
    list: WhoseList,
}

/// Whose allow list refuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum WhoseList {
    /// The only one that there is.
    #[default]
    Only,
    /// That of the part that asks.
    Part,
    /// That of the component around it.
    Whole,
}

impl<'p> Permit<'p> {
    pub(crate) fn new(rule: Rule<'p>, remote: Option<Endpoint>) -> Self {
        Self { rule, remote }
    }

    /// The rule that permitted the attempt.
    pub fn rule(&self) -> &Rule<'p> {
        &self.rule
    }

    /// The endpoint that was judged: the only one to connect or to send to. None where the attempt is no way out, as
    /// receiving a datagram is not.
    pub fn into_remote(self) -> Option<Endpoint> {
        self.remote
    }
}

impl<'p> Denial<'p> {
    pub(crate) fn new(reason: Reason) -> Self {
        Self {
            reason,
            by: None,
            closest: None,
            name: None,
            setting: None,
            list: WhoseList::Only,
        }
    }

    pub(crate) fn of_whole(mut self) -> Self {
        self.list = WhoseList::Whole;
        self
    }

    pub(crate) fn of_part(mut self) -> Self {
        self.list = WhoseList::Part;
        self
    }

    /// True if it is the list of the component that refuses, and not that of the part of it that asks.
    pub fn is_of_whole(&self) -> bool {
        self.list == WhoseList::Whole
    }

    /// True if it is the list of the part that asks that refuses, which has one of its own inside that of its component.
    pub fn is_of_part(&self) -> bool {
        self.list == WhoseList::Part
    }

    pub(crate) fn near(mut self, closest: Option<&'p Entry>) -> Self {
        self.closest = closest;
        self
    }

    pub(crate) fn named(mut self, name: Option<Name>) -> Self {
        self.name = name;
        self
    }

    pub(crate) fn lifted_by(mut self, setting: Setting) -> Self {
        self.setting = Some(setting);
        self
    }

    /// The reason.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The reason in words, where it has some of its own for this attempt, and the [reason's](Reason::sentence) otherwise.
    pub fn sentence(&self, attempt: &Attempt<'_>) -> &'static str {
        let own = match (self.reason, attempt) {
            (Reason::DenyTlsName | Reason::AllowTlsName, Attempt::ClientHello { server, .. }) => {
                server.refusal()
            }
            _ => None,
        };
        own.unwrap_or(self.reason.sentence())
    }

    /// The author's entry that came closest to permitting the attempt, if any came close.
    pub fn closest(&self) -> Option<&'p Entry> {
        self.closest
    }

    /// The operator's entry that refuses.
    pub fn denied_by(&self) -> Option<&'p Entry> {
        match self.by {
            Some(DeniedBy::Entry(entry)) => Some(entry),
            _ => None,
        }
    }

    /// The operator's blocked network that refuses.
    pub fn blocked_by(&self) -> Option<&'p BlockedNetwork> {
        match self.by {
            Some(DeniedBy::Blocked(blocked)) => Some(blocked),
            _ => None,
        }
    }

    /// The operator's entry or network that refuses, as it is cited: with its place.
    pub fn cited(&self) -> Option<String> {
        let blocked = self.blocked_by();
        let blocked = blocked.map(|network| format!("{network} ({})", network.location()));
        let entry = self.denied_by().map(|entry| entry.cited().to_string());
        entry.or(blocked)
    }

    /// The name that the destination was looked up by, or by which it is denied.
    pub fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }

    /// The remedy that would permit the attempt, if one would (RSN-2).
    pub fn remedy(&self, attempt: &Attempt<'_>) -> Option<Remedy> {
        Remedy::of(self, attempt)
    }

    /// The operator's setting that lifts it, where that is known without the attempt.
    pub(crate) fn setting(&self) -> Option<Setting> {
        self.setting
    }
}

impl<'p> From<DenyMatch<'p>> for Denial<'p> {
    fn from(matched: DenyMatch<'p>) -> Self {
        Self {
            by: Some(matched.by),
            name: matched.name,
            ..Self::new(matched.reason)
        }
    }
}

impl Decision<'_> {
    /// The reason, where the attempt is refused.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Allow(_) => None,
            Self::Deny(denial) => Some(denial.reason),
        }
    }
}

/// The rule for a log: an entry as [cited](Entry::cited).
impl fmt::Display for Rule<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry(entry) => entry.cited().fmt(f),
            Self::Grant { name, entry } => write!(f, "{} by look-up of {name}", entry.cited()),
            Self::Label(label) => label.cited().fmt(f),
            Self::Lookup(lookup) => lookup.fmt(f),
            Self::Harmless => f.write_str("reaches nobody by itself"),
        }
    }
}
