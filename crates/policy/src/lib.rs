//! The destinations that a WebAssembly guest may reach.
//!
//! ```text
//!            author                       operator
//!         allowed hosts               denied hosts, limits, quotas
//!             │ Entry::parse              │ Entry::parse
//!         AllowList                   Operator { DenyList, RuntimeLimits, Quotas }
//!             └────────────► Policy ◄─────┘
//!   Attempt ──────────────────►│ decide
//!   Situation ────────────────►│
//!   (grants, peers, usage, now)▼
//!                 Decision::Allow(Permit) or Decision::Deny(Denial)
//! ```
//!
//! The crate does no I/O, spawns nothing and reads no clock. Its caller resolves names, counts sockets, says what
//! time it is, and connects. [`Policy::decide`] is the one function that judges, whichever way out a guest takes;
//! its opening comment has the layers and their order.
//!
//! State that belongs to one instance of a guest is in [`Grants`] (what it looked up) and [`Peers`] (whom it sent
//! datagrams to), that of a component in [`NameBudgets`] (how many names it asked for). Everything else is immutable and replaced as a whole.
//!
//! Ids in parentheses, such as (DNS-4), are those of the rules in `docs/policy.md`.
//!
//! # Example
//!
//! ```
//! use outport_policy::*;
//! use std::{sync::Arc, time::Instant};
//!
//! let allow = AllowList::parse(["*://10.0.0.0/8:5432"])?;
//! let policy = Policy::new("web", Arc::new(allow), Arc::new(Operator::default()));
//!
//! let quotas = Quotas::default();
//! let (grants, peers) = (Grants::new(quotas.granted_names), Peers::from(&quotas));
//! let situation = Situation { grants: &grants, peers: &peers, usage: Usage::default(), now: Instant::now() };
//! let connect = |port| Attempt::Connect {
//!     transport: Transport::Tcp,
//!     remote: Endpoint::new(std::net::Ipv4Addr::new(10, 0, 0, 5), port),
//! };
//!
//! assert!(matches!(policy.decide(&connect(5432), &situation), Decision::Allow(_)));
//! let Decision::Deny(denial) = policy.decide(&connect(6379), &situation) else { panic!() };
//! assert_eq!(denial.reason().code(), "allow.port");
//! assert_eq!(
//!     denial.remedy(&connect(6379)).unwrap().to_string(),
//!     r#"add "*://10.0.0.5:6379" to the allow list"#,
//! );
//! # Ok::<(), EntriesError>(())
//! ```

mod address;
mod algebra;
mod allow_list;
mod attempt;
mod blocked_network;
mod byte_budget;
mod coverage;
mod decision;
mod deny_list;
mod egress_proxy;
mod entries;
mod entry;
mod grants;
mod host_pattern;
mod index;
mod label;
mod limits;
mod location;
mod name;
mod name_budgets;
mod operator;
mod overlap;
mod peers;
mod policy;
mod ports;
mod reason;
mod remedy;
mod scheme;
mod setting;
mod special_purpose;
pub mod text;
mod tls_names;
mod user_info;
mod wanted;

pub use address::{Address, Endpoint, METADATA_SERVICES};
pub use algebra::{Channel, Destination, Embedding, Hosts, Protocols, Region};
pub use allow_list::AllowList;
pub use attempt::{AnswerSource, Attempt, RequestMethod, Situation};
pub use blocked_network::{BlockedNetwork, BlockedNetworkError};
pub use byte_budget::{BudgetInForce, ByteBudget, ByteBudgets, SentBound};
pub use coverage::{Redundant, Share, is_apart, redundant, share};
pub use decision::{Decision, Denial, Permit, Rule};
pub use deny_list::{DenyList, LearnedAddresses};
pub use egress_proxy::EgressProxy;
pub use entries::EntriesError;
pub use entry::{Entry, EntryError, EntryPorts, EntryProblem, EntryScheme, PortSpec};
pub use grants::{Ending, Grant, Grants, LookupOutcome, Settled, Ticket};
pub use host_pattern::HostPattern;
pub use label::{Label, LabelKind};
pub use limits::{Limit, NameBounds, NameLimits, Quotas, RuntimeLimits, Usage};
pub use location::Location;
pub use name::{Host, Name, NameError, Spelling};
pub use name_budgets::{Asked, NameBudgets, Resolution};
pub use operator::Operator;
pub use overlap::{AddressesKeptOut, Cut, Gain, KeptOut, KeptOutBy, Left, gained};
pub use peers::Peers;
pub use policy::{LayerAnswer, Policy};
pub use ports::{PortRange, PortSet, PortsError};
pub use reason::{Layer, Reason};
pub use remedy::Remedy;
pub use scheme::{Protocol, Scheme, Transport};
pub use setting::{NeutralWords, RemedyWords, Setting};
pub use tls_names::{ServerName, TlsNames, UnknownTlsNames};
pub use user_info::without_user_info;
pub use wanted::{Addition, ListOf, LookupAlone, Wanted};
