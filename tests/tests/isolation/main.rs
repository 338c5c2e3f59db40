//! The isolation suite: hostile components, clients and peers beside a good neighbour.
//!
//! ```text
//! rows: instances, calls, memory, peers, ... ─► run ─► the built binary: hello and hostile in one process
//!          │                                      ├─ neighbour: a client that asks hello all the time
//!          ├─ component, functions: WAT           └─ watch: memory, descriptors, processor time
//!          └─ peer: servers that do not behave
//! ```
//!
//! Each row says what is hostile and which clause of the policy it tries. [`row`] says what is asked of the server in
//! every row. The table is printed with `--nocapture`; `OUTPORT_ISOLATION=random` runs the rows whose names have that
//! in them, and `OUTPORT_ISOLATION_STRICT=1` judges medians as exactly as a release build on a quiet machine permits.

#![allow(clippy::print_stdout, reason = "the table is what the suite is for")]

mod adapted;
mod answers;
mod buffers;
mod calls;
mod clients;
mod component;
mod descriptors;
mod events;
mod floods;
mod functions;
mod instances;
mod memory;
mod neighbour;
mod nobody;
mod peers;
mod row;
mod run;
mod scene;
mod starts;
mod stores;
mod table;
mod tls;
mod wagi;
mod watch;

// proves: ISO-1
#[test]
fn iso_1_no_component_takes_what_others_need_to_start() {
    table::run(instances::rows());
}

// proves: ISO-2
#[test]
fn iso_2_no_call_holds_a_thread_and_its_time_is_the_guests() {
    table::run(calls::rows());
}

// proves: ISO-2
#[test]
fn iso_2_what_peers_make_the_host_do_is_the_guests_time() {
    table::run(floods::rows());
}

// proves: ISO-1, ISO-2, ISO-3
#[test]
fn iso_1_what_handles_events_takes_nothing_from_requests() {
    table::run(events::rows());
}

// proves: ISO-3
#[test]
fn iso_3_commands_that_answer_by_cgi_are_within_the_limits_of_all() {
    table::run(wagi::rows());
}

// proves: ISO-3
#[test]
fn iso_3_what_the_host_holds_for_guests_is_bounded() {
    table::run(memory::rows());
}

// proves: ISO-3
#[test]
fn iso_3_what_sockets_and_answers_leave_with_the_host_is_bounded() {
    table::run(buffers::rows());
}

// proves: ISO-3
#[test]
fn iso_3_what_is_written_to_nobody_is_bounded_and_its_guest_ended() {
    table::run(nobody::rows());
}

// proves: ISO-2, ISO-3
#[test]
fn iso_3_what_components_that_were_made_of_modules_cost_is_bounded_and_the_guests() {
    table::run(adapted::rows());
}

// proves: ISO-2, ISO-3, HI-7
#[test]
fn iso_3_what_stores_are_made_to_do_is_bounded_and_the_guests() {
    table::run(stores::rows());
}

// proves: ISO-2, ISO-3, TLS-5
#[test]
fn iso_3_what_tls_of_the_hosts_costs_is_bounded_and_the_guests() {
    table::run(tls::rows());
}

// proves: Q-4
#[test]
fn q_4_others_are_served_and_names_resolved_whatever_guests_hold() {
    table::run(descriptors::rows());
}

// proves: ISO-5
#[test]
fn iso_5_clients_hold_what_they_hold_for_a_bounded_time() {
    table::run(clients::rows());
}

// proves: ISO-6
#[test]
fn iso_6_output_that_nobody_reads_stops_nobody() {
    table::run(answers::rows_of_unread_output());
}

// proves: ISO-8
#[test]
fn iso_8_an_answer_that_is_not_finished_does_not_look_whole() {
    table::run(answers::rows_of_unfinished_answers());
}
