//! The tests of sockets and names once more, with a guest of WASI 0.3: the name of this file chooses it.

#[path = "allow_list.rs"]
mod allow_list;
#[path = "ask.rs"]
mod ask;
#[path = "deny_list.rs"]
mod deny_list;
#[path = "grants.rs"]
mod grants;
#[path = "hard_limits.rs"]
mod hard_limits;
#[path = "lookups.rs"]
mod lookups;
#[path = "name_budgets.rs"]
mod name_budgets;
#[path = "outcomes.rs"]
mod outcomes;
#[path = "quotas.rs"]
mod quotas;
#[path = "runtime_limits.rs"]
mod runtime_limits;
#[path = "tls_names.rs"]
mod tls_names;
