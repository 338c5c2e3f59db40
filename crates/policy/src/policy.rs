//! The decider: the one function that judges every way out.
//!
//! An [`Attempt`] passes the layers in order, and the first that refuses gives the reason (ORD-1):
//!
//! | layer | refuses | consults |
//! | --- | --- | --- |
//! | 1 [hard limits](hard) | listening, accepting, chosen local addresses, unsolicited datagrams, multicast, the egress proxy | peers, [`EgressProxy`](crate::EgressProxy) |
//! | 2 [deny list](deny_list) | what the operator names, by name, alias, address, embedded address | [`DenyList`](crate::DenyList) |
//! | 3 [runtime limits](runtime_limits) | UDP, privileged loopback ports, link-local and metadata addresses | [`RuntimeLimits`](crate::RuntimeLimits) |
//! | 4 [allow list](allow_list) | everything that no entry permits, by itself or through a look-up | [`AllowList`], [`Grants`](crate::Grants) |
//! | 5 [`quotas`] | what is too much at once | [`Usage`](crate::Usage) |
//!
//! The function is pure: the instance's state, what is counted and the time come in as a [`Situation`]. It
//! allocates nothing; what a message needs is made from the [`Denial`] by whoever wants the message.
//!
//! An [address of the operator's own](AllowList::of_operator) is not asked about in layers 2 and 3, which are the
//! operator's, too (HI-6).
//!
//! Every remote address is a canonical [`Address`](crate::Address) by the time it gets here. What it embeds is judged by layers 1
//! to 3 as well, and never permits anything in layer 4 (HL-7).

mod allow_list;
mod deny_list;
mod hard;
mod quotas;
mod runtime_limits;
mod tls_names;

use std::sync::Arc;

use crate::{AllowList, Attempt, Decision, Denial, Endpoint, Layer, Operator, Permit, Rule, Situation};

/// The policy of one component: its author's allow list within the operator's limits. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Policy {
    component: Arc<str>,
    allow: Arc<AllowList>,
    /// The component that it is a part of, which has to permit it as well.
    within: Option<Arc<Self>>,
    operator: Arc<Operator>,
}

/// The answer of one layer to an attempt.
#[derive(Clone, Debug)]
pub enum LayerAnswer<'p> {
    /// Nothing against it.
    Passes,
    /// Permits it for this rule. Only the allow list does.
    Permits(Rule<'p>),
    /// Refuses it.
    Refuses(Denial<'p>),
}

impl Policy {
    /// The policy of the component called `component`.
    pub fn new(component: impl Into<Arc<str>>, allow: Arc<AllowList>, operator: Arc<Operator>) -> Self {
        Self {
            component: component.into(),
            allow,
            within: None,
            operator,
        }
    }

    /// The policy of a part of this component, such as a dependency: what `allow` permits, as far as this policy permits
    /// it as well. It is never wider than this one, whatever `allow` has.
    #[must_use]
    pub fn for_part(&self, part: impl Into<Arc<str>>, allow: Arc<AllowList>) -> Self {
        Self {
            component: part.into(),
            allow,
            within: Some(Arc::new(self.clone())),
            operator: Arc::clone(&self.operator),
        }
    }

    /// The same policy with another list of its own.
    pub(crate) fn with_own(&self, allow: AllowList) -> Self {
        Self {
            allow: Arc::new(allow),
            ..self.clone()
        }
    }

    /// The same policy with another one of the component around.
    pub(crate) fn with_whole(&self, change: impl FnOnce(&Self) -> Self) -> Self {
        Self {
            within: self.within.as_deref().map(|whole| Arc::new(change(whole))),
            ..self.clone()
        }
    }

    /// The policy of the component that it is [a part](Self::for_part) of.
    pub fn within(&self) -> Option<&Self> {
        self.within.as_deref()
    }

    /// The component's name.
    pub fn component(&self) -> &str {
        &self.component
    }

    /// The author's allow list.
    pub fn allow(&self) -> &AllowList {
        &self.allow
    }

    /// The operator's part.
    pub fn operator(&self) -> &Operator {
        &self.operator
    }

    /// Judges an attempt.
    pub fn decide<'p>(&'p self, attempt: &Attempt<'_>, situation: &Situation<'p>) -> Decision<'p> {
        if let Some(denial) = self.hard(attempt, situation) {
            return Decision::Deny(denial);
        }
        if let Some(denial) = self.deny_list(attempt) {
            return Decision::Deny(denial);
        }
        if let Some(denial) = self.runtime_limits(attempt) {
            return Decision::Deny(denial);
        }
        let rule = match self.allow_list(attempt, situation) {
            Ok(rule) => rule,
            Err(denial) => return Decision::Deny(denial),
        };
        // Quotas last: what is not permitted anyway is told as that, however much is open.
        match self.quotas(attempt, situation) {
            Some(denial) => Decision::Deny(denial),
            None => Decision::Allow(Permit::new(rule, way_out(attempt))),
        }
    }

    /// Every refusal of an attempt, the one that [`decide`](Self::decide) gives first: what has to be changed before it
    /// is permitted (RSN-5). Where a hard limit refuses there is nothing to change, and it is told alone.
    ///
    /// This is for those who tell people, not for judging: it asks all layers and allocates.
    pub fn denials<'p>(&'p self, attempt: &Attempt<'_>, situation: &Situation<'p>) -> Vec<Denial<'p>> {
        if let Some(denial) = self.hard(attempt, situation) {
            return vec![denial];
        }
        let limits = if self.allow.is_the_operators() {
            [None, None, None]
        } else {
            // All, since lifting the one leaves the others.
            [
                self.shut_transport_of(attempt),
                self.shut_udp_behind_proxy(attempt),
                self.shut_remote_of(attempt),
            ]
        };
        let mut denials: Vec<Denial<'p>> = self
            .deny_list(attempt)
            .into_iter()
            .chain(limits.into_iter().flatten())
            .chain(self.listed(attempt, situation).err())
            .chain(
                self.within()
                    .and_then(|whole| whole.allow_list(attempt, situation).err())
                    .map(Denial::of_whole),
            )
            .chain(self.quotas(attempt, situation))
            .collect();
        if !denials.is_empty() && !self.allow.is_the_operators() {
            denials.extend(self.shut_behind(attempt));
        }
        denials
    }

    /// The answer of one layer alone, for explanations. [`decide`](Self::decide) is the first refusal of all layers.
    pub fn ask<'p>(
        &'p self,
        layer: Layer,
        attempt: &Attempt<'_>,
        situation: &Situation<'p>,
    ) -> LayerAnswer<'p> {
        let refusal = match layer {
            Layer::Hard => self.hard(attempt, situation),
            Layer::DenyList => self.deny_list(attempt),
            Layer::RuntimeLimits => self.runtime_limits(attempt),
            Layer::AllowList => {
                return match self.allow_list(attempt, situation) {
                    Ok(rule) => LayerAnswer::Permits(rule),
                    Err(denial) => LayerAnswer::Refuses(denial),
                };
            }
            Layer::Quotas => self.quotas(attempt, situation),
        };
        refusal.map_or(LayerAnswer::Passes, LayerAnswer::Refuses)
    }
}

/// The destination that a permit leads to. To receive a datagram is no way out.
fn way_out(attempt: &Attempt<'_>) -> Option<Endpoint> {
    match attempt {
        Attempt::Receive { .. } => None,
        attempt => attempt.remote(),
    }
}

#[cfg(test)]
mod tests;
