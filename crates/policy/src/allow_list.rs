//! The author's side: `allowed_outbound_hosts` of one component, compiled, and the labels that it lists.

use crate::index::{CellsOfAddress, Index, Lack, Side};
use crate::{
    Address, Ending, Endpoint, EntriesError, Entry, EntryScheme, Grants, Host, Label, LabelKind, LookupAlone,
    Name, Protocol, Reason, Transport, entries,
};

/// The allow list of one component's author (layer 4). Empty: nothing.
#[derive(Clone, Debug, Default)]
pub struct AllowList {
    index: Index,
    labels: Vec<Label>,
    /// Names that may be looked up though no entry has them.
    lookups: Vec<LookupAlone>,
    growth: Growth,
    holder: Holder,
}

/// Whether the list is all that there will be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Growth {
    /// It is.
    #[default]
    Complete,
    /// Somebody is asked what else is to be on it.
    Open,
}

/// The holder of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Holder {
    /// A component's own.
    #[default]
    Component,
    /// The operator's, for what the host connects to by itself.
    Operator,
    /// Nobody's: a dependency does not inherit the one of its component.
    Disinherited,
}

/// The reason why nothing on the list permits an attempt, the entry that came closest and the name that it was about.
pub(crate) type Miss<'p> = (Reason, Option<&'p Entry>, Option<Name>);

impl AllowList {
    /// Reads and compiles entries that code has, such as `*://db.example.com:5432`. For entries that come from a file, and
    /// whose messages are to send somebody there, see [`Entry::parse`] and [`compile`](Self::compile).
    /// Templates such as `{{ host }}` are of `spin.toml`, whose reader fills them in: here they are no entries.
    ///
    /// ```
    /// use outport_policy::AllowList;
    ///
    /// let allow = AllowList::parse(["*://db.example.com:5432", "https://*.example.com"])?;
    /// assert_eq!(allow.entries().len(), 2);
    ///
    /// let error = AllowList::parse(["db.example.com:5432", "https://api.example.com"]).unwrap_err();
    /// assert!(error.to_string().starts_with("1 of 2 entries cannot be read: the 1st, `db.example.com:5432`"));
    /// # Ok::<(), outport_policy::EntriesError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// All entries that cannot be read, each with what is wrong and what to write instead. There is no list then: one with
    /// entries left out is not what was written.
    pub fn parse<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self, EntriesError> {
        entries::read(texts, |error| error).map(Self::compile)
    }

    /// Compiles the entries. None of them is left out: that they were read is what [`Entry`] stands for.
    pub fn compile(entries: Vec<Entry>) -> Self {
        Self {
            index: Index::compile(entries, |_| Vec::new()),
            holder: Holder::Component,
            ..Self::default()
        }
    }

    /// The same list, to which somebody who is asked may add. While it is empty sockets can be bound, which reaches nobody:
    /// only so is there somewhere to connect to that can be asked about (ORD-2).
    #[must_use]
    pub fn that_may_grow(self) -> Self {
        Self {
            growth: Growth::Open,
            ..self
        }
    }

    pub(crate) fn may_grow(&self) -> bool {
        self.growth == Growth::Open
    }

    pub(crate) fn with_entry(&self, entry: Entry) -> Self {
        let entries = self.entries().iter().cloned().chain([entry]).collect();
        Self {
            index: Index::compile(entries, |_| Vec::new()),
            ..self.clone()
        }
    }

    pub(crate) fn with_lookup(&self, lookup: LookupAlone) -> Self {
        let mut list = self.clone();
        list.lookups.push(lookup);
        list
    }

    /// The same list, which grants stores, databases and models by these labels too (HI-5).
    #[must_use]
    pub fn with_labels(self, labels: Vec<Label>) -> Self {
        Self { labels, ..self }
    }

    /// The list of a dependency that does not inherit the list of its component: nothing, not even a socket.
    pub fn not_inherited() -> Self {
        Self {
            holder: Holder::Disinherited,
            ..Self::default()
        }
    }

    /// A list of what the host may connect to by itself since its operator configured it, such as the server behind a
    /// store. What the operator keeps from guests, by the deny list and the runtime limits, is not kept from it (HI-6).
    pub fn of_operator(entries: Vec<Entry>) -> Self {
        Self {
            holder: Holder::Operator,
            ..Self::compile(entries)
        }
    }

    /// True if it is [the operator's](Self::of_operator).
    pub fn is_the_operators(&self) -> bool {
        self.holder == Holder::Operator
    }

    /// True if it is [nobody's](Self::not_inherited).
    pub fn is_not_inherited(&self) -> bool {
        self.holder == Holder::Disinherited
    }

    /// The entries in the order in which they were written.
    pub fn entries(&self) -> &[Entry] {
        self.index.entries()
    }

    /// The labels in the order in which they were written.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// True if no host was written, which permits nothing (ORD-2).
    pub fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    pub(crate) fn permits_address(&self, remote: Endpoint, protocol: Protocol<'_>) -> Option<&Entry> {
        let found = self.at(remote.address).find(Side::Allow, protocol, remote.port)?;
        Some(found.entry)
    }

