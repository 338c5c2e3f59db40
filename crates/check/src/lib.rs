//! Findings about an app before it runs: mistakes, oddities, impossibilities; and explanations of why a destination is
//! refused.
//!
//! ```text
//! entries, interfaces ─┐
//! operator ────────────┼─► review ──► findings ──► Renderer, json, sarif, fix
//! notes and problems ──┘
//! policy, destination ───► explain ─► layers, verdict, remedy
//! policies ──────────────► EffectivePolicy ─► a document to commit and compare
//! policies, operator ────► Exported ─► rules for the layer below, and what these cannot say
//! outport.test.toml ─────► PolicyTests ─► findings
//! what a run did ────────► learn ─► the least list
//! a code ────────────────► CodePage ─► what it means
//! ```
//!
//! It parses with the same parser, counts with the same sets and asks the same decider as what runs guests: all
//! of that is [`outport_policy`]. It reads no files and runs nothing; interfaces of components are given to it as
//! names.

mod app;
mod code;
mod codes;
mod colours;
mod denied_triggers;
mod diagnostic;
pub mod explain;
pub mod export;
mod findings;
mod fix;
mod imports;
mod json;
pub mod learn;
mod policy_tests;
mod renderer;
mod sarif;
mod sources;
mod subject;
mod wording;
mod words;

pub use app::{AppUnderReview, allow_list, part_lists, policies};
pub use code::Code;
pub use codes::{CodeKind, CodePage, codes_json, codes_list};
pub use colours::{Colour, Colours};
pub use denied_triggers::denied_triggers;
pub use diagnostic::{Diagnostic, FindingCode, Fix, Quoted};
pub use findings::{DeniedNames, part_findings, review, small_bound, warnings_at_start};
pub use fix::{AddError, FixError, ListEdit, add_entry, apply_fixes, edit_lists};
pub use imports::{list_imports, sum_up_imports};
pub use json::report_json;
pub use outport_manifest::Severity;
pub use policy_tests::{PolicyTests, TestResult};
pub use renderer::{
    Detail, LEAST_COLUMNS, LinkTo, MESSAGE_COLUMNS, MOST_COLUMNS, REPORT_COLUMNS, Renderer, Sentences,
    prose_columns,
};
pub use sarif::report_sarif;
pub use sources::Sources;
pub use subject::{Interfaces, Subject, Trigger};
pub use words::CommandWords;
