//! The destinations that a policy can reach and an earlier one could not.
//!
//! Entries that hold secrets are in no document, so of these the text is compared: one that was not there before is
//! told as gained, whatever it stands for.

use std::collections::HashSet;
use std::fmt::Write;
use std::sync::Arc;

use outport_policy::{
    AllowList, BlockedNetwork, BlockedNetworkError, DenyList, EgressProxy, Entry, EntryError, Host, Limit,
    Location, Operator, Policy, PortSet, PortsError, RuntimeLimits, TlsNames, UnknownTlsNames, gained, text,
};
use serde::Serialize;

use super::{EffectiveComponent, EffectivePolicy, OperatorSummary};
use crate::renderer::wrap;

/// The news, component by component.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// Always 1.
    pub version: u32,
    /// The destinations that can be reached now and could not be before.
    pub gained: Vec<Gained>,
    /// The destinations that could be reached before and cannot be now.
    pub lost: Vec<Gained>,
    /// True if names may resolve to loopback now and might not before.
    pub loopback_answers_lifted: bool,
    /// True if connections are held to fewer names where guests open TLS than before.
    #[serde(default, skip_serializing_if = "is_false")]
    pub tls_names_loosened: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// An entry, or a label (`key-value:default`), by which a component reaches what it did not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gained {
    /// The component.
    pub component: String,
    /// The entry, in canonical spelling.
    pub entry: String,
    /// One of the destinations; the label itself.
    pub example: String,
}

