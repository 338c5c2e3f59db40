//! The quotas of the process, and what is used of them.

use std::sync::atomic::Ordering;

use ::metrics::Gauge;
use outport_policy::Quotas;

use super::{QUOTA_LIMIT, QUOTA_USED};
use crate::meter::Meter;
use crate::process::ProcessUsage;

/// The gauges of the quotas of a process; those that do not hold are 0 of 0.
pub(crate) struct QuotaGauges {
    sockets: Used,
    connections: Used,
    http_connections: Used,
}

struct Used {
    used: Gauge,
    limit: Gauge,
}

impl QuotaGauges {
    pub(crate) fn new(meter: &Meter) -> Self {
        let of = |quota: &'static str| Used {
            used: meter.gauge(&QUOTA_USED, [quota.into()]),
            limit: meter.gauge(&QUOTA_LIMIT, [quota.into()]),
        };
        Self {
            sockets: of("sockets_per_process"),
            connections: of("total_connections"),
            http_connections: of("http_connections"),
        }
    }

    pub(crate) fn set(&self, quotas: &Quotas, usage: &ProcessUsage) {
        let open = usage.open().load(Ordering::Relaxed);
        self.sockets.set(Some((open, quotas.sockets_per_process)));
        self.connections
            .set(quotas.total_connections.map(|most| (open, most)));
        self.http_connections.set(usage.http_connections_used());
    }
}

impl Used {
    fn set(&self, used_of: Option<(u32, u32)>) {
        let (used, most) = used_of.unwrap_or_default();
        self.used.set(f64::from(used));
        self.limit.set(f64::from(most));
    }
}
