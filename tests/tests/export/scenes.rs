//! Generated apps and operators, the same in every run, and the destinations at their edges.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use outport_check::export::{Attached, Need, NeededHost, Request, Spoken};
use outport_policy::{
    AllowList, Attempt, BlockedNetwork, Decision, DenyList, EgressProxy, Endpoint, Entry, Grants, Host,
    HostPattern, Limit, Location, Operator, Peers, Policy, PortSet, Quotas, RuntimeLimits, Situation,
    Transport, Usage,
};

/// An app and its operator.
pub(super) struct Scene {
    pub(super) policies: Vec<Policy>,
    operator: Arc<Operator>,
    needs: Vec<Need>,
    direct: Option<Vec<(HostPattern, PortSet)>>,
    /// Everything that was written, for messages and for its edges.
    pub(super) texts: Vec<String>,
    seed: u64,
}

/// A destination to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Probe {
    pub(super) transport: Transport,
    pub(super) remote: SocketAddr,
}

const HOSTS: [&str; 40] = [
    "*",
    "*",
    "*",
    "10.0.0.0/8",
    "10.1.2.0/24",
    "10.0.0.5",
    "10.0.0.2",
    "192.168.0.0/16",
    "172.16.0.0/12",
    "127.0.0.1",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "169.254.169.254",
    "100.64.0.0/10",
    "100.100.100.200",
    "168.63.129.16",
    "203.0.113.0/24",
    "198.51.100.7",
    "0.0.0.0/0",
    "0.0.0.0/8",
    "224.0.0.0/4",
    "255.255.255.255",
    "[::]/0",
    "[2001:db8::]/32",
    "[2001:db8::1]",
    "[64:ff9b::]/96",
    "[64:ff9b:1::]/48",
    "[2002::]/16",
    "[2001::]/32",
    "[::1]",
    "[fe80::]/10",
    "[fd00::]/8",
    "[ff00::]/8",
    "[::]/96",
    "[2000::]/3",
    "example.com",
    "*.example.com",
    "localhost",
    "*.localhost",
    "{10.0.0.5,db.test}",
];
const SCHEMES: [&str; 10] = [
    "*",
    "*",
    "*",
    "tcp",
    "udp",
    "http",
    "https",
    "redis",
    "{http,https}",
    "{tcp,postgres}",
];
const PORTS: [&str; 9] = [
    "*",
    "443",
    "80",
    "53",
    "1-1023",
    "8000-8100",
    "{80,443,5432}",
    "3128",
    "65535",
];
const BLOCKED: [&str; 4] = ["private", "10.0.0.0/8", "2001:db8::/32", "203.0.113.128/25"];

/// Where something begins or ends that no entry says.
const KNOWN_EDGES: [&str; 9] = [
    "127.0.0.0/8",
    "0.0.0.0/8",
    "224.0.0.0/4",
    "169.254.0.0/16",
    "fe80::/10",
    "ff00::/8",
    "fd00:ec2::254/128",
    "::1/128",
    "10.0.0.9/32",
];

