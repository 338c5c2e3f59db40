//! Messages of a queue of Amazon SQS, or of a server that speaks its JSON protocol (`application/x-amz-json-1.0`).
//!
//! ```text
//! queue_url ── the server of AWS that it names, or the operator's endpoint ──▶ Queue
//!   │ subscribe ── judged as HTTP is ── GetQueueAttributes: how long a message may be worked on
//!   ▼
//! Subscription
//!   │ next ────▶ a message of the last batch, or ReceiveMessage, which waits for one
//!   │ attend ──▶ ChangeMessageVisibility for what is held, each half of that time
//!   │ settle ──▶ DeleteMessage, or nothing: it comes again when its time is over
//!   └ leave ───▶ what is held and was not handed over is given back
//! ```
//!
//! Of a queue whose name ends in `.fifo`, a message is handed out when the one before it of its group was deleted. What is
//! of the group of one that was not deleted is not handed out: it comes again behind it.
//!
//! Requests are signed (Signature Version 4) by the operator's credentials. Who writes a manifest chooses the queue, so they
//! are shown to servers of AWS by `https` and to the operator's endpoint, and to nobody else.
//!
//! | | bound |
//! | --- | --- |
//! | an answer | 16 MiB, 10 messages, 64 attributes of each kind for a message |
//! | the time for it | 20 s, and the time that it was asked to wait |

mod access;
mod answer;
mod exchange;
mod queue;
mod subscription;

pub use access::{Access, AccessError, Credentials, Endpoint};
pub use answer::{Attribute, AttributeValue, Message};
pub use queue::{Queue, QueueError, QueueOptions};
pub use subscription::{NotSettled, Settled, Subscription};

#[cfg(test)]
mod tests;
