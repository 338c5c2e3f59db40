//! Policies of Kubernetes and Cilium, read as their documentation says what they mean.
//!
//! | | is |
//! | --- | --- |
//! | `NetworkPolicy` | the sum of its rules; a network without its exceptions; ports from `port` to `endPort` |
//! | `CiliumNetworkPolicy` | `egressDeny` before `egress`; networks; ports, which are strings |
//! | both | loopback is inside the pod, where no policy is asked |
//!
//! What selects pods or names is about no address, and left out.

use std::net::IpAddr;

use outport_policy::Transport;
use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

use super::scenes::Probe;

/// A policy, parsed.
pub(super) struct Evaluated {
    allowed: Vec<Rule>,
    denied: Vec<Rule>,
}

struct Rule {
    networks: Vec<(ipnet::IpNet, Vec<ipnet::IpNet>)>,
    ports: Vec<(Transport, u16, u16)>,
}

impl Evaluated {
    pub(super) fn read(document: &str) -> Self {
        let policy = parsed(document);
        let rules = |key: &str| -> Vec<Rule> {
            let rules = policy["spec"][key].as_array();
            rules.into_iter().flatten().map(Rule::read).collect()
        };
        Self {
            allowed: rules("egress"),
            denied: rules("egressDeny"),
        }
    }

    pub(super) fn passes(&self, probe: Probe) -> bool {
        let has = |rules: &[Rule]| rules.iter().any(|rule| rule.has(probe));
        probe.remote.ip().is_loopback() || (has(&self.allowed) && !has(&self.denied))
    }

    pub(super) fn networks(&self) -> usize {
        self.allowed.iter().map(|rule| rule.networks.len()).sum()
    }
}

/// YAML as JSON has it.
pub(super) fn parsed(document: &str) -> Value {
    let documents = YamlLoader::load_from_str(document).unwrap_or_else(|error| panic!("{error}\n{document}"));
    let [document] = documents.as_slice() else {
        panic!("not one document:\n{document}")
    };
    json(document)
}

fn json(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Hash(members) => {
            let members = members.iter();
            let members = members.map(|(key, value)| (key.as_str().unwrap().to_owned(), json(value)));
            Value::Object(members.collect())
        }
        Yaml::Array(items) => items.iter().map(json).collect(),
        Yaml::String(text) => Value::from(text.as_str()),
        Yaml::Integer(number) => Value::from(*number),
        other => panic!("{other:?}"),
    }
}

impl Rule {
    fn read(rule: &Value) -> Self {
        let blocks = rule["to"].as_array().into_iter().flatten();
        let blocks = blocks.map(|to| &to["ipBlock"]);
        let sets = rule["toCIDRSet"].as_array().into_iter().flatten();
        let networks = blocks.chain(sets).filter(|block| !block.is_null()).map(|block| {
            let cidr: ipnet::IpNet = block["cidr"].as_str().unwrap().parse().unwrap();
            let except = block["except"].as_array().into_iter().flatten();
            let except = except.map(|net| {
                let net: ipnet::IpNet = net.as_str().unwrap().parse().unwrap();
                // What Kubernetes checks.
                assert!(cidr.contains(&net) && cidr != net, "{net} of {cidr}");
                net
            });
            (cidr, except.collect())
        });
        let written = rule["ports"].as_array().into_iter().flatten();
        let cilium = rule["toPorts"].as_array().into_iter().flatten();
        let cilium = cilium.flat_map(|ports| ports["ports"].as_array().unwrap());
        let ports = written.chain(cilium).flat_map(|port| {
            let first = match &port["port"] {
                Value::String(text) => text.parse().unwrap(),
                number => u16::try_from(number.as_u64().unwrap()).unwrap(),
            };
            let last = port["endPort"]
                .as_u64()
                .map_or(first, |last| u16::try_from(last).unwrap());
            assert!(first > 0 && first <= last);
            let transports: &[Transport] = match port["protocol"].as_str().unwrap() {
                "TCP" => &[Transport::Tcp],
                "UDP" => &[Transport::Udp],
                "ANY" => &[Transport::Tcp, Transport::Udp],
                other => panic!("{other}"),
            };
            transports.iter().map(move |transport| (*transport, first, last))
        });
        Self {
            networks: networks.collect(),
            ports: ports.collect(),
        }
    }

    fn has(&self, probe: Probe) -> bool {
        let (ip, port): (IpAddr, u16) = (probe.remote.ip(), probe.remote.port());
        let network = self
            .networks
            .iter()
            .any(|(cidr, except)| cidr.contains(&ip) && !except.iter().any(|net| net.contains(&ip)));
        let ports = self
            .ports
            .iter()
            .any(|(transport, first, last)| *transport == probe.transport && *first <= port && port <= *last);
        network && ports
    }
}
