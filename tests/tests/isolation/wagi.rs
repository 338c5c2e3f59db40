//! Commands that answer by CGI (ISO-3): heads and bodies without end, bodies that nobody reads, computing without end.

use std::io::{Read, Write};
use std::net::Shutdown;

use crate::row::Row;
use crate::scene::Scene;

pub(crate) fn rows() -> Vec<Row> {
    vec![
        row("a head without end", "headers")
            .ends(2)
            .says("its headers have no end within 128 KiB"),
        row("output without end, read", "head body")
            .option("--max-cpu-time=300ms")
            .ends(2)
            .says("computed for more than"),
        row("output without end, to HEAD", "head body")
            .option("--max-cpu-time=300ms")
            .attack(|scene| ask(scene, "HEAD", Client::Waits))
            .says("computed for more than"),
        // It waits, and takes a slot for its time and no more than a buffer.
        row("output that nobody reads", "head body")
            .option("--max-time=500ms")
            .attack(|scene| ask(scene, "GET", Client::Waits))
            .says("was ended after"),
        // It ignores that its writes fail: no limit would end it within the row.
        row("output of a client who left", "head body")
            .option("--max-cpu-time=60s")
            .option("--max-time=60s")
            .option("--max-requests=2")
            .attack(|scene| {
                while !scene.is_over() {
                    ask(scene, "GET", Client::Leaves);
                }
            })
            .ends(6),
        row("a command that computes", "spin")
            .option("--max-cpu-time=200ms")
            .ends(2)
            .says("computed for more than"),
        row("a body that does not come", "count")
            .option("--response-timeout=300ms")
            .attack(|scene| ask(scene, "POST", Client::Waits))
            .says("gave no response within"),
    ]
}

fn row(name: &'static str, arguments: &str) -> Row {
    Row::new(name, "ISO-3").manifest(&format!(
        r#"
[[trigger.http]]
route = "/hostile/..."
component = "cgi"
executor = {{ type = "wagi", argv = "cgi {arguments}" }}

[component.cgi]
source = "GUESTS/cgi.wasm"
"#
    ))
}

enum Client {
    /// Reads nothing and stays.
    Waits,
    /// Reads something and goes.
    Leaves,
}

fn ask(scene: &Scene<'_>, method: &str, client: Client) {
    let Some(mut stream) = scene.connect() else { return };
    let request = format!("{method} /hostile HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n");
    let asked = stream.write_all(request.as_bytes());
    match client {
        Client::Waits => scene.wait(),
        Client::Leaves => {
            // One without a slot is told so, and counts as none.
            let mut begin = [0; 12];
            if asked.is_ok() && stream.read_exact(&mut begin).is_ok() && begin.ends_with(b" 200") {
                scene.count();
            }
        }
    }
    let _ = stream.shutdown(Shutdown::Both);
}
