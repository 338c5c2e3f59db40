//! The bytes that a component may send and receive (BUD-3), as servers see it: what they count is what has left.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use outport_e2e::guest;
use outport_e2e::outport::{Finished, Outport, Running};
use outport_e2e::script::results;
use outport_e2e::until::until;

/// Bytes a second.
const RATE: u64 = 500_000;

/// Bytes that pass at once: a tenth of a second's worth.
const BURST: u64 = RATE / 10;

/// Bytes that take ten seconds, with a burst.
const TEN_SECONDS: u64 = 10 * RATE;

/// A server that reads whatever comes on any connection, answers requests with a body, and notes when how much had come. To
/// `GET /N` and to a connection that says `N\n` it sends so many bytes.
struct Sink {
    address: SocketAddr,
    arrived: Arc<Mutex<Vec<(Instant, u64)>>>,
    total: Arc<AtomicU64>,
}

impl Sink {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let sink = Self {
            address: listener.local_addr().unwrap(),
            arrived: Arc::default(),
            total: Arc::default(),
        };
        let (arrived, total) = (sink.arrived.clone(), sink.total.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let counted = Counted {
                    stream,
                    arrived: arrived.clone(),
                    total: total.clone(),
                };
                thread::spawn(move || serve(counted));
            }
        });
        sink
    }

    /// A socket for datagrams that notes the same.
    fn of_datagrams() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let sink = Self {
            address: socket.local_addr().unwrap(),
            arrived: Arc::default(),
            total: Arc::default(),
        };
        let (arrived, total) = (sink.arrived.clone(), sink.total.clone());
        thread::spawn(move || {
            let mut datagram = [0; 1 << 16];
            while let Ok((length, _)) = socket.recv_from(&mut datagram) {
                note(&arrived, &total, length as u64);
            }
        });
        sink
    }

    fn total(&self) -> u64 {
        self.total.load(Ordering::SeqCst)
    }

    /// Bytes a second from the first to the last, without the burst that came first. Nothing came sooner than it may.
    fn rate(&self) -> f64 {
        let arrived = self.arrived.lock().unwrap();
        let (first, _) = arrived[0];
        for (at, sum) in arrived.iter() {
            let passed = at.duration_since(first).as_secs_f64();
            // The first may have been read late, by a tenth of a second at the most on a machine that is busy.
            let most = (passed + 0.1) * RATE as f64 + (BURST + 2000) as f64;
            assert!(*sum as f64 <= most, "{sum} bytes after {passed} s");
        }
        let (last, sum) = *arrived.last().unwrap();
        (sum - BURST.min(sum)) as f64 / last.duration_since(first).as_secs_f64()
    }
}

fn note(arrived: &Mutex<Vec<(Instant, u64)>>, total: &AtomicU64, length: u64) {
    let mut arrived = arrived.lock().unwrap();
    let sum = total.fetch_add(length, Ordering::SeqCst) + length;
    arrived.push((Instant::now(), sum));
}

/// A connection that notes what is read from it.
struct Counted {
    stream: TcpStream,
    arrived: Arc<Mutex<Vec<(Instant, u64)>>>,
    total: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.stream.read(buffer)?;
        if length > 0 {
            note(&self.arrived, &self.total, length as u64);
        }
        Ok(length)
    }
}

