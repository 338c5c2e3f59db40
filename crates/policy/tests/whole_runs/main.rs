//! Whole runs of two instances against a model that is obviously right: random policies, look-ups whose answers
//! change and overtake each other, connections, datagrams both ways, requests, time, and operators who change
//! their minds. After every step the verdict and its reason are compared.
//!
//! ```text
//! random run ──step──► Policy, Grants, Peers ──► verdict, reason ─┐
//!                └───► lists walked from the front ──────────────┴─► must agree
//! ```
//!
//! [`model`] is the model, [`written`] the tables that runs are made of, [`cases`] throws the dice, [`run`] makes the
//! steps. The fuzz target `runs` makes the same steps of bytes, and `outport-egress` makes them with whole gates.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod cases;
mod model;
mod real;
mod run;
mod step;
mod written;

use run::{Instance, Run};

// proves: ORD-1, ORD-3, HL-4, HL-5, HL-6, HL-7, RL-1, RL-2, RL-3, RL-4, RL-5, DL-1, DL-2, DL-3, DL-4, DL-5, DL-9
// proves: AL-3, AL-4, AL-5, AL-6, DNS-1, DNS-3, DNS-4, DNS-5, DNS-7, DNS-9, DNS-12
#[test]
fn a_whole_run_ends_every_step_as_the_naive_model_says() {
    cases::run_all(6144, |(allow, operator, steps)| {
        let mut run = Run::new(allow, operator);
        let mut instances = [Instance::new(), Instance::new()];
        let mut steps = steps.into_iter();
        steps.try_for_each(|(which, step)| run.step(&mut instances[usize::from(which)], step))
    });
}
