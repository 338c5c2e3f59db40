//! What Outport has written down, read back.
//!
//! `outport --audit-log FILE` writes every decision of the gate and what came of it, one JSON object a line. This crate
//! reads such files:
//!
//! ```text
//! files, rotated and compressed ─▶ file.rs: what they are by their first bytes ─▶ lines.rs: lines, each of a bounded length
//!                                 ─▶ record.rs: a Record, whose texts are those of the line
//! ```
//!
//! [`read`] does all of it for several files, those that hold the oldest records first. Memory does not grow with what is
//! read: a line that is longer than [`LONGEST_LINE`] is skipped, and what is damaged is counted. Nothing here waits for
//! more to be written, looks at a clock or prints.
//!
//! A log is written by what guests do. The gate has escaped all that came from them but the names of components; who shows
//! a text on a terminal escapes it all the same, since a file can be changed by whoever owns it.
//!
//! Whoever embeds Outport can read the log of its own process, or that of others:
//!
//! ```
//! use outport_records::{Record, Verdict};
//!
//! let line = br#"{"ts":"2026-03-01T09:30:00.125Z","id":1,"component":"web","instance":1,"attempt":"tcp.connect","destination":"10.0.0.5:5432","verdict":"deny","reason":"allow.none"}"#;
//! let Record::Decision(decision) = Record::parse(line)? else { panic!("it has a verdict") };
//! assert_eq!(decision.verdict, Verdict::Deny);
//! assert_eq!(decision.reason.as_deref(), Some("allow.none"));
//! # Ok::<(), outport_records::LineProblem>(())
//! ```

mod durations;
mod file;
mod filter;
mod lines;
mod names;
mod peer;
mod reading;
mod recent;
mod record;
mod runs;
pub mod summary;
mod timestamp;
pub mod why;
mod zstd_frames;

pub use durations::Durations;
pub use file::OpenProblem;
pub use filter::{Code, Destination, Filter};
pub use lines::{LONGEST_LINE, Lines, Piece};
pub use names::Names;
pub use peer::Peer;
pub use reading::{Damaged, Input, Place, Reading, Tally, read};
pub use record::{AlsoRefused, Decision, LineProblem, Outcome, Record, Stage, Verdict};
pub use runs::{Run, Runs};
pub use timestamp::{NotATime, Timestamp};
