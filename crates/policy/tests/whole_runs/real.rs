//! The tables of the model in the terms of the policy.

use std::time::Duration;

use outport_policy::{
    Address, AnswerSource, Attempt, DenyList, Endpoint, Entry, Host, LearnedAddresses, Limit,
    Location as Origin, Name, Operator, PortRange, PortSet, RequestMethod, Scheme, Transport,
};

use super::model::{MOST_IN_FLIGHT, MOST_NAMES, MOST_PEERS, MOperator, PEER_IDLE};
use super::written::{LEARNERS, Target, Written};

pub(crate) fn entries(written: &[Written]) -> Vec<Entry> {
    written
        .iter()
        .map(|entry| Entry::parse(&entry.text(), Origin::Code).unwrap())
        .collect()
}

pub(crate) fn real_operator(model: &MOperator) -> Operator {
    let lift = |lifted: bool| if lifted { Limit::Lifted } else { Limit::Holds };
    let mut operator = Operator::default();
    operator.limits.udp = lift(model.udp);
    operator.limits.link_local = lift(model.link);
    operator.limits.loopback_answers = lift(model.loopback_answers);
    operator.limits.loopback_ports = if model.low_ports {
        PortSet::from_iter([PortRange::ALL])
    } else {
        PortSet::EMPTY
    };
    operator.quotas.lookups_in_flight = u32::try_from(MOST_IN_FLIGHT).unwrap();
    operator.quotas.granted_names = MOST_NAMES;
    operator.quotas.peers = MOST_PEERS;
    operator.quotas.peer_idle = Duration::from_secs(PEER_IDLE);
    operator.deny = DenyList::compile(entries(&model.deny), Vec::new()).with_learned(learned(model));
    operator
}

/// What the denied names of `model` resolved to.
pub(crate) fn learned(model: &MOperator) -> LearnedAddresses {
    let mut learned = LearnedAddresses::default();
    for own in LEARNERS {
        let targets = model.learned.iter().filter(|(name, _)| *name == own);
        learned.insert(&a_name(own), targets.map(|(_, target)| address(*target)));
    }
    learned
}

pub(crate) fn a_name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub(crate) fn names(texts: &[&str]) -> Vec<Name> {
    texts.iter().map(|text| a_name(text)).collect()
}

pub(crate) fn address(target: Target) -> Address {
    Address::new(target.text.parse().unwrap())
}

/// `localhost` is never a server's business.
pub(crate) fn source(name: &str) -> AnswerSource {
    if a_name(name).is_localhost() {
        AnswerSource::Localhost
    } else {
        AnswerSource::Server
    }
}

pub(crate) fn reach(transport: Transport, target: Target, port: u16) -> Attempt<'static> {
    Attempt::Connect {
        transport,
        remote: Endpoint::new(address(target), port),
    }
}

pub(crate) fn send(target: Target, port: u16) -> Attempt<'static> {
    let remote = Endpoint::new(address(target), port);
    Attempt::Send { remote }
}

pub(crate) fn request<'a>(scheme: &'a Scheme, host: &'a Host, port: u16) -> Attempt<'a> {
    Attempt::Request {
        scheme,
        host,
        port,
        method: RequestMethod::Other,
    }
}
