//! The counts of requests at one route: by method and class of status, how long they took, and how many are under way.
//!
//! There is a count for each method that HTTP knows and one for all others, so that what clients write makes none.

use std::sync::OnceLock;
use std::time::Duration;

use ::metrics::{Counter, Gauge, Histogram};
use http::{Method, StatusCode};
use outport_egress::meter::Meter;

use crate::metrics::{HTTP_REQUEST_DURATION, HTTP_REQUESTS, HTTP_REQUESTS_ACTIVE};

/// The counts of one route.
pub(super) struct RequestCounts {
    meter: Meter,
    component: String,
    route: String,
    /// By method and class; each is made when it is first needed.
    totals: [[OnceLock<Counter>; CLASSES.len()]; KNOWN_METHODS.len() + 1],
    /// Made with the first of them: where a component is never called by another, its time has no series of zeros.
    durations: OnceLock<Histogram>,
    active: Gauge,
}

impl RequestCounts {
    /// The counts of this route; none if the meter does not record.
    pub(super) fn of(meter: &Meter, component: &str, route: &str) -> Option<Self> {
        meter.is_on().then(|| Self {
            totals: Default::default(),
            durations: OnceLock::new(),
            active: meter.gauge(&HTTP_REQUESTS_ACTIVE, [component.to_owned().into()]),
            component: component.to_owned(),
            route: route.to_owned(),
            meter: meter.clone(),
        })
    }

    /// A request begins.
    pub(super) fn begin(&self) {
        self.active.increment(1.0);
    }

    /// A request that had [begun](Self::begin) is over.
    pub(super) fn end(&self, method: &Method, status: StatusCode, duration: Duration) {
        self.active.decrement(1.0);
        let durations = self.durations.get_or_init(|| {
            let values = [self.component.clone().into(), self.route.clone().into()];
            self.meter.histogram(&HTTP_REQUEST_DURATION, values)
        });
        durations.record(duration.as_secs_f64());
        let class = class_of(status);
        let counter = self.totals[number_of(method)][class].get_or_init(|| {
            let (component, route) = (self.component.clone(), self.route.clone());
            let values = [
                component.into(),
                route.into(),
                known_method(method).into(),
                CLASSES[class].into(),
            ];
            self.meter.counter(&HTTP_REQUESTS, values)
        });
        counter.increment(1);
    }
}

/// The method as metrics and traces call it: one that HTTP knows, or `_OTHER`.
pub(super) fn known_method(method: &Method) -> &'static str {
    KNOWN_METHODS.get(number_of(method)).copied().unwrap_or("_OTHER")
}

fn number_of(method: &Method) -> usize {
    let mut known = KNOWN_METHODS.iter();
    known
        .position(|known| *known == method.as_str())
        .unwrap_or(KNOWN_METHODS.len())
}

fn class_of(status: StatusCode) -> usize {
    match status.as_u16() / 100 {
        class @ 1..=5 => usize::from(class) - 1,
        _ => CLASSES.len() - 1,
    }
}

/// The most frequent first.
const KNOWN_METHODS: [&str; 9] = [
    "GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE",
];

const CLASSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "other"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_and_statuses_that_nobody_knows_have_one_label() {
        for (method, known) in [
            ("GET", "GET"),
            ("get", "_OTHER"),
            ("PATCH", "PATCH"),
            ("TRACE", "TRACE"),
            ("PROPFIND", "_OTHER"),
            ("_OTHER", "_OTHER"),
        ] {
            assert_eq!(
                known_method(&Method::from_bytes(method.as_bytes()).unwrap()),
                known,
                "{method}"
            );
        }
        for (status, class) in [
            (100, "1xx"),
            (200, "2xx"),
            (399, "3xx"),
            (499, "4xx"),
            (599, "5xx"),
            (600, "other"),
            (999, "other"),
        ] {
            assert_eq!(
                CLASSES[class_of(StatusCode::from_u16(status).unwrap())],
                class,
                "{status}"
            );
        }
    }
}
