//! The operator's policy: what was configured, and the addresses that the denied names were last seen at.

use std::sync::{Arc, Mutex, MutexGuard};

use arc_swap::ArcSwap;
use outport_policy::{EgressProxy, Endpoint, LearnedAddresses, Operator};
use tokio::sync::watch;

/// The operator's policy, which may be replaced while guests run. Every attempt after that is judged by the new whole.
pub(crate) struct PolicyInForce {
    operator: ArcSwap<Operator>,
    configured: Mutex<Configured>,
    replaced: watch::Sender<()>,
}

/// The settings that the policy in force is made of.
struct Configured {
    operator: Operator,
    learned: LearnedAddresses,
    /// Where the egress proxies are. They are those of the start, whatever is configured later.
    egress_proxy: Option<EgressProxy>,
}

impl PolicyInForce {
    pub(crate) fn new(operator: Operator, egress_proxy: Option<EgressProxy>) -> Self {
        let configured = Configured {
            operator,
            learned: LearnedAddresses::default(),
            egress_proxy,
        };
        Self {
            operator: ArcSwap::from_pointee(configured.in_force()),
            configured: Mutex::new(configured),
            replaced: watch::Sender::new(()),
        }
    }

    /// The policy in force, learned addresses included.
    pub(crate) fn operator(&self) -> Arc<Operator> {
        self.operator.load_full()
    }

    /// The same, without counting a reference to it.
    pub(crate) fn load(&self) -> arc_swap::Guard<Arc<Operator>> {
        self.operator.load()
    }

    /// The policy as it was configured, without learned addresses.
    pub(crate) fn configured<R>(&self, read: impl FnOnce(&Operator) -> R) -> R {
        read(&self.lock().operator)
    }

    /// The replacements from now on.
    pub(crate) fn replacements(&self) -> Replacements {
        Replacements(self.replaced.subscribe())
    }

    /// Configures another policy. Addresses that were learned stay denied until the next refresh.
    pub(super) fn replace(&self, operator: Operator) {
        self.change(|configured| configured.operator = operator);
    }

    pub(super) fn learn(&self, learned: LearnedAddresses) {
        self.change(|configured| configured.learned = learned);
    }

    /// Notes that egress proxies are at `endpoints`, and listen to `local_ports` of this machine, too (PX-2).
    pub(crate) fn learn_proxy(&self, endpoints: &[Endpoint], local_ports: &[u16]) {
        self.change(|configured| {
            if let Some(proxy) = &mut configured.egress_proxy {
                endpoints.iter().for_each(|endpoint| proxy.learn(*endpoint));
                local_ports.iter().for_each(|port| proxy.is_local(*port));
            }
        });
    }

    /// Has every instance make its policy anew before its next decision, of the same operator's: they know one by its
    /// address.
    pub(crate) fn have_policies_made_anew(&self) {
        self.change(|_| {});
    }

    pub(super) fn notify(&self) {
        self.replaced.send_replace(());
    }

    fn change(&self, change: impl FnOnce(&mut Configured)) {
        // Locked until the new one is in force, so that of two changes at a time none is lost.
        let mut configured = self.lock();
        change(&mut configured);
        self.operator.store(Arc::new(configured.in_force()));
    }

    fn lock(&self) -> MutexGuard<'_, Configured> {
        self.configured
            .lock()
            .expect("nothing panics while the policy is locked")
    }
}

/// The times that the operator's policy is [replaced](crate::Egress::replace_operator), for who does something again then.
pub struct Replacements(watch::Receiver<()>);

impl Replacements {
    /// Waits for one since this was made, or since the last one that it was told of or that was [seen](Self::see): none is
    /// missed that comes while nobody waits. Waits for ever once the policy is nobody's any more.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// Counts those until now as told: what is done next is done under the policy in force.
    pub fn see(&mut self) {
        self.0.mark_unchanged();
    }
}

impl Configured {
    fn in_force(&self) -> Operator {
        let deny = self.operator.deny.with_learned(self.learned.clone());
        Operator {
            deny,
            egress_proxy: self.egress_proxy.clone(),
            ..self.operator.clone()
        }
    }
}
