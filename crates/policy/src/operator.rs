//! Everything that the operator decides, for every guest of the process.

use crate::{DenyList, EgressProxy, Quotas, RuntimeLimits, TlsNames};

/// The operator's part of a policy. By default the deny list is empty, the runtime limits hold and the quotas
/// have their defaults.
///
/// It is immutable: a changed deny list makes a new one, which takes the old one's place at once (DL-9).
#[derive(Clone, Debug, Default)]
pub struct Operator {
    /// Layer 2: what nobody may reach.
    pub deny: DenyList,
    /// Layer 3: what stays shut until lifted.
    pub limits: RuntimeLimits,
    /// Layer 5: how much at once.
    pub quotas: Quotas,
    /// The proxy that connections of guests go through, which no guest may speak to itself. Default: none.
    pub egress_proxy: Option<EgressProxy>,
    /// By which layers the server names of TLS are judged (TLS-1). Default: by the deny list.
    pub tls_names: TlsNames,
}
