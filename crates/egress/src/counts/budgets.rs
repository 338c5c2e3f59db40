//! The budgets of names of components, and what is used of them.

use outport_policy::Quotas;

use super::{BUDGET_LIMIT, BUDGET_USED};
use crate::meter::Meter;
use crate::process::NamesUsed;

/// Sets the gauges of every component that ever had something of a budget.
pub(crate) fn set(meter: &Meter, quotas: &Quotas, used: Vec<NamesUsed>) {
    for of in used {
        let set = |budget: &'static str, used: u32, most: u32| {
            let labels = || [of.component.clone().into(), budget.into()];
            meter.gauge(&BUDGET_USED, labels()).set(f64::from(used));
            meter.gauge(&BUDGET_LIMIT, labels()).set(f64::from(most));
        };
        let bounds = quotas.names_of(&of.component);
        set("lookups_per_minute", of.lookups, bounds.lookups_per_minute);
        set("names_per_wildcard", of.names, bounds.names_per_wildcard);
    }
}