impl Scene {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut texts = Vec::new();
        let mut entry = |dice: &mut Dice| {
            let text = format!(
                "{}://{}:{}",
                dice.pick(&SCHEMES),
                dice.pick(&HOSTS),
                dice.pick(&PORTS)
            );
            texts.push(text.clone());
            Entry::parse(&text, Location::Code).unwrap_or_else(|error| panic!("{text}: {error}"))
        };
        let lists: Vec<Vec<Entry>> = (0..1 + dice.below(2))
            .map(|_| (0..1 + dice.below(4)).map(|_| entry(&mut dice)).collect())
            .collect();
        let denied = (0..dice.below(4)).map(|_| entry(&mut dice)).collect();
        let blocked: Vec<&str> = (0..dice.below(3)).map(|_| dice.pick(&BLOCKED)).collect();
        let proxied = dice.below(8) == 0;
        let limit = |dice: &mut Dice| Limit::lifted_if(dice.below(2) == 0);
        let limits = RuntimeLimits {
            udp: limit(&mut dice),
            loopback_ports: match dice.below(3) {
                0 => PortSet::parse("80,443-500").unwrap(),
                _ => PortSet::EMPTY,
            },
            link_local: limit(&mut dice),
            loopback_answers: Limit::Holds,
        };
        let proxy = Host::parse("10.0.0.9").unwrap();
        let operator = Arc::new(Operator {
            deny: DenyList::compile(
                denied,
                blocked
                    .iter()
                    .map(|text| BlockedNetwork::parse(text, Location::Code).unwrap())
                    .collect(),
            ),
            limits,
            egress_proxy: proxied.then(|| EgressProxy::new([(proxy.clone(), 3128)])),
            ..Operator::default()
        });
        let mut needs = Vec::new();
        if dice.below(2) == 0 {
            needs.push(need("10.0.0.2", 53, Spoken::UdpAndTcp));
        }
        if dice.below(4) == 0 {
            needs.push(need("2001:db8::1", 6379, Spoken::Tcp));
        }
        if proxied {
            needs.push(need("10.0.0.9", 3128, Spoken::Tcp));
        }
        let direct = proxied.then(|| match dice.below(2) {
            0 => Vec::new(),
            _ => vec![(
                HostPattern::Network("10.1.0.0/16".parse().unwrap()),
                PortSet::parse("443").unwrap(),
            )],
        });
        let policies = lists.into_iter().enumerate().map(|(number, entries)| {
            let list = Arc::new(AllowList::compile(entries));
            Policy::new(format!("component-{number}"), list, Arc::clone(&operator))
        });
        let policies = policies.collect();
        texts.extend(blocked.iter().map(|text| format!("block {text}")));
        texts.push(format!(
            "{:?}, proxy: {proxied}, needs: {}",
            operator.limits,
            needs.len()
        ));
        Self {
            policies,
            operator,
            needs,
            direct,
            texts,
            seed,
        }
    }

    pub(super) fn request(&self) -> Request<'_> {
        Request {
            needs: self.needs.clone(),
            direct: self.direct.clone(),
            attached: Attached::Namespace,
            ..Request::new("Shop of 1", &self.policies, &self.operator)
        }
    }

    /// True if a socket of some component may go there, without a look-up.
    pub(super) fn permits(&self, probe: Probe) -> bool {
        let quotas = Quotas::default();
        let (grants, peers) = (Grants::new(quotas.granted_names), Peers::from(&quotas));
        let remote = Endpoint::from(probe.remote);
        let attempt = match probe.transport {
            Transport::Tcp => Attempt::Connect {
                transport: Transport::Tcp,
                remote,
            },
            Transport::Udp => Attempt::Send { remote },
        };
        self.policies.iter().any(|policy| {
            let situation = Situation {
                grants: &grants,
                peers: &peers,
                usage: Usage::default(),
                now: Instant::now(),
            };
            matches!(policy.decide(&attempt, &situation), Decision::Allow(_))
        })
    }

    /// Destinations at the edges of all that was written, from both sides.
    pub(super) fn probes(&self) -> Vec<Probe> {
        let mut dice = Dice(self.seed ^ 0x5555_5555_5555_5555);
        let mut addresses: Vec<IpAddr> = Vec::new();
        let networks = self.texts.iter().flat_map(|text| networks_in(text));
        for net in networks.chain(KNOWN_EDGES.map(|net| net.parse().unwrap())) {
            addresses.extend(edges(net));
        }
        let embedded: Vec<IpAddr> = addresses
            .iter()
            .filter_map(|address| match address {
                IpAddr::V4(ip) => Some(*ip),
                IpAddr::V6(_) => None,
            })
            .flat_map(embedding)
            .collect();
        addresses.extend(embedded);
        addresses.retain(|address| is_sent(*address));
        addresses.sort_unstable();
        addresses.dedup();
        let ports = self.ports();
        let mut probes = Vec::new();
        for address in addresses {
            for _ in 0..2 {
                let port = ports[dice.below(ports.len())];
                let remote = SocketAddr::new(address, port);
                for transport in [Transport::Tcp, Transport::Udp] {
                    probes.push(Probe { transport, remote });
                }
            }
        }
        probes.sort_unstable();
        probes.dedup();
        probes
    }

    fn ports(&self) -> Vec<u16> {
        let mut ports = vec![1, 1023, 1024, 65535];
        for text in &self.texts {
            let Some((_, ports_of)) = text.rsplit_once(':') else {
                continue;
            };
            let bare = ports_of.trim_matches(['{', '}']);
            if let Ok(set) = PortSet::parse(bare) {
                for range in set.ranges() {
                    let (first, last) = (range.first(), range.last());
                    ports.extend([first.saturating_sub(1), first, last, last.saturating_add(1)]);
                }
            }
        }
        ports.extend([52, 53, 3128, 6379]);
        ports.retain(|port| *port != 0);
        ports.sort_unstable();
        ports.dedup();
        ports
    }
}