fn serve(counted: Counted) {
    let mut out = counted.stream.try_clone().unwrap();
    let mut stream = BufReader::with_capacity(1 << 16, counted);
    loop {
        let start = match stream.fill_buf() {
            Ok([]) | Err(_) => return,
            Ok(start) => start[0],
        };
        // A guest's upload is of zeroes.
        if start == 0 {
            let _ = std::io::copy(&mut stream, &mut std::io::sink());
            return;
        }
        let mut line = String::new();
        if stream.read_line(&mut line).is_err() {
            return;
        }
        if let Ok(wanted) = line.trim().parse::<u64>() {
            let _ = std::io::copy(&mut std::io::repeat(0).take(wanted), &mut out);
            return;
        }
        let (mut length, mut header) = (0_u64, String::new());
        let (mut chunked, mut words) = (false, line.split(['/', ' ']));
        while stream.read_line(&mut header).is_ok_and(|read| read > 2) {
            let lower = header.trim_end().to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            chunked |= lower.starts_with("transfer-encoding: chunked");
            header.clear();
        }
        while chunked {
            header.clear();
            if stream.read_line(&mut header).unwrap_or(0) == 0 {
                return;
            }
            let chunk = u64::from_str_radix(header.trim_end(), 16).unwrap();
            if std::io::copy(&mut stream.by_ref().take(chunk + 2), &mut std::io::sink()).is_err() {
                return;
            }
            chunked = chunk > 0;
        }
        let _ = std::io::copy(&mut stream.by_ref().take(length), &mut std::io::sink());
        let wanted: u64 = words.nth(2).and_then(|path| path.parse().ok()).unwrap_or(0);
        let _ = write!(out, "HTTP/1.1 200 OK\r\nContent-Length: {wanted}\r\n\r\n");
        if std::io::copy(&mut std::io::repeat(0).take(wanted), &mut out).is_err() {
            return;
        }
    }
}

fn script(guest: &str) -> Outport {
    Outport::run(guest::path(guest))
        .allow("*://127.0.0.1:*")
        .allow("udp://127.0.0.1:*")
        .option("--allow-udp")
}

/// One app of a component.
fn app(guest: &str) -> Outport {
    Outport::up(&format!(
        "spin_manifest_version = 2\napplication.name = \"budget\"\n[[trigger.http]]\nroute = \"/...\"\n\
         component = \"web\"\n[component.web]\nsource = \"GUESTS/{guest}.wasm\"\n\
         allowed_outbound_hosts = [\"*://127.0.0.1:*\", \"udp://127.0.0.1:*\"]\n"
    ))
}

/// What the statements get, by one request.
fn ask(app: &Running, statements: &str) -> Vec<String> {
    let answer = app.get(&format!("/?{}", statements.replace(' ', "%20")));
    results(&answer.body).into_iter().map(str::to_owned).collect()
}

fn uploads(guest: &str) -> f64 {
    let sink = Sink::start();
    let run = script(guest).option(format!("--max-send-rate={RATE}")).args([
        format!("tcp.connect {} as c", sink.address),
        format!("tcp.upload c {TEN_SECONDS}"),
    ]);
    let finished = run.finish().expect_code(0);
    until("all has come", || sink.total() == TEN_SECONDS);
    assert!(finished.reasons().is_empty(), "{finished}");
    sink.rate()
}

fn downloads(guest: &str) -> f64 {
    let sink = Sink::start();
    let run = script(guest).option(format!("--max-receive-rate={RATE}")).args([
        format!("tcp.connect {} as c", sink.address),
        format!("tcp.send c {TEN_SECONDS}\\n"),
        "tcp.download c".to_owned(),
    ]);
    received(&run.finish().expect_code(0))
}

/// Bytes a second, without the burst, of the download that the guest did last.
fn received(finished: &Finished) -> f64 {
    let result = results(&finished.stdout)
        .last()
        .copied()
        .unwrap_or_default()
        .to_owned();
    let (bytes, time) = result
        .split_once(" bytes in ")
        .unwrap_or_else(|| panic!("{finished}"));
    let bytes: u64 = bytes.parse().unwrap();
    assert_eq!(bytes, TEN_SECONDS, "{finished}");
    let microseconds: f64 = time.trim_end_matches("us").parse().unwrap();
    (bytes - BURST) as f64 / microseconds * 1e6
}

