//! The operator's egress proxy (PX), in layers 1 and 3.

use super::*;
use crate::EgressProxy;

fn behind(host: &str, allow: &[&str], change: impl FnOnce(&mut Operator)) -> World {
    World::with(allow, &[], |operator| {
        operator.egress_proxy = Some(EgressProxy::new([(Host::parse(host).unwrap(), 3128)]));
        change(operator);
    })
}

// proves: PX-2, ORD-1
#[test]
fn nobody_reaches_the_proxy_by_any_way() {
    let by_address = behind("10.0.0.5", &["*://*:*"], |_| {});
    for (remote, expected) in [
        ("10.0.0.5:3128", "hard.egress-proxy"),
        ("[64:ff9b::a00:5]:3128", "hard.egress-proxy"),
        ("10.0.0.5:3129", "allow"),
        ("127.0.0.1:3128", "allow"),
    ] {
        assert_eq!(by_address.tcp(remote), expected, "{remote}");
        assert_eq!(
            by_address.dial(&Scheme::HTTP, "web.example", &[], remote),
            if remote.starts_with("127") {
                "dns.rebinding"
            } else {
                expected
            },
            "{remote}"
        );
    }
    assert_eq!(
        by_address.request(&Scheme::HTTP, "10.0.0.5", 3128),
        "hard.egress-proxy"
    );
    assert_eq!(
        by_address.request(&Scheme::HTTP, "167772165", 3128),
        "hard.egress-proxy"
    );
    let by_name = behind("proxy.example", &["*://*:*"], |_| {});
    assert_eq!(
        by_name.request(&Scheme::HTTPS, "Proxy.Example.", 3128),
        "hard.egress-proxy"
    );
    assert_eq!(by_name.request(&Scheme::HTTPS, "proxy.example", 443), "allow");
    // That it has a name is no secret, and its other ports are destinations like any.
    assert_eq!(by_name.lookup("proxy.example"), "allow");
    // First of all layers, and nothing lifts it.
    let denied = World::with(&[], &["*://10.0.0.5:*"], |operator| {
        operator.egress_proxy = Some(EgressProxy::new([(Host::parse("10.0.0.5").unwrap(), 3128)]));
    });
    let attempt = reach(Transport::Tcp, "10.0.0.5:3128");
    assert_eq!(denied.code(&attempt), "hard.egress-proxy");
    assert_eq!(denied.remedy(&attempt), None);
}

// proves: PX-4, RSN-5
#[test]
fn udp_stays_shut_and_all_that_shuts_it_is_told() {
    let create = Attempt::CreateSocket {
        transport: Transport::Udp,
    };
    let lifted = behind("10.0.0.5", &["*://*:*"], |operator| {
        operator.limits.udp = Limit::Lifted
    });
    let holds = behind("10.0.0.5", &["*://*:*"], |_| {});
    for world in [&lifted, &holds] {
        assert_eq!(world.code(&create), "runtime.udp-proxied");
        assert_eq!(world.udp("192.0.2.1:53"), "runtime.udp-proxied");
        assert_eq!(world.udp("127.0.0.1:5353"), "runtime.udp-proxied");
        let remedy = Remedy::Lift(Setting::NoEgressProxy);
        assert_eq!(world.remedy(&create), Some(remedy));
    }
    let reasons = |world: &World| {
        let situation = Situation {
            grants: &world.grants,
            peers: &world.peers,
            usage: world.usage,
            now: world.now,
        };
        let denials = world.policy.denials(&create, &situation);
        denials
            .iter()
            .map(|denial| denial.reason().code())
            .collect::<Vec<_>>()
    };
    assert_eq!(reasons(&lifted), ["runtime.udp-proxied"]);
    assert_eq!(reasons(&holds), ["runtime.udp-proxied", "runtime.udp"]);
}