/// The reason why a document is no effective policy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// Not JSON of the right shape.
    #[error("this is not an effective policy: {0}")]
    Shape(#[from] serde_json::Error),
    /// Another version than 1.
    #[error("this is an effective policy of version {0}; this Outport knows version 1")]
    Version(u32),
    /// An entry in it is none.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// A network in it is none.
    #[error(transparent)]
    Network(#[from] BlockedNetworkError),
    /// The ports in it are none.
    #[error(transparent)]
    Ports(#[from] PortsError),
    /// An egress proxy in it is none.
    #[error("an egress proxy in it is not `HOST:PORT`")]
    EgressProxy,
    /// The word for the names of TLS in it is none.
    #[error(transparent)]
    TlsNames(#[from] UnknownTlsNames),
}

impl EffectivePolicy {
    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    ///
    /// When it did not.
    pub fn from_json(text: &str) -> Result<Self, DocumentError> {
        let document: Self = serde_json::from_str(text)?;
        match document.version {
            1 => Ok(document),
            other => Err(DocumentError::Version(other)),
        }
    }

    /// The policies that it was made of.
    ///
    /// # Errors
    ///
    /// When an entry in it is none.
    pub fn policies(&self) -> Result<Vec<Policy>, DocumentError> {
        let operator = Arc::new(self.operator.operator()?);
        let mut policies: Vec<Policy> = Vec::new();
        for component in &self.components {
            let entries = component
                .entries
                .iter()
                .filter(|entry| !entry.concealed)
                .map(|entry| Entry::parse(&entry.entry, Location::Code));
            let allow = AllowList::compile(entries.collect::<Result<_, _>>()?);
            // A component stands before its parts.
            let whole = component
                .within
                .as_ref()
                .and_then(|whole| policies.iter().find(|policy| policy.component() == whole));
            policies.push(match whole {
                Some(whole) => whole.for_part(component.id.as_str(), Arc::new(allow)),
                None => Policy::new(component.id.as_str(), Arc::new(allow), Arc::clone(&operator)),
            });
        }
        Ok(policies)
    }

    /// The destinations that this policy can reach and `before` could not, and the other way round.
    ///
    /// # Errors
    ///
    /// When an entry in one of them is none.
    pub fn since(&self, before: &Self) -> Result<Difference, DocumentError> {
        let (old, new) = (before.policies()?, self.policies()?);
        Ok(Difference {
            version: 1,
            gained: [
                all_gained(&old, &new),
                concealed_gained(before, self),
                labels_gained(before, self),
            ]
            .concat(),
            lost: [
                all_gained(&new, &old),
                concealed_gained(self, before),
                labels_gained(self, before),
            ]
            .concat(),
            loopback_answers_lifted: self.operator.allow_loopback_answers
                && !before.operator.allow_loopback_answers,
            tls_names_loosened: self.operator.tls_names()? < before.operator.tls_names()?,
        })
    }
}

impl Difference {
    /// True if anything can be reached that could not be reached before.
    pub fn reaches_more(&self) -> bool {
        !self.gained.is_empty() || self.loopback_answers_lifted || self.tls_names_loosened
    }

    /// As one JSON document with its line end.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("INVARIANT: strings are JSON") + "\n"
    }

    /// For people, broken at so many columns.
    pub fn to_text(&self, columns: usize) -> String {
        let mut text = String::new();
        for (sign, verb, entries) in [('+', "now", &self.gained), ('-', "no longer", &self.lost)] {
            for one in entries {
                let line = format!("{sign} {} {}", one.component, text::excerpt(&one.entry));
                let _ = writeln!(text, "{}", text::terminal(&line));
                let _ = writeln!(
                    text,
                    "{}",
                    wrap(
                        &text::terminal(&format!("{verb} reaches {}", one.example)),
                        (4, 6),
                        columns
                    )
                );
            }
        }
        if self.loopback_answers_lifted {
            text.push_str("+ names other than `localhost` may resolve to loopback\n");
        }
        if self.tls_names_loosened {
            text.push_str("+ connections are held to fewer names where TLS is opened\n");
        }
        if text.is_empty() {
            text.push_str("reaches the same as before\n");
        }
        text
    }
}

impl OperatorSummary {
    fn tls_names(&self) -> Result<TlsNames, DocumentError> {
        Ok(self.tls_names.parse()?)
    }

    fn operator(&self) -> Result<Operator, DocumentError> {
        let denied = self
            .disallowed_outbound_hosts
            .iter()
            .map(|text| Entry::parse(text, Location::Code));
        let blocked = self
            .block_networks
            .iter()
            .map(|text| BlockedNetwork::parse(text, Location::Code));
        let loopback_ports = match self.allow_loopback_ports.as_str() {
            "" => PortSet::EMPTY,
            ports => PortSet::parse(ports)?,
        };
        let limits = RuntimeLimits {
            udp: Limit::lifted_if(self.allow_udp),
            loopback_ports,
            link_local: Limit::lifted_if(self.allow_link_local),
            loopback_answers: Limit::lifted_if(self.allow_loopback_answers),
        };
        let deny = DenyList::compile(
            denied.collect::<Result<_, _>>()?,
            blocked.collect::<Result<_, _>>()?,
        );
        let proxies = self.egress_proxy.iter().map(|text| {
            let (host, port) = text.rsplit_once(':')?;
            Some((Host::parse(host).ok()?, port.parse().ok()?))
        });
        let proxies: Vec<_> = proxies.collect::<Option<_>>().ok_or(DocumentError::EgressProxy)?;
        Ok(Operator {
            deny,
            limits,
            egress_proxy: (!proxies.is_empty()).then(|| EgressProxy::new(proxies)),
            tls_names: self.tls_names()?,
            ..Operator::default()
        })
    }
}

/// A component that is in one of the two only reaches nothing in the other.
fn all_gained(old: &[Policy], new: &[Policy]) -> Vec<Gained> {
    let mut all = Vec::new();
    for policy in new {
        let before = old.iter().find(|old| old.component() == policy.component());
        let nothing = Policy::new(policy.component(), Arc::default(), Arc::default());
        let gains = gained(before.unwrap_or(&nothing), policy);
        all.extend(gains.iter().map(|gain| Gained {
            component: policy.component().to_owned(),
            entry: gain.entry.to_string(),
            example: gain.example.to_string(),
        }));
    }
    all
}

/// Labels that are not in the older policy.
fn labels_gained(old: &EffectivePolicy, new: &EffectivePolicy) -> Vec<Gained> {
    let mut all = Vec::new();
    for component in &new.components {
        let before = old.components.iter().find(|old| old.id == component.id);
        let before: HashSet<&String> = before.iter().flat_map(|old| &old.labels).collect();
        let gained = component.labels.iter().filter(|label| !before.contains(label));
        all.extend(gained.map(|label| Gained {
            component: component.id.clone(),
            entry: label.clone(),
            example: label.clone(),
        }));
    }
    all
}

/// Entries that hold secrets and are not in the older policy in the same words.
fn concealed_gained(old: &EffectivePolicy, new: &EffectivePolicy) -> Vec<Gained> {
    let concealed = |policy: &EffectivePolicy| -> Vec<(String, String)> {
        let of = |component: &EffectiveComponent| {
            let entries = component.entries.iter().filter(|entry| entry.concealed);
            let id = component.id.clone();
            entries
                .map(move |entry| (id.clone(), entry.entry.clone()))
                .collect::<Vec<_>>()
        };
        policy.components.iter().flat_map(of).collect()
    };
    let before = concealed(old);
    let gained = concealed(new).into_iter().filter(|one| !before.contains(one));
    gained
        .map(|(component, entry)| Gained {
            component,
            example: format!("what `{entry}` stands for"),
            entry,
        })
        .collect()
}
