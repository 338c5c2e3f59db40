//! `outport export`: the same policy in the words of the layer below, held against what Outport decides.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

#[path = "export/evaluated.rs"]
mod evaluated;
#[path = "export/prober.rs"]
mod prober;
#[path = "export/scenes.rs"]
mod scenes;

use outport_check::export::{Attached, Differs, Exported, Target};
use outport_e2e::network::isolated;

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
        let shown = || format!("{probe:?}\nwider: {wider:?}\nnarrower: {narrower:?}\n{:#?}\n{document}", scene.texts);
        assert_eq!(below && !outport, !wider.is_empty(), "below {below}, Outport {outport}: {}", shown());
        assert_eq!(!below && outport, !narrower.is_empty(), "below {below}, Outport {outport}: {}", shown());
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
        println!("{self:?}");
        assert!([both, neither, wider, narrower].into_iter().all(|count| *count > 200), "{self:?}");
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
            let document = exported.to_nftables(&Attached::Namespace);
            load(&document);
            for probe in scene.probes() {
                seen.compare(&scene, &exported, probe, prober.passes(probe), &document);
            }
        }
        seen.expect_all();
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
            let document = exported.to_yaml(&[]).unwrap();
            let policy = Evaluated::read(&document);
            networks += policy.networks();
            for probe in scene.probes() {
                seen.compare(&scene, &exported, probe, policy.passes(probe), &document);
            }
        }
        println!("{networks} networks");
        seen.expect_all();
    }
}