fn need(address: &str, port: u16, spoken: Spoken) -> Need {
    Need {
        what: format!("what is needed at {address}"),
        at: NeededHost::Host(Host::parse(address).unwrap()),
        port,
        spoken,
    }
}

/// The networks and addresses that stand in a text.
fn networks_in(text: &str) -> Vec<ipnet::IpNet> {
    let words = text.split(|c: char| !c.is_ascii_hexdigit() && !".:/[]".contains(c));
    let plain = words.map(|word| word.replace(['[', ']'], ""));
    plain
        .flat_map(|word| {
            let bare = word.trim_start_matches("://");
            // With the port behind it, and without.
            let without = bare.rsplit_once(':').map(|(host, _)| host.to_owned());
            [Some(bare.trim_end_matches(':').to_owned()), without]
                .into_iter()
                .flatten()
                .filter_map(|word| {
                    let address = word.parse::<IpAddr>().ok().map(ipnet::IpNet::from);
                    address.or_else(|| word.parse::<ipnet::IpNet>().ok())
                })
                .collect::<Vec<_>>()
        })
        .collect()
}

/// First and last address, and their neighbours outside.
fn edges(net: ipnet::IpNet) -> Vec<IpAddr> {
    match (net.network(), net.broadcast()) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            let (first, last) = (first.to_bits(), last.to_bits());
            let middle = first + (last - first) / 2;
            [
                first.checked_sub(1),
                Some(first),
                Some(middle),
                Some(last),
                last.checked_add(1),
            ]
            .into_iter()
            .flatten()
            .map(|bits| Ipv4Addr::from_bits(bits).into())
            .collect()
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            let (first, last) = (first.to_bits(), last.to_bits());
            [first.checked_sub(1), Some(first), Some(last), last.checked_add(1)]
                .into_iter()
                .flatten()
                .map(|bits| Ipv6Addr::from_bits(bits).into())
                .collect()
        }
        _ => Vec::new(),
    }
}

/// IPv6 addresses that embed an IPv4 address, in every form.
fn embedding(ip: Ipv4Addr) -> Vec<IpAddr> {
    let low = u128::from(ip.to_bits());
    let [a, b, c, d] = ip.octets().map(u128::from);
    let prefix = |text: &str| text.parse::<Ipv6Addr>().unwrap().to_bits();
    [
        low,
        prefix("64:ff9b::") | low,
        prefix("::ffff:0:0:0") | low,
        prefix("2002::7") | (low << 80),
        prefix("2001:0:cb00:7101::") | (low ^ 0xffff_ffff),
        prefix("2001::f5ff:fffa") | (low << 64),
        prefix("2001:db8::5efe:0:0") | low,
        prefix("2600:1::200:5efe:0:0") | low,
        prefix("2600:1::100:5efe:0:0") | low,
        prefix("64:ff9b:1::") | low,
        prefix("64:ff9b:1::") | (a << 72) | (b << 64) | (c << 48) | (d << 40),
        prefix("64:ff9b:1::") | (a << 64) | (b << 48) | (c << 40) | (d << 32),
        prefix("64:ff9b:1:cb00::") | (a << 48) | (b << 40) | (c << 32) | (d << 24),
    ]
    .map(|bits| Ipv6Addr::from_bits(bits).into())
    .to_vec()
}

/// True if there are packets for the address: the kernel takes the unspecified ones for loopback, and mapped ones are IPv4.
fn is_sent(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(ip) => !ip.is_unspecified(),
        IpAddr::V6(ip) => !ip.is_unspecified() && ip.to_ipv4_mapped().is_none(),
    }
}

/// The same numbers for the same seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap() % end
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}
