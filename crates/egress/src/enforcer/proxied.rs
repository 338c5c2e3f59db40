//! The egress proxy beside a decision: whether the destination is one, and which one a connection goes through (PX).

use std::net::SocketAddr;
use std::sync::Arc;

use outport_policy::{Attempt, Endpoint, Operator, Rule};

use super::Enforcer;
use super::state::State;
use crate::proxy::ProxyServer;

impl Enforcer {
    /// True if `remote` leads to a proxy on this machine, or may, without the policy in force saying so (PX-2). It asks the
    /// kernel, and so before the state is locked.
    pub(super) fn may_be_proxy(&self, remote: SocketAddr) -> bool {
        let process = self.process();
        let proxies = process.proxies.as_ref();
        proxies.is_some_and(|proxies| proxies.may_be_at(remote, &process.policy))
    }

    /// Has the state's policy take `remote` for a proxy. For one decision alone: the next one follows the policy in force
    /// again, so that nothing that guests try is kept.
    pub(super) fn take_for_proxy(&self, state: &mut State, remote: Endpoint) {
        let mut operator = Operator::clone(state.policy.operator());
        if let Some(proxy) = &mut operator.egress_proxy {
            proxy.learn(remote);
        }
        state.policy = self.component.policy(Arc::new(operator));
    }

    /// The proxy that what `rule` permits goes through. An address that the operator configured is gone to directly (HI-6).
    pub(super) fn proxy_for(
        &self,
        attempt: &Attempt<'_>,
        rule: &Rule<'_>,
        remote: Endpoint,
    ) -> Option<Arc<ProxyServer>> {
        let proxies = self.process().proxies.as_ref()?;
        if self.component.is_the_operators() {
            return None;
        }
        let by_name = match rule {
            Rule::Grant { name, .. } => Some(*name),
            _ => None,
        };
        proxies
            .proxies()
            .server_for_attempt(attempt, by_name, remote)
            .cloned()
    }
}
