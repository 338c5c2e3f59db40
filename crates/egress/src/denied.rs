//! A refusal, for whoever has to say it in the guest's terms (RSN-3).

use outport_policy::{Layer, Reason};

/// That an attempt was refused, and why; the guest gets to know only what kind of refusal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Denied {
    reason: Reason,
}

/// The part of a refusal that a guest may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeniedKind {
    /// The attempt is not permitted.
    Policy,
    /// The attempt is permitted, and there is too much of its kind already.
    Quota,
}

impl Denied {
    pub(crate) fn new(reason: Reason) -> Self {
        Self { reason }
    }

    pub(crate) fn kind(self) -> DeniedKind {
        match self.reason {
            Reason::QuotaSockets | Reason::QuotaLookups | Reason::QuotaConnections => DeniedKind::Quota,
            Reason::QuotaLookupRate | Reason::QuotaNames | Reason::QuotaBytes => DeniedKind::Quota,
            _ => DeniedKind::Policy,
        }
    }

    /// True if somebody else may give back what is missing, so that a while is waited for it. Bytes that were sent
    /// come back to nobody.
    pub(crate) fn is_waited_for(self) -> bool {
        self.kind() == DeniedKind::Quota && self.reason != Reason::QuotaBytes
    }

    /// The layer that refused.
    pub(crate) fn layer(self) -> Layer {
        self.reason.layer()
    }

    /// True if it is the address that is refused, whoever asks for it and by whatever name.
    pub(crate) fn is_about_the_address(self) -> bool {
        let hard = matches!(
            self.reason,
            Reason::HardMulticast | Reason::HardUnspecified | Reason::HardEgressProxy
        );
        hard || matches!(self.layer(), Layer::DenyList | Layer::RuntimeLimits)
    }

    /// Why.
    pub fn reason(self) -> Reason {
        self.reason
    }
}
