//! What an operator's tools see of a process: metrics, traces, logs, the access log, the admin listener and the
//! dashboard.
//!
//! What happens is told where it happens, by [`outport_egress`] and [`outport_runtime`]; this crate subscribes. Nothing in
//! it is in the way of a guest: what a tool does not fetch, or a collector does not take, is counted and dropped.
//!
//! # In a host of your own
//!
//! Counts are of the crate `metrics` and spans of the crate `tracing`, so any recorder and any subscriber takes them. Those of
//! this crate show counts as Prometheus reads them, and send both by OTLP:
//!
//! ```
//! use std::sync::Arc;
//!
//! use outport_egress::trace::{SPANS, Trace, TraceContext};
//! use outport_egress::{Destination, Egress};
//! use outport_policy::{AllowList, Scheme};
//! use outport_telemetry::otlp::{Otlp, Settings};
//! use outport_telemetry::registry::{Registry, TextForm};
//! use tracing_subscriber::layer::SubscriberExt;
//!
//! #[tokio::main(flavor = "current_thread")]
//! async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! #   let (collector, paths) = collector();
//!     // Where counts go: all that the gate counts is declared in `METRICS`.
//!     let registry = Registry::new(outport_egress::METRICS);
//!
//!     // Where spans go: `collector` is a URL such as `http://127.0.0.1:4318`, and the other variables are read as they are.
//!     let variable = |name: &str| match name {
//!         "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(collector.clone().into()),
//!         _ => std::env::var_os(name),
//!     };
//!     let settings = Settings::read(&variable)?.ok_or("nothing is to be exported")?;
//!     let otlp = Otlp::new(settings);
//!     tracing::subscriber::set_global_default(tracing_subscriber::registry().with(otlp.layer()))?;
//!     let export = otlp.start(&registry, "my-host")?;
//!
//!     // The egress tells both, and sets the gauges of quotas when somebody collects.
//!     let mut egress = Egress::builder().meter(registry.meter());
//!     if let Some(tracer) = otlp.tracer() {
//!         egress = egress.tracer(tracer);
//!     }
//!     let egress = egress.build()?;
//!     let collected = egress.downgrade();
//!     registry.on_collect(move || {
//!         if let Some(egress) = collected.upgrade() {
//!             egress.collect();
//!         }
//!     });
//!
//!     // A request comes: the instance that answers it is at that point of the trace from now on.
//!     let request = http::Request::get("/cart").body(())?;
//!     let gate = egress.gate("shop", Arc::new(AllowList::default()));
//!     let instance = gate.open();
//!     let incoming = TraceContext::from_headers(request.headers());
//!     let trace = Trace::begin(egress.tracer(), incoming, || {
//!         tracing::info_span!(target: SPANS, "request", otel.name = "GET /cart", otel.kind = "server")
//!     });
//!     instance.trace().set(trace);
//!
//!     // The guest answers it, here with an interface of the host's that is refused a connection.
//!     let scheme = Scheme::parse("redis").ok_or("no scheme")?;
//!     let refused = instance.dialer().connect(&Destination::new(scheme, "127.0.0.1", 6379)?).await;
//!     assert!(refused.is_err_and(|error| error.is_refused()));
//!
//!     // The last byte of the answer was sent: its span ends, whatever the instance goes on with.
//!     instance.trace().end();
//!
//!     let text = registry.collect().to_text(TextForm::Prometheus);
//!     let denied = "outport_attempts_total{component=\"shop\",kind=\"redis.connect\",verdict=\"deny\"";
//!     assert!(text.contains(denied), "{text}");
//!     // What waits is sent.
//!     drop(export);
//! #   let paths: Vec<String> = paths.try_iter().collect();
//! #   for path in ["POST /v1/traces ", "POST /v1/metrics "] {
//! #       assert!(paths.iter().any(|line| line.starts_with(path)), "{paths:?}");
//! #   }
//!     Ok(())
//! }
//! #
//! # // A collector that takes everything, and the first line of each request.
//! # fn collector() -> (String, std::sync::mpsc::Receiver<String>) {
//! #     use std::io::{BufRead, BufReader, Read, Write};
//! #     let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
//! #     let url = format!("http://{}", listener.local_addr().unwrap());
//! #     let (lines, received) = std::sync::mpsc::channel();
//! #     std::thread::spawn(move || {
//! #         for stream in listener.incoming() {
//! #             let mut request = BufReader::new(stream.unwrap());
//! #             let (mut first, mut length) = (String::new(), 0);
//! #             request.read_line(&mut first).unwrap();
//! #             for line in request.by_ref().lines() {
//! #                 let line = line.unwrap().to_ascii_lowercase();
//! #                 if line.is_empty() {
//! #                     break;
//! #                 }
//! #                 if let Some(value) = line.strip_prefix("content-length:") {
//! #                     length = value.trim().parse().unwrap();
//! #                 }
//! #             }
//! #             std::io::copy(&mut request.by_ref().take(length), &mut std::io::sink()).unwrap();
//! #             lines.send(first).unwrap();
//! #             let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
//! #             request.get_mut().write_all(answer).unwrap();
//! #         }
//! #     });
//! #     (url, received)
//! # }
//! ```

pub mod access_log;
pub mod admin;
mod connections;
pub mod dashboard;
pub mod otlp;
pub mod process;
pub mod registry;

/// The metrics of this crate.
pub use process::METRICS;
