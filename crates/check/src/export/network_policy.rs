//! The policy as a `NetworkPolicy` of Kubernetes, `networking.k8s.io/v1`.
//!
//! It has no denials: what is denied is an exception of what is permitted. As soon as a pod is selected by one, only what some
//! rule has passes; several policies for a pod are their sum, so another one can make this one wider.

use outport_policy::{Host, PortSet, Transport};
use serde_json::{Value, json};

use super::request::{NeededHost, Spoken};
use super::sliced::{Slice, slices};
use super::{Exported, Need, TooLarge, told_lines, yaml};

pub(super) fn document(exported: &Exported) -> Result<String, TooLarge> {
    let mut rules: Vec<Value> = exported.needs.iter().filter_map(of_need).collect();
    for flow in exported.flows() {
        let slices = slices(flow)?;
        rules.extend(slices.iter().map(|slice| of_slice(flow.transport, slice)));
    }
    let policy = json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": { "name": exported.title },
        "spec": {
            "podSelector": { "matchLabels": match_labels(exported) },
            "policyTypes": ["Egress"],
            "egress": rules,
        },
    });
    Ok(commented(exported) + &yaml::document(&policy))
}

/// The notes in front of a document.
pub(super) fn commented(exported: &Exported) -> String {
    let lines = told_lines(exported).into_iter();
    let lines = lines.map(|line| format!("#{}{line}\n", if line.is_empty() { "" } else { " " }));
    lines.collect()
}

/// The labels by which pods are selected.
pub(super) fn match_labels(exported: &Exported) -> Value {
    let labels = exported.labels.iter();
    Value::Object(
        labels
            .map(|(key, value)| (key.clone(), Value::from(value.as_str())))
            .collect(),
    )
}

fn of_slice(transport: Transport, slice: &Slice) -> Value {
    let to: Vec<Value> = slice
        .networks
        .iter()
        .map(|network| {
            let mut block = json!({ "cidr": network.cidr.to_string() });
            if !network.except.is_empty() {
                let except = network.except.iter().map(ToString::to_string);
                block["except"] = except.collect::<Vec<_>>().into();
            }
            json!({ "ipBlock": block })
        })
        .collect();
    json!({ "to": to, "ports": ports(transport, &slice.ports) })
}

fn ports(transport: Transport, ports: &PortSet) -> Vec<Value> {
    let protocol = protocol(transport);
    let ranges = ports.ranges().iter().map(|range| {
        let mut port = json!({ "protocol": protocol, "port": range.first() });
        if range.first() != range.last() {
            port["endPort"] = range.last().into();
        }
        port
    });
    ranges.collect()
}

pub(super) fn protocol(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "TCP",
        Transport::Udp => "UDP",
    }
}

fn of_need(need: &Need) -> Option<Value> {
    let protocols: &[&str] = match need.spoken {
        Spoken::Tcp => &["TCP"],
        Spoken::UdpAndTcp => &["UDP", "TCP"],
    };
    let ports: Vec<Value> = protocols
        .iter()
        .map(|protocol| json!({ "protocol": protocol, "port": need.port }))
        .collect();
    let to = match &need.at {
        NeededHost::Host(Host::Address(address)) => {
            let cidr = ipnet::IpNet::from(address.ip()).to_string();
            json!({ "ipBlock": { "cidr": cidr } })
        }
        NeededHost::ClusterDns => json!({
            "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": "kube-system" } },
            "podSelector": { "matchLabels": { "k8s-app": "kube-dns" } },
        }),
        NeededHost::Host(Host::Name(_)) => return None,
    };
    Some(json!({ "to": [to], "ports": ports }))
}
