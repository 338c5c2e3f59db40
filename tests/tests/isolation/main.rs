//! The isolation suite: hostile components, clients and peers beside a good neighbour.
//!
//! ```text
//! rows: instances, calls, memory, peers, ... ──► row ──► the built binary: hello and hostile in one process
//!          │                                      ├─ neighbour: a client that asks hello all the time
//!          ├─ component, functions: WAT           └─ watch: memory, descriptors, processor time
//!          └─ peer: servers that do not behave
//! ```
//!
//! Each row says what is hostile and which clause of the policy it tries. [`row`] says what is asked of the server in
//! every row. The table is printed with `--nocapture`; `OUTPORT_ISOLATION=random` plays the rows whose names have that
//! in them, and `OUTPORT_ISOLATION_STRICT=1` judges medians as exactly as a release build on a quiet machine permits.

mod calls;
mod component;
mod functions;
mod instances;
mod neighbour;
mod row;
mod watch;

// proves: ISO-1
#[test]
fn iso_1_no_component_takes_what_others_need_to_start() {
    row::play(instances::rows());
}

// proves: ISO-2
#[test]
fn iso_2_no_call_holds_a_thread_and_its_time_is_the_guests() {
    row::play(calls::rows());
}
