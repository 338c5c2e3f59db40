//! What requests at one route are called by whoever counts, traces or notes them. Made once for each route.

use std::sync::Arc;

use outport_egress::Egress;
use outport_egress::trace::Tracer;
use outport_manifest::PathRoute;

use super::request_counts::RequestCounts;

/// The names of one route, and where its requests are counted and traced.
#[derive(Default)]
pub(super) struct RouteLabels {
    /// The id of the component that answers, if one does.
    pub(super) component: Option<String>,
    /// The route, as the manifest writes it. None is that of a component's own name, or that there is none.
    pub(super) route: Option<String>,
    pub(super) counts: Option<RequestCounts>,
    pub(super) tracer: Option<Arc<dyn Tracer>>,
}

impl RouteLabels {
    /// The names of requests at a route without a component, which nobody counts or traces.
    pub(super) fn of_route(route: &PathRoute) -> Arc<Self> {
        Arc::new(Self {
            route: Some(route.as_str().to_owned()),
            ..Self::default()
        })
    }

    /// The names of the requests that are counted and traced as `egress` says.
    pub(super) fn of(egress: &Egress, component: Option<&str>, route: Option<&str>) -> Arc<Self> {
        let counts = RequestCounts::of(
            egress.meter(),
            component.unwrap_or_default(),
            route.unwrap_or_default(),
        );
        Arc::new(Self {
            component: component.map(str::to_owned),
            route: route.map(str::to_owned),
            counts,
            tracer: egress.tracer().cloned(),
        })
    }
}
