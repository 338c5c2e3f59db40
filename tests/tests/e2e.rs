//! The tests of a command, an app or a rule, in one program: linking one costs more than most of them take.
//!
//! `cargo test --test e2e redis::` runs those of `redis.rs`. Programs of their own are, in `tests/Cargo.toml`, those that
//! measure and want the machine to themselves, those on WASI 0.3, which go by their program's name, and the list of
//! proofs, which is often written anew.

mod access_log;
mod admin_listener;
mod allow_list;
mod ask;
mod audit;
mod authority;
mod bad_input;
mod being_started;
mod bodies;
mod brokers;
mod build;
mod built;
mod byte_budgets;
mod chaining;
mod check;
mod check_and_up;
mod client_tls;
mod codes;
mod composition;
mod config_file;
mod config_reload;
mod containers;
mod dashboard;
mod dashboard_in_a_browser;
mod deny_list;
mod documentation;
mod egress_proxy;
mod egress_proxy_here;
mod every_sdk;
mod examples;
mod explain;
mod export;
mod files;
mod grants;
mod guests;
mod guide_javascript;
mod guide_python;
mod guides;
mod hard_limits;
mod hostile_dns;
mod init;
mod inspect;
mod kernel_sandbox;
mod killed;
mod learn;
mod learn_apps;
mod lookups;
mod metrics;
mod middleware;
mod models;
mod mqtt_interface;
mod mysql_interface;
mod name_budgets;
mod new;
mod new_and_run;
mod observed;
mod on_a_terminal;
mod one_verdict;
mod otlp;
mod outbound_http;
mod outcomes;
mod packages;
mod postgres;
mod postgres_interface;
mod python;
mod quotas;
mod reasons;
mod rebinding;
mod redis;
mod redis_interface;
mod registries;
mod reload;
mod run;
mod runtime_limits;
mod sdk_javascript;
mod sdk_python;
mod sdk_requests;
mod sdk_rust;
mod serving_tls;
mod shared_instances;
mod signals;
mod snapshots_2023;
mod sources;
mod spin_first_interfaces;
mod sqlite;
mod stores;
mod threats;
mod tls_interface;
mod tls_names;
mod trace_context;
mod triggers;
mod unread;
mod up;
mod upgrades;
mod wagi;
mod watch;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Cargo finds tests by itself only where each file is a program.
#[test]
fn every_file_here_belongs_to_a_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| fs::read_to_string(folder.join(path)).expect(path);
    let (modules, programs) = (read("tests/e2e.rs"), read("Cargo.toml"));
    let files: BTreeSet<String> = fs::read_dir(folder.join("tests"))
        .expect("tests")
        .map(|entry| entry.expect("tests").file_name().to_string_lossy().into_owned())
        .filter_map(|name| name.strip_suffix(".rs").map(str::to_owned))
        .collect();
    for file in &files {
        let is_module = modules.contains(&format!("\nmod {file};\n"));
        let is_program = programs.contains(&format!("\npath = \"tests/{file}.rs\"\n"));
        assert!(
            is_module || is_program,
            "nothing runs the tests of tests/tests/{file}.rs"
        );
    }
}
