//! Adds up a log, or makes one: `summary make MEBIBYTES > FILE`, `summary FILE…`. For measuring.

use std::io::{BufWriter, Write};
use std::ops::ControlFlow;
use std::time::Instant;

use outport_records::summary::Summary;
use outport_records::{Filter, Input, Timestamp, read};

#[expect(clippy::print_stdout, reason = "it is what the example is for")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if_eq("make").is_some() {
        let size: usize = arguments.next().ok_or("write a number of mebibytes")?.parse()?;
        return make(size << 20);
    }
    let inputs: Vec<Input> = arguments.map(|path| Input::named(path.into())).collect();
    let (start, mut summary, filter) = (Instant::now(), Summary::default(), Filter::default());
    let tally = read(&inputs, |record, _| {
        summary.add(&record, &filter);
        ControlFlow::Continue(())
    });
    let seconds = start.elapsed().as_secs_f64();
    println!(
        "{} lines, {} damaged, {} MB in {seconds:.2} s: {:.0} MB/s",
        tally.lines,
        tally.damaged,
        tally.bytes / 1_000_000,
        tally.bytes as f64 / 1e6 / seconds
    );
    let memory = std::fs::read_to_string("/proc/self/status")?;
    println!(
        "{}",
        memory
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap_or_default()
    );
    Ok(())
}

/// Lines as a service writes them: requests with look-ups, connections and their ends, some refusals.
fn make(size: usize) -> Result<(), Box<dyn std::error::Error>> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let (mut written, mut id, mut instance, mut millis) = (0, 0u64, 0u64, 1_772_000_000_000u64);
    while written < size {
        instance += 1;
        millis += 3;
        let ts = Timestamp::from_millis(millis);
        let host = instance % 50;
        let head = format!("{{\"ts\":\"{ts}\"");
        let who = format!("\"component\":\"orders-service\",\"instance\":{instance}");
        let place = "(/srv/shop/spin.toml:12:26)";
        let tail = "\"process\":1772000000000}\n";
        let (lookup, answer, connect, request, denied) = (id + 1, id + 2, id + 3, id + 4, id + 5);
        id += 5;
        let text = [
            format!("{head},\"id\":{lookup},{who},\"attempt\":\"dns.lookup\",\"destination\":\"db-{host}.example.com\",\"verdict\":\"allow\",\"rule\":\"*://*.example.com:5432 {place}\",{tail}"),
            format!("{head},\"id\":{answer},{who},\"attempt\":\"dns.answer\",\"destination\":\"10.0.{host}.5\",\"name\":\"db-{host}.example.com\",\"lookup\":{lookup},\"verdict\":\"allow\",{tail}"),
            format!("{head},\"decision\":{lookup},{who},\"attempt\":\"dns.lookup\",\"destination\":\"db-{host}.example.com\",\"outcome\":\"succeeded\",\"duration_ms\":2,{tail}"),
            format!("{head},\"id\":{connect},{who},\"attempt\":\"tcp.connect\",\"destination\":\"10.0.{host}.5:5432\",\"name\":\"db-{host}.example.com\",\"verdict\":\"allow\",\"rule\":\"*://*.example.com:5432 {place} by look-up of db-{host}.example.com\",{tail}"),
            format!("{head},\"decision\":{connect},{who},\"attempt\":\"tcp.connect\",\"destination\":\"10.0.{host}.5:5432\",\"outcome\":\"succeeded\",\"duration_ms\":3,{tail}"),
            format!("{head},\"id\":{request},{who},\"attempt\":\"http.request\",\"destination\":\"https://api-{host}.example.net:443\",\"verdict\":\"allow\",\"rule\":\"https://*.example.net {place}\",{tail}"),
            format!("{head},\"decision\":{request},{who},\"attempt\":\"http.request\",\"destination\":\"https://api-{host}.example.net:443\",\"outcome\":\"succeeded\",\"status\":200,\"duration_ms\":40,{tail}"),
            format!("{head},\"decision\":{request},{who},\"attempt\":\"http.request\",\"destination\":\"https://api-{host}.example.net:443\",\"outcome\":\"ended\",\"duration_ms\":45,\"sent\":312,\"received\":20480,\"ended_by\":\"complete\",{tail}"),
            format!("{head},\"id\":{denied},{who},\"attempt\":\"tcp.connect\",\"destination\":\"10.1.{host}.5:{}\",\"verdict\":\"deny\",\"reason\":\"allow.no-match\",\"detail\":\"no entry of the component's list matches the destination\",\"remedy\":\"add \\\"*://10.1.{host}.5:22\\\" to allowed_outbound_hosts of component `orders-service`\",{tail}", instance % 60_000),
            format!("{head},\"decision\":{connect},{who},\"attempt\":\"tcp.connect\",\"destination\":\"10.0.{host}.5:5432\",\"outcome\":\"ended\",\"duration_ms\":60,\"sent\":2048,\"received\":65536,\"ended_by\":\"guest\",{tail}"),
        ]
        .concat();
        out.write_all(text.as_bytes())?;
        written += text.len();
    }
    Ok(out.flush()?)
}
