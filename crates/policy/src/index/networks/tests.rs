use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

fn networks(texts: &[&str]) -> Networks<usize> {
    Networks::compile(texts.iter().map(|text| text.parse().unwrap()).zip(0..))
}

fn held(networks: &Networks<usize>, address: &str) -> Vec<usize> {
    let address = Address::new(address.parse().unwrap());
    networks.holding(address).copied().collect()
}

#[test]
fn an_address_is_held_by_its_networks_the_widest_first() {
    let table = networks(&[
        "10.1.0.0/16",
        "10.0.0.0/8",
        "10.1.0.0/24",
        "192.0.2.0/24",
        "192.0.2.1/32",
        "10.1.0.0/16",
        "::/0",
        "2001:db8::/32",
        "255.255.255.255/32",
        "10.255.255.255/32",
    ]);
    for (address, holders) in [
        ("9.255.255.255", &[][..]),
        ("10.0.0.0", &[1]),
        ("10.0.255.255", &[1]),
        ("10.1.0.0", &[1, 0, 2]),
        ("10.1.0.255", &[1, 0, 2]),
        ("10.1.1.0", &[1, 0]),
        ("10.1.255.255", &[1, 0]),
        ("10.2.0.0", &[1]),
        ("10.255.255.254", &[1]),
        ("10.255.255.255", &[1, 9]),
        ("11.0.0.0", &[]),
        ("192.0.2.0", &[3]),
        ("192.0.2.1", &[3, 4]),
        ("192.0.2.2", &[3]),
        ("192.0.3.0", &[]),
        ("255.255.255.254", &[]),
        ("255.255.255.255", &[8]),
        ("::", &[6]),
        ("2001:db8::1", &[6, 7]),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", &[6]),
    ] {
        assert_eq!(held(&table, address), holders, "{address}");
    }
}

#[test]
fn each_network_of_a_long_list_is_found() {
    let texts: Vec<String> = (0..1000)
        .map(|n| format!("10.{}.{}.0/30", n / 256, n % 256))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let table = networks(&texts);
    for n in 0..1000 {
        let inside = format!("10.{}.{}.3", n / 256, n % 256);
        let behind = format!("10.{}.{}.4", n / 256, n % 256);
        assert_eq!(held(&table, &inside), [n], "{inside}");
        assert_eq!(held(&table, &behind), [], "{behind}");
    }
}

#[test]
fn no_network_holds_nothing() {
    assert_eq!(held(&Networks::default(), "0.0.0.0"), []);
    assert_eq!(held(&Networks::default(), "::"), []);
}

/// Networks that nest often: few bits vary.
fn network() -> impl Strategy<Value = IpNet> {
    let v4 = (any::<u8>(), 0..=32u8).prop_map(|(n, length)| {
        let ip = u32::from(n & 3) | (u32::from(n >> 2 & 3) << 15) | (u32::from(n >> 4) << 28);
        IpNet::new_assert(std::net::Ipv4Addr::from(ip).into(), length).trunc()
    });
    let v6 = (any::<u8>(), 0..=128u8).prop_map(|(n, length)| {
        let ip = u128::from(n & 15) | (u128::from(n >> 4) << 124);
        IpNet::new_assert(std::net::Ipv6Addr::from(ip).into(), length).trunc()
    });
    prop_oneof![v4, v6]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1024, ..ProptestConfig::default() })]

    #[test]
    fn the_table_agrees_with_asking_every_network(list in proptest::collection::vec(network(), 0..24)) {
        let table = Networks::compile(list.iter().copied().zip(0usize..));
        let edges = list.iter().flat_map(|net| [net.network(), net.broadcast()]);
        let beside = edges.clone().flat_map(|ip| match ip {
            IpAddr::V4(ip) => [-1, 1].map(|by| Ipv4Addr::from(u32::from(ip).wrapping_add_signed(by)).into()),
            IpAddr::V6(ip) => [-1, 1].map(|by| Ipv6Addr::from(u128::from(ip).wrapping_add_signed(by)).into()),
        });
        for ip in edges.chain(beside).filter(|ip| ip.to_canonical() == *ip) {
            let mut expected: Vec<usize> = (0..list.len())
                .filter(|at| list[*at].contains(&ip) && !list[..*at].contains(&list[*at]))
                .collect();
            expected.sort_by_key(|at| list[*at].prefix_len());
            let found: Vec<usize> = table.holding(Address::new(ip)).copied().collect();
            prop_assert_eq!(found, expected, "{}", ip);
        }
    }
}