/// Eight at a time, on connections of sockets and of outgoing HTTP, of as many instances.
fn many_upload(guest: &str) -> f64 {
    let sink = Sink::start();
    let app = app(guest).option(format!("--max-send-rate={RATE}")).start();
    let part = TEN_SECONDS / 8;
    let (app, at) = (&app, sink.address);
    let took: Vec<Duration> = thread::scope(|scope| {
        let all: Vec<_> = (0..8)
            .map(|number| {
                scope.spawn(move || {
                    let begun = Instant::now();
                    let statement = if number % 2 == 0 {
                        format!("http.upload {part} http://{at}/")
                    } else {
                        format!("tcp.connect {at} as c;tcp.upload c {part}")
                    };
                    let result = ask(app, &statement);
                    assert!(
                        result.iter().all(|result| result.contains("bytes")
                            || result.starts_with("200")
                            || result == "ok"),
                        "{result:?}\n{app}"
                    );
                    begun.elapsed()
                })
            })
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    until("all has come", || sink.total() >= TEN_SECONDS);
    // None is done while another one has hardly begun.
    let quickest = took.iter().min().unwrap();
    assert!(*quickest >= Duration::from_secs(6), "{took:?}");
    sink.rate()
}

fn sends_datagrams(guest: &str) -> f64 {
    let sink = Sink::of_datagrams();
    let datagram = "x".repeat(1000);
    let count = TEN_SECONDS / 1000;
    let run = script(guest).option(format!("--max-send-rate={RATE}")).args([
        "udp.bind 0.0.0.0:0 as u".to_owned(),
        format!("repeat {count} udp.send-to u {} {datagram}", sink.address),
    ]);
    let finished = run.finish().expect_code(0);
    let all = format!("ok x{count}");
    assert_eq!(results(&finished.stdout), ["ok", &all], "{finished}");
    until("all has come", || sink.total() == TEN_SECONDS);
    sink.rate()
}

fn requests_a_body(guest: &str) -> f64 {
    let sink = Sink::start();
    let app = app(guest).option(format!("--max-receive-rate={RATE}")).start();
    let begun = Instant::now();
    let result = ask(
        &app,
        &format!("http.length GET http://{}/{TEN_SECONDS}", sink.address),
    );
    assert_eq!(result, [format!("200 {TEN_SECONDS} bytes")], "{app}");
    (TEN_SECONDS - BURST) as f64 / begun.elapsed().as_secs_f64()
}

// proves: BUD-3
#[test]
fn bud_3_rates_hold_for_every_way() {
    type Row = (&'static str, fn(&str) -> f64, &'static str);
    let rows: [Row; 9] = [
        ("a socket of 0.2 sends", uploads, "script-guest"),
        ("a socket of 0.3 sends", uploads, "script-guest-p3"),
        ("a socket of 0.2 receives", downloads, "script-guest"),
        ("a socket of 0.3 receives", downloads, "script-guest-p3"),
        ("many instances of 0.2 send", many_upload, "http-script-guest"),
        ("many instances of 0.3 send", many_upload, "http-script-guest-p3"),
        ("datagrams of 0.2 are sent", sends_datagrams, "script-guest"),
        ("datagrams of 0.3 are sent", sends_datagrams, "script-guest-p3"),
        ("a body comes by HTTP", requests_a_body, "http-script-guest"),
    ];
    // A machine that has no time for them makes them slower, never faster: those are played again.
    let mut left: Vec<&Row> = rows.iter().collect();
    for _ in 0..3 {
        let rates: Vec<f64> = thread::scope(|scope| {
            let all: Vec<_> = left
                .iter()
                .map(|(_, play, guest)| scope.spawn(move || play(guest)))
                .collect();
            all.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let mut slow = Vec::new();
        for (row, rate) in left.into_iter().zip(rates) {
            let share = rate / RATE as f64;
            println!("{}: {:.1} % of the rate", row.0, share * 100.0);
            assert!(share <= 1.05, "{}: {share}", row.0);
            if share < 0.95 {
                slow.push(row);
            }
        }
        left = slow;
        if left.is_empty() {
            return;
        }
    }
    panic!(
        "too slow: {:?}",
        left.iter().map(|(what, ..)| what).collect::<Vec<_>>()
    );
}

// proves: BUD-3
#[test]
fn bud_3_exactly_as_much_leaves_as_may_by_all_ways_and_instances_together() {
    for guest in ["http-script-guest", "http-script-guest-p3"] {
        let sink = Sink::start();
        let app = app(guest)
            .options(["--allow-udp", "--max-sent=1000000/1h"])
            .start();
        let at = sink.address;
        assert_eq!(
            ask(&app, &format!("tcp.connect {at} as c;tcp.upload c 300000"))[0],
            "ok",
            "{app}"
        );
        assert_eq!(
            ask(&app, &format!("http.upload 300000 http://{at}/")),
            ["200 "],
            "{app}"
        );
        // One connection is open when the bytes are used up, by others. What it sends is more than the head of a request.
        thread::scope(|scope| {
            let app = &app;
            let much = "x".repeat(2000);
            let open = scope.spawn(move || {
                ask(
                    app,
                    &format!("tcp.connect {at} as c;tcp.send c {much};tcp.recv c 60000;tcp.send c y"),
                )
            });
            until("it is open", || sink.total() > 601_500);
            let last = ask(app, &format!("tcp.connect {at} as c;tcp.upload c 1000000"));
            assert_eq!(
                (last[0].as_str(), last[1].contains("bytes")),
                ("ok", false),
                "{last:?}\n{app}"
            );
            let open = open.join().unwrap();
            assert_eq!(open[..2], ["ok", "ok"], "{open:?}\n{app}");
            for result in &open[2..] {
                assert!(
                    ["connection-reset", "closed"].contains(&result.as_str()),
                    "{open:?}\n{app}"
                );
            }
        });
        app.wait_for_error_text("has sent 1000000B/1h, as much as it may");
        // All that would send more is refused.
        let refused = ask(
            &app,
            &format!("tcp.create ipv4;udp.create ipv4;http GET http://{at}/"),
        );
        assert_eq!(refused[2], "connection-limit-reached", "{refused:?}\n{app}");
        assert!(
            refused[..2].iter().all(|result| result != "ok"),
            "{refused:?}\n{app}"
        );
        let finished = app.stop();
        assert_eq!(finished.reasons(), ["quota.bytes"; 3], "{finished}");
        let by_quota = finished
            .outcomes
            .iter()
            .filter(|outcome| outcome["ended_by"] == "quota")
            .count();
        assert!(by_quota >= 2, "{finished}");
        assert_eq!(sink.total(), 1_000_000, "exactly the bound");
    }
}

// proves: BUD-3
#[test]
fn bud_3_the_count_begins_anew_when_the_time_is_over() {
    let sink = Sink::start();
    let app = app("http-script-guest").option("--max-sent=10000/5s").start();
    let upload = format!("tcp.connect {} as c;tcp.upload c 20000", sink.address);
    let begun = Instant::now();
    ask(&app, &upload);
    assert_eq!(ask(&app, &upload)[0], "new-socket-limit", "{app}");
    until("it may send again", || ask(&app, &upload)[0] == "ok");
    assert!(begun.elapsed() >= Duration::from_secs(5), "{:?}", begun.elapsed());
    until("all has come", || sink.total() == 20_000);
}

// proves: BUD-3
#[test]
fn bud_3_a_datagram_that_is_more_than_what_is_left_is_refused_and_a_smaller_one_goes() {
    for guest in ["script-guest", "script-guest-p3"] {
        let sink = Sink::of_datagrams();
        let (at, large, small) = (sink.address, "x".repeat(700), "x".repeat(300));
        let finished = script(guest)
            .option("--max-sent=1000/1h")
            .args([
                "udp.bind 0.0.0.0:0 as u".to_owned(),
                format!("udp.send-to u {at} {large}"),
                format!("udp.send-to u {at} {large}"),
                format!("udp.send-to u {at} {small}"),
                format!("udp.send-to u {at} x"),
            ])
            .finish()
            .expect_code(0);
        let expected = ["ok", "ok", "access-denied", "ok", "access-denied"];
        assert_eq!(results(&finished.stdout), expected, "{finished}");
        assert_eq!(finished.reasons(), ["quota.bytes"; 2], "{finished}");
        until("all has come", || sink.total() == 1000);
    }
}

// proves: BUD-3, ISO-1
#[test]
fn bud_3_a_neighbour_is_neither_slowed_nor_refused() {
    let sink = Sink::start();
    let manifest = "spin_manifest_version = 2\napplication.name = \"budget\"\n\
        [[trigger.http]]\nroute = \"/slow/...\"\ncomponent = \"slow\"\n\
        [[trigger.http]]\nroute = \"/quick/...\"\ncomponent = \"quick\"\n\
        [component.slow]\nsource = \"GUESTS/http-script-guest.wasm\"\nallowed_outbound_hosts = [\"*://127.0.0.1:*\"]\n\
        [component.quick]\nsource = \"GUESTS/http-script-guest.wasm\"\nallowed_outbound_hosts = [\"*://127.0.0.1:*\"]\n";
    let config = "[component.slow]\nmax_send_rate = \"10K\"\nmax_sent = \"200K/1h\"\n";
    let app = Outport::up(manifest)
        .file("runtime.toml", config)
        .options(["--runtime-config-file=runtime.toml", "--workers=1"])
        .start();
    let (app, at) = (&app, sink.address);
    let upload = |component: &str, bytes: u64| {
        let statements = format!("tcp.connect {at} as c;tcp.upload c {bytes}");
        let answer = app.get(&format!("/{component}/?{}", statements.replace(' ', "%20")));
        results(&answer.body)
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    thread::scope(|scope| {
        let slow: Vec<_> = (0..4)
            .map(|_| scope.spawn(move || upload("slow", 60_000)))
            .collect();
        until("they send", || sink.total() > 0);
        let begun = Instant::now();
        for _ in 0..5 {
            assert!(
                upload("quick", 2_000_000)[1].starts_with("2000000 bytes"),
                "{app}"
            );
        }
        let took = begun.elapsed();
        assert!(
            slow.iter().all(|slow| !slow.is_finished()),
            "10 MB in {took:?} are no neighbour's pace"
        );
        let slow: Vec<_> = slow.into_iter().map(|slow| slow.join().unwrap()).collect();
        let whole = slow
            .iter()
            .filter(|result| result[1].starts_with("60000 bytes"))
            .count();
        assert!(whole <= 3, "240 KB are more than it may: {slow:?}");
    });
    assert!(upload("quick", 1000)[1].starts_with("1000 bytes"), "{app}");
    assert_eq!(upload("slow", 1000)[0], "new-socket-limit", "{app}");
    until("all has come", || sink.total() == 10_001_000 + (200 << 10));
}

// proves: BUD-3, Q-3
#[test]
fn bud_3_who_is_slowed_ends_in_its_time_and_holds_no_worker() {
    let sink = Sink::start();
    let app = app("http-script-guest")
        .options(["--max-send-rate=1", "--max-time=3s", "--workers=1"])
        .start();
    let begun = Instant::now();
    let (app, at) = (&app, sink.address);
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(move || {
                let upload = format!("tcp.connect {at} as c;tcp.upload c 100000").replace(' ', "%20");
                app.get(&format!("/?{upload}"))
            });
        }
        until("they send", || sink.total() > 0);
        assert_eq!(app.get("/hello").status, 200);
    });
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(60), "{took:?}");
    let passed = begun.elapsed().as_secs() + 1;
    assert!((1500..=1500 + passed).contains(&sink.total()), "{}", sink.total());
}
