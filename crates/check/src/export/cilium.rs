//! The policy as a `CiliumNetworkPolicy`, `cilium.io/v2`.
//!
//! It knows names: of an exact one every address that was in an answer, which Cilium's own proxy for DNS sees. `*` is part of
//! one label there and `**.` any number of labels, so what is `*.example.com` here is both there. What is denied
//! (`egressDeny`) comes before everything that is permitted, names included.

use std::collections::BTreeSet;

use ipnet::IpNet;
use outport_policy::{Host, HostPattern, PortSet, Transport};
use serde_json::{Value, json};

use super::named::Named;
use super::network_policy::{commented, match_labels, protocol};
use super::request::{NeededHost, Spoken};
use super::space::{Group, Range};
use super::{Exported, MOST_NETWORKS, Need, TooLarge, check, yaml};

pub(super) fn document(exported: &Exported) -> Result<String, TooLarge> {
    let mut count = 0;
    let mut rules: Vec<Value> = exported
        .needs
        .iter()
        .map(|need| of_need(exported, need))
        .collect();
    let mut denied = Vec::new();
    for flow in exported.flows().into_iter().filter(|flow| exported.uses(flow)) {
        for group in flow.accepted.groups() {
            rules.push(of_group(flow.transport, &group, &mut count)?);
        }
        // What the process needs is let out, whatever is denied.
        let needed = exported.needed(flow.transport);
        for group in exported
            .denied_where_it_matters(flow)
            .difference(&needed)
            .groups()
        {
            denied.push(of_group(flow.transport, &group, &mut count)?);
        }
    }
    rules.extend(exported.permitted.iter().map(of_name));
    let mut spec = json!({
        "endpointSelector": { "matchLabels": match_labels(exported) },
        // Of no rule nothing would be forbidden.
        "egress": if rules.is_empty() { vec![json!({})] } else { rules },
    });
    if !denied.is_empty() {
        spec["egressDeny"] = denied.into();
    }
    let policy = json!({
        "apiVersion": "cilium.io/v2",
        "kind": "CiliumNetworkPolicy",
        "metadata": { "name": exported.title },
        "spec": spec,
    });
    Ok(commented(exported) + &yaml::document(&policy))
}

fn of_group(transport: Transport, group: &Group, count: &mut usize) -> Result<Value, TooLarge> {
    let nets: Vec<Value> = group
        .ranges()
        .flat_map(Range::networks)
        .map(|net| json!({ "cidr": net.to_string() }))
        .collect();
    *count += nets.len();
    check(*count, MOST_NETWORKS, "networks")?;
    Ok(json!({ "toCIDRSet": nets, "toPorts": [{ "ports": ports(transport, &group.ports) }] }))
}

fn of_name(named: &Named) -> Value {
    let both = [Transport::Tcp, Transport::Udp];
    let ports: Vec<Value> = both
        .into_iter()
        .flat_map(|transport| ports(transport, named.ports(transport)))
        .collect();
    json!({ "toFQDNs": patterns(&named.pattern), "toPorts": [{ "ports": ports }] })
}

fn patterns(pattern: &HostPattern) -> Vec<Value> {
    match pattern {
        HostPattern::Subdomains(apex) => vec![
            json!({ "matchPattern": format!("*.{apex}") }),
            json!({ "matchPattern": format!("**.{apex}") }),
        ],
        pattern => vec![json!({ "matchName": pattern.to_string() })],
    }
}

fn ports(transport: Transport, ports: &PortSet) -> Vec<Value> {
    let ranges = ports.ranges().iter().map(|range| {
        let mut port = json!({ "port": range.first().to_string(), "protocol": protocol(transport) });
        if range.first() != range.last() {
            port["endPort"] = range.last().into();
        }
        port
    });
    ranges.collect()
}

fn of_need(exported: &Exported, need: &Need) -> Value {
    let port = need.port.to_string();
    match (&need.at, need.spoken) {
        (NeededHost::ClusterDns, _) => json!({
            "toEndpoints": [{ "matchLabels": {
                "k8s:io.kubernetes.pod.namespace": "kube-system",
                "k8s:k8s-app": "kube-dns",
            } }],
            "toPorts": [dns_ports(exported, &port)],
        }),
        (NeededHost::Host(Host::Address(address)), spoken) => {
            let cidr = IpNet::from(address.ip()).to_string();
            let ports = match spoken {
                Spoken::Tcp => json!({ "ports": [{ "port": port, "protocol": "TCP" }] }),
                Spoken::UdpAndTcp => dns_ports(exported, &port),
            };
            json!({ "toCIDRSet": [{ "cidr": cidr }], "toPorts": [ports] })
        }
        (NeededHost::Host(Host::Name(name)), _) => json!({
            "toFQDNs": [{ "matchName": name.to_string() }],
            "toPorts": [{ "ports": [{ "port": port, "protocol": "TCP" }] }],
        }),
    }
}

/// The port of name servers, and the names that may be asked for there: Cilium learns addresses by the answers.
fn dns_ports(exported: &Exported, port: &str) -> Value {
    let mut rule = json!({ "ports": [{ "port": port, "protocol": "ANY" }] });
    let asked = asked(exported);
    // A list of nothing would bound nothing.
    if !asked.is_empty() {
        rule["rules"] = json!({ "dns": asked });
    }
    rule
}

fn asked(exported: &Exported) -> Vec<Value> {
    if exported.any_name {
        return vec![json!({ "matchPattern": "*" })];
    }
    let mut seen = BTreeSet::new();
    let rules = exported.asked.iter().flat_map(|(pattern, _)| patterns(pattern));
    rules.filter(|rule| seen.insert(rule.to_string())).collect()
}