    /// The entries' patterns that the address lies under.
    #[inline]
    pub(crate) fn at(&self, address: Address) -> CellsOfAddress<'_> {
        self.index.at(address)
    }

    pub(crate) fn permits_name(&self, name: &Name, protocol: Protocol<'_>, port: u16) -> Option<&Entry> {
        self.index.find_name(name, Side::Allow, protocol, port)
    }

    // Judging a request is what asks most often, and a call of its own costs a twentieth of that.
    #[inline(always)]
    pub(crate) fn permits_host(&self, host: &Host, protocol: Protocol<'_>, port: u16) -> Option<&Entry> {
        match host {
            Host::Name(name) if protocol.reaches_the_app(name) => self.index.find_self(Side::Allow),
            Host::Name(name) => self.permits_name(name, protocol, port),
            Host::Address(address) => self.permits_address(Endpoint::new(address.ip(), port), protocol),
        }
    }

    /// The line that grants the store, database or model of that label.
    pub(crate) fn grants_label(&self, kind: LabelKind, label: &str) -> Option<&Label> {
        // A component lists a handful, so there is nothing to gain by an index.
        self.labels.iter().find(|own| own.is(kind, label))
    }

    /// An entry by which a raw socket may reach the name on some port (DNS-1).
    pub(crate) fn permits_lookup(&self, name: &Name) -> Option<&Entry> {
        self.index.socket_entry_of_name(name)
    }

    /// An entry that covers the name, for whatever protocol and port.
    pub(crate) fn covers(&self, name: &Name) -> Option<&Entry> {
        self.index.covers_name(name)
    }

    /// The names whose wildcards cover `name`, nearest first. None where an entry names it exactly or is for every name, or
    /// where somebody permitted its look-up alone: such names are not the guest's to make up.
    pub(crate) fn wildcards_over(&self, name: &Name) -> Vec<&Name> {
        if self.is_the_operators() || self.permits_lookup_alone(name).is_some() {
            return Vec::new();
        }
        self.index.wildcards_over(name)
    }

    /// The addition by which the name may be looked up without an entry.
    pub(crate) fn permits_lookup_alone(&self, name: &Name) -> Option<&LookupAlone> {
        // As many as somebody has agreed to, one by one.
        self.lookups.iter().find(|own| own.name() == name)
    }

    /// An entry that names this very address, as a literal or by a network, for the protocol on some port. It
    /// shows that the author meant the address itself (DNS-9).
    pub(crate) fn means_address(&self, address: Address, protocol: Protocol<'_>) -> Option<&Entry> {
        let permits = |scheme: &EntryScheme| match protocol {
            Protocol::Socket(_) => !matches!(scheme, EntryScheme::Url(_)),
            Protocol::Url(_) => scheme.permits(protocol),
        };
        self.index
            .lists_address(address, |entry| entry.schemes().iter().any(permits))
    }

    /// The reason why no entry permits a socket to `remote`, which lies under `patterns`. `granted` is a name that grants the
    /// address all the same.
    pub(crate) fn miss_of_socket<'p>(
        &'p self,
        patterns: &CellsOfAddress<'p>,
        remote: Endpoint,
        transport: Transport,
        granted: Option<&Name>,
        grants: &Grants,
    ) -> Miss<'p> {
        let protocol = Protocol::Socket(transport);
        if self.is_empty() {
            // A name grants something although there is no entry only where its look-up alone was permitted.
            return (Reason::AllowNone, None, granted.cloned());
        }
        if let Some(name) = granted {
            let (reason, closest) = near(self.index.closest_to_name(name, protocol, remote.port));
            return (reason, closest, Some(name.clone()));
        }
        if let Some((name, ending)) = grants.ended(remote.address) {
            let reason = match ending {
                Ending::Replaced => Reason::GrantReplaced,
                Ending::Evicted => Reason::GrantEvicted,
            };
            return (reason, self.permits_lookup(name), Some(name.clone()));
        }
        if let (reason, Some(entry)) = near(patterns.closest(protocol, remote.port)) {
            return (reason, Some(entry), None);
        }
        match self
            .index
            .named(transport, remote.port, remote.address.reads_as_loopback())
        {
            Some(entry) => (Reason::AllowNameNotLookedUp, Some(entry), None),
            None => (Reason::AllowNoMatch, None, None),
        }
    }

    /// The reason why no entry permits a request to `host`.
    pub(crate) fn miss_of_request(&self, host: &Host, protocol: Protocol<'_>, port: u16) -> Miss<'_> {
        if self.is_empty() {
            return (Reason::AllowNone, None, None);
        }
        let closest = match host {
            Host::Name(name) if protocol.reaches_the_app(name) => self.index.closest_to_self(),
            Host::Name(name) => self.index.closest_to_name(name, protocol, port),
            Host::Address(address) => self.at(*address).closest(protocol, port),
        };
        let (reason, closest) = near(closest);
        (reason, closest, None)
    }

    /// The entry that comes closest to permitting TCP to `host`, where none does.
    pub(crate) fn closest_of_tls(&self, host: &Host, port: u16) -> Option<&Entry> {
        let (_, closest, _) = self.miss_of_request(host, Protocol::Socket(Transport::Tcp), port);
        closest
    }

    /// The reason why a name may not be looked up.
    pub(crate) fn miss_of_lookup(&self, name: &Name) -> Miss<'_> {
        if self.is_empty() {
            return (Reason::AllowNone, None, None);
        }
        match self.index.covers_name(name) {
            Some(entry) => (Reason::AllowScheme, Some(entry), None),
            None => (Reason::DnsNameNotAllowed, None, None),
        }
    }
}

/// The reason why the entry that comes closest does not permit the attempt.
fn near(closest: Option<(Lack, &Entry)>) -> (Reason, Option<&Entry>) {
    match closest {
        Some((Lack::Protocol | Lack::Both, entry)) => (Reason::AllowScheme, Some(entry)),
        Some((Lack::Port, entry)) => (Reason::AllowPort, Some(entry)),
        None => (Reason::AllowNoMatch, None),
    }
}
