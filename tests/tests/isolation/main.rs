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

mod answers;
mod calls;
mod clients;
mod component;
mod descriptors;
mod floods;
mod functions;
mod instances;
mod memory;
mod neighbour;
mod peers;
mod row;
mod starts;
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

// proves: ISO-2
#[test]
fn iso_2_what_peers_make_the_host_do_is_the_guests_time() {
    row::play(floods::rows());
}

// proves: ISO-3
#[test]
fn iso_3_what_the_host_holds_for_guests_is_bounded() {
    row::play(memory::rows());
}

// proves: Q-4
#[test]
fn q_4_others_are_served_and_names_resolved_whatever_guests_hold() {
    row::play(descriptors::rows());
}

// proves: ISO-5
#[test]
fn iso_5_clients_hold_what_they_hold_for_a_bounded_time() {
    row::play(clients::rows());
}

// proves: ISO-6
#[test]
fn iso_6_output_that_nobody_reads_stops_nobody() {
    row::play(answers::rows_of_unread_output());
}

// proves: ISO-8
#[test]
fn iso_8_an_answer_that_is_not_finished_does_not_look_whole() {
    row::play(answers::rows_of_unfinished_answers());
}
