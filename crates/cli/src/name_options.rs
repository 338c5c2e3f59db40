//! How many names a component may ask for: options, and keys of the runtime config file (BUD-1, BUD-2).

use std::sync::Arc;

use clap::Args;
use outport_manifest::{ComponentLimits, Located, MOST_NAMES, RuntimeConfig};
use outport_policy::Quotas;

use crate::numbers::number;

/// The budgets of names of each component.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct NameOptions {
    /// Look-ups of one component that DNS servers are asked for in a minute, 0 for none [default: 600]
    #[arg(long, value_name = "N", value_parser = number(0, MOST_NAMES))]
    max_lookups_per_minute: Option<u32>,

    /// Different names that one component may ask for below one wildcard of its list in an hour, 0 for none [default:
    /// 1000]
    #[arg(long, value_name = "N", value_parser = number(0, MOST_NAMES))]
    max_names_per_wildcard: Option<u32>,
}

impl NameOptions {
    /// The same quotas with what is said, where the options beat what the file says of all
    /// components, and what it says of one narrows either.
    pub(crate) fn put_into(&self, quotas: Quotas, file: Option<&RuntimeConfig>) -> Quotas {
        let all = file.map(|file| &file.networking);
        let components = file.map_or(&[][..], |file| &file.components);
        let first = |option: Option<u32>, file: Option<&Located<u32>>, default| {
            option.or(file.map(|file| file.value)).unwrap_or(default)
        };
        Quotas {
            lookups_per_minute: first(
                self.max_lookups_per_minute,
                all.and_then(|all| all.max_lookups_per_minute.as_ref()),
                quotas.lookups_per_minute,
            ),
            names_per_wildcard: first(
                self.max_names_per_wildcard,
                all.and_then(|all| all.max_names_per_wildcard.as_ref()),
                quotas.names_per_wildcard,
            ),
            names_of_components: Arc::new(ComponentLimits::names(components)),
            ..quotas
        }
    }
}
