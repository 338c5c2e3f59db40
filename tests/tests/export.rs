//! `outport export`: the same policy in the words of the layer below, held against what Outport decides.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "export/commands.rs"]
mod commands;
#[path = "export/evaluated.rs"]
mod evaluated;
#[path = "export/prober.rs"]
mod prober;
#[path = "export/scenes.rs"]
mod scenes;

use std::sync::Arc;

use outport_check::export::{Attached, Differs, Exported, Request, Target};
use outport_e2e::network::isolated;
use outport_policy::{AllowList, DenyList, Operator, Policy, Transport};

use self::evaluated::Evaluated;
use self::prober::{Prober, load};
use self::scenes::{Probe, Scene};

/// Policies that are compared.
const SCENES: u64 = 200;

/// What was seen of a comparison, so that one that compares nothing fails.
#[derive(Debug, Default)]
struct Seen {
    both: usize,
    neither: usize,
    wider: usize,
    narrower: usize,
}

impl Seen {
    /// Every difference is listed, and everything that is listed is a difference.
    fn compare(&mut self, scene: &Scene, exported: &Exported, probe: Probe, below: bool, document: &str) {
        let outport = scene.permits(probe);
        let about = |differs| {
            let notes = exported.notes().iter().filter(|note| note.differs == differs);
            let about: Vec<&str> = notes
                .filter(|note| note.is_about(probe.transport, probe.remote))
                .map(|note| note.about.as_str())
                .collect();
            about
        };
        let (wider, narrower) = (about(Differs::Wider), about(Differs::Narrower));
        let shown = || {
            format!(
                "{probe:?}\nwider: {wider:?}\nnarrower: {narrower:?}\n{:#?}\n{document}",
                scene.texts
            )
        };
        assert_eq!(
            below && !outport,
            !wider.is_empty(),
            "below {below}, Outport {outport}: {}",
            shown()
        );
        assert_eq!(
            !below && outport,
            !narrower.is_empty(),
            "below {below}, Outport {outport}: {}",
            shown()
        );
        *match (below, outport) {
            (true, true) => &mut self.both,
            (false, false) => &mut self.neither,
            (true, false) => &mut self.wider,
            (false, true) => &mut self.narrower,
        } += 1;
    }

    fn expect_all(&self) {
        let Self {
            both,
            neither,
            wider,
            narrower,
        } = self;
        assert!(
            [both, neither, wider, narrower]
                .into_iter()
                .all(|count| *count > 100),
            "{self:?}"
        );
    }
}

#[test]
fn what_nftables_lets_pass_differs_from_outport_by_what_is_listed() {
    isolated(|| {
        let prober = Prober::new();
        let mut seen = Seen::default();
        for number in 0..SCENES {
            let scene = Scene::new(number);
            let exported = Exported::of(scene.request(), Target::Nftables).unwrap();
            let document = exported.to_nftables();
            load(&document);
            for probe in scene.probes() {
                seen.compare(&scene, &exported, probe, prober.passes(probe), &document);
            }
        }
        seen.expect_all();
    });
}

#[test]
fn a_name_s_set_opens_its_ports_and_never_what_is_denied() {
    isolated(|| {
        let prober = Prober::new();
        let list = AllowList::parse(["*://db.example.com:5432"]).unwrap();
        let operator = Arc::new(Operator {
            deny: DenyList::parse(["*://10.9.0.0/16:*", "*://evil.example.com:5432"]).unwrap(),
            ..Operator::default()
        });
        let policies = [Policy::new("web", Arc::new(list), Arc::clone(&operator))];
        let request = Request {
            name: Some("shop"),
            attached: Attached::Namespace,
            ..Request::new("shop", &policies, &operator)
        };
        let exported = Exported::of(request, Target::Nftables).unwrap();
        load(&exported.to_nftables());
        let passes = |text: &str| {
            let remote = text.parse().unwrap();
            let transport = Transport::Tcp;
            prober.passes(Probe { transport, remote })
        };
        assert!(!passes("203.0.113.7:5432"));
        for (set, elements) in [
            (
                "name_1_v4",
                "203.0.113.7, 203.0.113.8, 10.9.0.5, 127.0.0.1, 169.254.169.254",
            ),
            (
                "name_1_v6",
                "2001:db8::7, 2001:db8::5efe:a09:5, 64:ff9b::a09:5, fe80::1",
            ),
            ("denied_name_1_v4", "203.0.113.8"),
        ] {
            load(&format!("add element inet outport_shop {set} {{ {elements} }}"));
        }
        for (text, expected) in [
            ("203.0.113.7:5432", true),
            ("203.0.113.7:5433", false),
            // Denied by its name.
            ("203.0.113.8:5432", false),
            ("203.0.113.9:5432", false),
            ("10.9.0.5:5432", false),
            // No answer for a name is this machine (DNS-9).
            ("127.0.0.1:5432", false),
            ("169.254.169.254:5432", false),
            ("[2001:db8::7]:5432", true),
            ("[2001:db8::5efe:10.9.0.5]:5432", false),
            ("[64:ff9b::10.9.0.5]:5432", false),
            ("[fe80::1]:5432", false),
        ] {
            assert_eq!(passes(text), expected, "{text}");
        }
    });
}

#[test]
fn what_kubernetes_and_cilium_let_pass_differs_from_outport_by_what_is_listed() {
    for target in [Target::NetworkPolicy, Target::Cilium] {
        let mut seen = Seen::default();
        let mut networks = 0;
        for number in 0..SCENES {
            let scene = Scene::new(number);
            let exported = Exported::of(scene.request(), target).unwrap();
            let document = exported.to_yaml().unwrap();
            let policy = Evaluated::read(&document);
            networks += policy.networks();
            for probe in scene.probes() {
                seen.compare(&scene, &exported, probe, policy.passes(probe), &document);
            }
        }
        assert!(networks > 1000, "{networks}");
        seen.expect_all();
    }
}
