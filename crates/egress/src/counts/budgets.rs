//! The budgets of names and bytes of components, and what is used of them.

use std::sync::Arc;

use outport_policy::Quotas;

use super::{BUDGET_LIMIT, BUDGET_USED};
use crate::byte_budget::BytesUsed;
use crate::meter::Meter;
use crate::process::NamesUsed;

/// Sets the gauges of every component that ever had something of a budget.
pub(crate) fn set(meter: &Meter, quotas: &Quotas, used: Vec<NamesUsed>) {
    for of in used {
        let set = |budget: &'static str, used: u32, most: u32| {
            set_one(meter, &of.component, budget, [f64::from(used), f64::from(most)]);
        };
        let bounds = quotas.names_of(&of.component);
        set("lookups_per_minute", of.lookups, bounds.lookups_per_minute);
        set("names_per_wildcard", of.names, bounds.names_per_wildcard);
    }
}

/// Sets those of the bytes that components send.
pub(crate) fn set_bytes(meter: &Meter, used: Vec<BytesUsed>) {
    for BytesUsed {
        component,
        sent,
        most,
    } in used
    {
        // As of quotas: no bound is an infinite one.
        let most = most.map_or(f64::INFINITY, |most| most as f64);
        set_one(meter, &component, "sent_bytes", [sent as f64, most]);
    }
}

fn set_one(meter: &Meter, component: &Arc<str>, budget: &'static str, [used, most]: [f64; 2]) {
    let labels = || [component.clone().into(), budget.into()];
    meter.gauge(&BUDGET_USED, labels()).set(used);
    meter.gauge(&BUDGET_LIMIT, labels()).set(most);
}
