//! The quotas of the process, and what is used of them.

use std::sync::atomic::Ordering;

use ::metrics::Gauge;
use outport_policy::Quotas;

use super::{QUOTA_LIMIT, QUOTA_USED};
use crate::meter::Meter;
use crate::process::ProcessUsage;

/// The gauges of the quotas of a process. Where there is no bound, the limit is infinite: a limit of 0 permits nothing.
pub(crate) struct QuotaGauges {
    sockets: Used,
    connections: Used,
    /// They are counted only where there is a bound, which stays.
    http_connections: Option<Used>,
}

struct Used {
    used: Gauge,
    limit: Gauge,
}

impl QuotaGauges {
    pub(crate) fn new(meter: &Meter, http_connections: Option<u32>) -> Self {
        let of = |quota: &'static str| Used {
            used: meter.gauge(&QUOTA_USED, [quota.into()]),
            limit: meter.gauge(&QUOTA_LIMIT, [quota.into()]),
        };
        Self {
            sockets: of("sockets_per_process"),
            connections: of("total_connections"),
            http_connections: http_connections.map(|_| of("http_connections")),
        }
    }

    pub(crate) fn set(&self, quotas: &Quotas, usage: &ProcessUsage) {
        let open = usage.open().load(Ordering::Relaxed);
        self.sockets.set(open, Some(quotas.sockets_per_process));
        self.connections.set(open, quotas.total_connections);
        if let (Some(gauges), Some((used, most))) = (&self.http_connections, usage.http_connections_used()) {
            gauges.set(used, Some(most));
        }
    }
}

impl Used {
    fn set(&self, used: u32, most: Option<u32>) {
        self.used.set(f64::from(used));
        self.limit.set(most.map_or(f64::INFINITY, f64::from));
    }
}
