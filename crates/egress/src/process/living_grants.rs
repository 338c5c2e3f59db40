//! The grants that are alive in a process, for whoever shows them.
//!
//! An instance is listed with the first look-up that it settles, and is no more when it ends or its state is dropped. What
//! it grants is read where it is, under the lock of the instance, so nothing is copied while guests run; and where nobody
//! asked for the list ([`EgressBuilder::list_grants`](crate::EgressBuilder::list_grants)) nothing is listed.
//!
//! Two locks, never one in the other the wrong way round: an instance lists itself under its own lock, and whoever reads
//! takes the list first, gives it back, and then asks one instance after the other.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

/// A name by which an instance may reach addresses now (DNS-3).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LivingGrant {
    /// The component, or the part of one, whose instance has looked it up.
    pub component: Arc<str>,
    /// The number of the instance, as in the audit log.
    pub instance: u64,
    /// The name.
    pub name: String,
    /// The names that the answer led through.
    pub chain: Vec<String>,
    /// The addresses that it grants.
    pub addresses: Vec<IpAddr>,
    /// The time since the look-up.
    pub age: Duration,
}

/// What is alive, as far as it was to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LivingGrants {
    /// By instance and name.
    pub grants: Vec<LivingGrant>,
    /// So many more are alive.
    pub more: u64,
}

/// A part of an instance that may have grants.
pub(crate) trait HoldsGrants: Send + Sync {
    /// What it grants now; nothing once its instance ends.
    fn grants(&self, component: &Arc<str>, instance: u64) -> Vec<LivingGrant>;
}

/// Those who have looked names up and are alive.
#[derive(Default)]
pub(crate) struct GrantHolders(Mutex<Holders>);

#[derive(Default)]
struct Holders {
    next: u64,
    alive: BTreeMap<u64, Holder>,
}

#[derive(Clone)]
struct Holder {
    component: Arc<str>,
    instance: u64,
    grants: Weak<dyn HoldsGrants>,
}

/// The place of one among them, until it is dropped.
pub(crate) struct Listed {
    holders: Arc<GrantHolders>,
    number: u64,
}

impl GrantHolders {
    /// Lists what `instance` of `component` looks up from now on.
    pub(crate) fn list(
        self: &Arc<Self>,
        component: Arc<str>,
        instance: u64,
        grants: Weak<dyn HoldsGrants>,
    ) -> Listed {
        let mut holders = self.lock();
        let number = holders.next;
        holders.next += 1;
        let holder = Holder {
            component,
            instance,
            grants,
        };
        holders.alive.insert(number, holder);
        Listed {
            holders: self.clone(),
            number,
        }
    }

    /// What is alive, of which `most` grants are told.
    pub(crate) fn alive(&self, most: usize) -> LivingGrants {
        let holders: Vec<Holder> = self.lock().alive.values().cloned().collect();
        let mut told = LivingGrants::default();
        for Holder {
            component,
            instance,
            grants,
        } in holders
        {
            let Some(of_one) = grants.upgrade() else { continue };
            let mut of_one = of_one.grants(&component, instance);
            of_one.sort_by(|one, other| one.name.cmp(&other.name));
            let room = most - told.grants.len();
            told.more += of_one.len().saturating_sub(room) as u64;
            told.grants.extend(of_one.into_iter().take(room));
        }
        told
    }

    fn lock(&self) -> MutexGuard<'_, Holders> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        self.holders.lock().alive.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use outport_policy::LookupOutcome;

    use crate::ctx::GateCtx;
    use crate::egress::Egress;
    use crate::testing::{addresses, allow, name};

    fn egress() -> Egress {
        Egress::builder().list_grants().build().unwrap()
    }

    fn open(egress: &Egress) -> GateCtx {
        egress.gate("web", allow(&["*://*:*"])).open()
    }

    fn lookup(instance: &GateCtx, host: &str, answer: &[&str]) {
        let (ticket, _) = instance.enforcer.begin_lookup(&name(host)).unwrap();
        let outcome = LookupOutcome::Answered {
            chain: vec![name("real.example")],
            addresses: addresses(answer),
        };
        instance.enforcer.settle_lookup(ticket, outcome);
    }

    fn told(egress: &Egress) -> Vec<(u64, String, usize)> {
        let alive = egress.living_grants(100).grants.into_iter();
        alive
            .map(|grant| (grant.instance, grant.name, grant.addresses.len()))
            .collect()
    }

    // proves: DNS-4, DNS-7
    #[test]
    fn a_grant_is_listed_from_its_look_up_until_it_is_replaced_or_its_instance_ends() {
        let egress = egress();
        let (one, other) = (open(&egress), open(&egress));
        assert!(told(&egress).is_empty());
        lookup(&one, "b.example", &["192.0.2.1", "192.0.2.2"]);
        lookup(&one, "a.example", &["192.0.2.3"]);
        lookup(&other, "a.example", &["192.0.2.4"]);
        let (first, second) = (one.instance(), other.instance());
        let all = [
            (first, "a.example".to_owned(), 1),
            (first, "b.example".to_owned(), 2),
            (second, "a.example".to_owned(), 1),
        ];
        assert_eq!(told(&egress), all);
        let alive = egress.living_grants(2);
        assert_eq!((alive.grants.len(), alive.more), (2, 1));
        assert_eq!(alive.grants[0].chain, ["real.example"]);
        // Another answer in its place, and then none at all.
        lookup(&one, "b.example", &["192.0.2.9"]);
        assert_eq!(told(&egress)[1].2, 1);
        lookup(&one, "b.example", &[]);
        assert_eq!(told(&egress).len(), 2);
        // What outlives an instance keeps no grant of it.
        let kept = one.enforcer.clone();
        kept.end();
        assert_eq!(told(&egress), all[2..]);
        drop((one, kept, other));
        assert!(told(&egress).is_empty());
        let holders = egress.process().grants.as_ref().unwrap();
        assert!(holders.lock().alive.is_empty(), "nobody is listed who is gone");
    }

    #[test]
    fn nobody_is_listed_where_nobody_asked_for_it() {
        let egress = Egress::builder().build().unwrap();
        let instance = open(&egress);
        lookup(&instance, "a.example", &["192.0.2.1"]);
        assert_eq!(egress.living_grants(100), super::LivingGrants::default());
    }
}
