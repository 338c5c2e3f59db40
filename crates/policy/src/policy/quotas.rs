//! Layer 5, the quotas (Q): what an instance, a component or the process has too much of at once.
//!
//! What is held is counted by whoever asks, and comes in as [`Usage`].

use super::Policy;
use crate::{Attempt, Denial, Name, NameBounds, Reason, Setting, Situation, Usage};

impl Policy {
    /// What has no quota is told apart at once: most attempts have none.
    #[inline(always)]
    pub(super) fn quotas<'p>(
        &'p self,
        attempt: &Attempt<'_>,
        situation: &Situation<'_>,
    ) -> Option<Denial<'p>> {
        match attempt {
            Attempt::CreateSocket { .. }
            | Attempt::Connect { .. }
            | Attempt::Send { .. }
            | Attempt::Lookup { .. }
            | Attempt::Resolve { .. }
            | Attempt::Dial { .. }
            | Attempt::Tls { .. } => self.quotas_of(attempt, situation),
            Attempt::Bind { .. }
            | Attempt::Listen { .. }
            | Attempt::Accept { .. }
            | Attempt::Receive { .. }
            | Attempt::Answer { .. }
            | Attempt::Request { .. }
            | Attempt::ClientHello { .. }
            | Attempt::Open { .. } => None,
        }
    }

    fn quotas_of<'p>(&'p self, attempt: &Attempt<'_>, situation: &Situation<'_>) -> Option<Denial<'p>> {
        let quotas = &self.operator.quotas;
        let usage = &situation.usage;
        // At the bound already: what is held is counted without the one that asks.
        let reached = |limit: Option<u32>, used: u32| limit.is_some_and(|limit| used >= limit);
        // Sockets and connections of HTTP share their bounds, but not the word for it.
        let too_many = |reason: Reason| {
            let of_process = usage.sockets_of_process.saturating_add(usage.kept_for_others);
            if usage.sockets_of_instance >= quotas.sockets_per_instance {
                Some(Denial::new(reason).lifted_by(Setting::SocketsPerInstance))
            } else if of_process >= quotas.sockets_per_process {
                Some(Denial::new(reason).lifted_by(Setting::SocketsPerProcess))
            } else {
                None
            }
        };
        let too_many_connections = || {
            reached(quotas.total_connections, usage.connections_of_process)
                .then(|| Denial::new(Reason::QuotaConnections).lifted_by(Setting::TotalConnections))
        };
        let denial = match attempt {
            Attempt::CreateSocket { .. } => too_many(Reason::QuotaSockets)
                .or_else(|| {
                    reached(quotas.sockets_per_component, usage.sockets_of_component).then(|| {
                        Denial::new(Reason::QuotaConnections).lifted_by(Setting::SocketsPerComponent)
                    })
                })
                .or_else(too_many_connections),
            Attempt::Lookup { .. } => (usage.lookups_of_instance >= quotas.lookups_in_flight)
                .then(|| Denial::new(Reason::QuotaLookups)),
            Attempt::Resolve { name } => self.name_budgets(name, situation),
            Attempt::Dial { .. } => too_many(Reason::QuotaConnections).or_else(too_many_connections),
            Attempt::Tls { .. } => (usage.tls_of_instance
                >= TLS_PER_CONNECTION.saturating_mul(usage.tcp_connections_of_instance))
            .then(|| Denial::new(Reason::QuotaConnections)),
            _ => None,
        };
        if denial.is_none() && !quotas.bytes.are_none() {
            return self.bytes(attempt, usage);
        }
        denial
    }

    /// The bytes that the component has sent, against its budget (BUD-3): refused is what leads to more of them.
    #[cold]
    fn bytes<'p>(&self, attempt: &Attempt<'_>, usage: &Usage) -> Option<Denial<'p>> {
        let sends = matches!(
            attempt,
            Attempt::CreateSocket { .. }
                | Attempt::Connect { .. }
                | Attempt::Send { .. }
                | Attempt::Dial { .. }
        );
        // What the operator configured for himself is no component's.
        if !sends || self.allow.is_the_operators() {
            return None;
        }
        let budget = self.operator.quotas.bytes.of(self.whole().component());
        // Where both are used up the component's own is the next to be raised, once that of all is.
        let setting = match budget.used_up(usage) {
            [true, _] => Setting::SentBytes,
            [false, true] => Setting::OwnSentBytes,
            [false, false] => return None,
        };
        Some(Denial::new(Reason::QuotaBytes).lifted_by(setting))
    }

    /// The policy of the whole component, of which this may be a part's.
    fn whole(&self) -> &Self {
        let mut whole = self;
        while let Some(within) = whole.within() {
            whole = within;
        }
        whole
    }

    /// The budgets of names, which no way out has but by resolving one.
    #[cold]
    fn name_budgets<'p>(&'p self, name: &Name, situation: &Situation<'_>) -> Option<Denial<'p>> {
        let bounds = self.name_bounds();
        let usage = &situation.usage;
        let spent = |used: Option<u32>, most: u32| used.is_some_and(|used| used >= most);
        if spent(usage.names_below_wildcard, bounds.names_per_wildcard) {
            let denial = Denial::new(Reason::QuotaNames).near(self.allow.covers(name));
            let is_own = bounds.names_per_wildcard < self.operator.quotas.names_per_wildcard;
            return Some(denial.lifted_by(if is_own {
                Setting::OwnNamesPerWildcard
            } else {
                Setting::NamesPerWildcard
            }));
        }
        let is_own = bounds.lookups_per_minute < self.operator.quotas.lookups_per_minute;
        let setting = if is_own {
            Setting::OwnLookupsPerMinute
        } else {
            Setting::LookupsPerMinute
        };
        spent(usage.lookups_of_last_minute, bounds.lookups_per_minute)
            .then(|| Denial::new(Reason::QuotaLookupRate).lifted_by(setting))
    }

    /// The bounds of the budgets of names of the component, which are those of its parts together.
    pub fn name_bounds(&self) -> NameBounds {
        self.operator.quotas.names_of(self.whole().component())
    }

    /// The wildcards below which a component asks for `name`, by their names without `*.`: for each list that limits it by
    /// such ones all that cover it (BUD-2). An entry that names it, or every name, costs nothing.
    pub fn wildcards_over(&self, name: &Name) -> Vec<Vec<&Name>> {
        let own = self.allow.wildcards_over(name);
        let mut lists = self
            .within()
            .map_or_else(Vec::new, |whole| whole.wildcards_over(name));
        if !own.is_empty() {
            lists.push(own);
        }
        lists
    }
}

/// TLS connections of the host's that an instance may have for each TCP connection: a proxy is spoken to in TLS, and
/// within that the server behind it.
const TLS_PER_CONNECTION: u32 = 2;
