//! Handlers of events beside requests (ISO-1, ISO-2, ISO-3): they compute, hold and wait without end, as often as a clock
//! starts them.

use crate::row::Row;

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row("events that compute", "ISO-2", "events", "spin 100000")
            .option("--max-cpu-time=300ms")
            .says("computed for more than"),
        row("events of 0.3 that compute", "ISO-2", "events-p3", "spin 100000")
            .option("--max-cpu-time=300ms")
            .says("computed for more than"),
        // More of them than there are slots, as long as the row.
        row("events that wait", "ISO-1", "events", "wait 100000").option("--max-requests=4"),
        row("events that wait too long", "ISO-1", "events-p3", "wait 100000")
            .option("--max-requests=4")
            .option("--max-time=500ms")
            .says("was ended after"),
        row(
            "events that take all memory",
            "ISO-3",
            "events",
            "alloc 60000000; alloc 60000000; wait 100000",
        ),
    ]
}

/// Eight clocks, each of which starts a handler that does this, every second.
fn row(name: &'static str, clause: &'static str, guest: &str, event: &str) -> Row {
    let mut lines = String::new();
    for number in 1..=8 {
        lines += &format!(
            r#"
[[trigger.cron]]
component = "clock-c{number}"
cron_expression = "* * * * * *"

[component.clock-c{number}]
source = "GUESTS/{guest}.wasm"
environment = {{ EVENT = "{event}" }}
"#
        );
    }
    Row::new(name, clause)
        .manifest(&lines)
        .attack(|scene| scene.wait())
}
