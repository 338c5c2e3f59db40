//! The thread that sends: batches of spans and lines when there are some, metrics from time to time.
//!
//! It has a runtime of its own, so that no collector is in the way of guests. At the end it sends what waits, for
//! [`LAST_TRY`] at most.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;
use std::{io, thread};

use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::logs::v1::{ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans};
use opentelemetry_sdk::trace::SpanData;
use outport_sources::http::{FetchOptions, Fetcher};
use prost::Message;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use super::health::Health;
use super::logs::Line;
use super::queue::{Queue, Records};
use super::resource::{resource, scope};
use super::sender::{End, Sender};
use super::settings::Settings;
use super::signal::Signal;
use super::{Otlp, metrics};
use crate::process::DROPPED;
use crate::registry::Registry;

/// An export that goes on. Dropping it sends what waits, for two seconds at most, and ends it.
pub struct Export {
    end: watch::Sender<Option<Instant>>,
    queues: Vec<(Signal, Arc<dyn Records>)>,
    /// Closed when the thread has ended.
    ended: Receiver<()>,
}

impl Export {
    /// Starts to send. The process may have a thread from now on.
    pub(super) fn start(otlp: &Otlp, registry: &Arc<Registry>, service: &str) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (end, ends) = watch::channel(None);
        let (alive, ended) = mpsc::channel();
        let queues = otlp.queues();
        for (signal, queue) in &queues {
            let dropped = registry.meter().counter(&DROPPED, [signal.name().into()]);
            let queue = queue.clone();
            registry.on_collect(move || dropped.absolute(queue.dropped_so_far()));
        }
        // How often it is tried is the sender's matter.
        let mut options = FetchOptions::default();
        options.attempts = 1;
        let work = Work {
            resource: resource(&otlp.settings, service),
            settings: otlp.settings.clone(),
            client: Arc::new(Fetcher::new(options)),
            health: Arc::default(),
            end: ends,
        };
        let (spans, lines, counts) = (otlp.spans.clone(), otlp.lines.clone(), otlp.counts.clone());
        let (registry, watched) = (registry.clone(), queues.clone());
        thread::Builder::new()
            .name("outport-otlp".into())
            .spawn(move || {
                let _watch = Watch(watched);
                runtime.block_on(async {
                    tokio::join!(
                        work.send_spans(&spans),
                        work.send_lines(&lines),
                        work.send_counts(&counts, &registry),
                    );
                });
                runtime.shutdown_background();
                drop(alive);
            })?;
        Ok(Self { end, queues, ended })
    }
}

/// Sees that a thread which ends by a fault ends loudly: from then on all is counted as dropped.
struct Watch(Vec<(Signal, Arc<dyn Records>)>);

impl Drop for Watch {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.iter().for_each(|(_, queue)| queue.close());
            tracing::error!("telemetry is sent no more, by a fault of Outport's own; please report it");
        }
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        self.queues.iter().for_each(|(_, queue)| queue.close());
        self.end.send_replace(Some(Instant::now() + LAST_TRY));
        // A little longer, since what is left then is to be counted.
        let _ = self.ended.recv_timeout(LAST_TRY + Duration::from_millis(250));
        let lost = self.queues.iter().filter_map(|(signal, queue)| {
            let number = queue.dropped_so_far() + queue.waiting();
            let (one, many) = match signal {
                Signal::Traces => ("span", "spans"),
                Signal::Logs => ("line of logs", "lines of logs"),
                Signal::Metrics => ("value of a metric", "values of metrics"),
            };
            match number {
                0 => None,
                1 => Some(format!("1 {one}")),
                _ => Some(format!("{number} {many}")),
            }
        });
        let lost: Vec<_> = lost.collect();
        if !lost.is_empty() {
            tracing::warn!("no collector got {}", lost.join(", "));
        }
    }
}

/// What the thread works with.
struct Work {
    settings: Settings,
    resource: Resource,
    client: Arc<Fetcher>,
    health: Arc<Health>,
    end: End,
}

impl Work {
    async fn send_spans(&self, queue: &Queue<SpanData>) {
        let message = |spans: Vec<SpanData>| ExportTraceServiceRequest {
            resource_spans: vec![ResourceSpans {
                resource: Some(self.resource.clone()),
                scope_spans: vec![ScopeSpans {
                    scope: Some(scope()),
                    spans: spans.into_iter().map(Into::into).collect(),
                    ..ScopeSpans::default()
                }],
                ..ResourceSpans::default()
            }],
        };
        let rejected = |answer: &[u8]| {
            let answer = ExportTraceServiceResponse::decode(answer).ok()?.partial_success?;
            Some((answer.rejected_spans, answer.error_message))
        };
        self.send_batches(Signal::Traces, queue, message, rejected).await;
    }

    async fn send_lines(&self, queue: &Queue<Line>) {
        let message = |lines: Vec<Line>| ExportLogsServiceRequest {
            resource_logs: vec![ResourceLogs {
                resource: Some(self.resource.clone()),
                scope_logs: vec![ScopeLogs {
                    scope: Some(scope()),
                    log_records: lines,
                    ..ScopeLogs::default()
                }],
                ..ResourceLogs::default()
            }],
        };
        let rejected = |answer: &[u8]| {
            let answer = ExportLogsServiceResponse::decode(answer).ok()?.partial_success?;
            Some((answer.rejected_log_records, answer.error_message))
        };
        self.send_batches(Signal::Logs, queue, message, rejected).await;
    }

    async fn send_batches<T, M: Message>(
        &self,
        signal: Signal,
        queue: &Queue<T>,
        message: impl Fn(Vec<T>) -> M,
        rejected: impl Fn(&[u8]) -> Option<(i64, String)>,
    ) {
        let Some(sender) = self.sender(signal) else {
            return;
        };
        while let Some(batch) = queue.next().await {
            let number = batch.len() as u64;
            let answer = sender.send(message(batch).encode_to_vec()).await;
            queue.dropped(match answer {
                Some(answer) => sender.rejected(rejected(&answer)).min(number),
                None => number,
            });
        }
    }

    /// Metrics are sent at the end too.
    async fn send_counts(&self, queue: &Queue<()>, registry: &Registry) {
        let Some(sender) = self.sender(Signal::Metrics) else {
            return;
        };
        let mut end = self.end.clone();
        loop {
            let is_last = timeout(self.settings.metric_interval, end.wait_for(Option::is_some))
                .await
                .is_ok();
            let message = metrics::message(registry.collect(), self.resource.clone());
            let number = metrics::points(&message);
            let answer = sender.send(message.encode_to_vec()).await;
            queue.dropped(match answer {
                Some(answer) => {
                    let answer = ExportMetricsServiceResponse::decode(&*answer).ok();
                    let partly = answer.and_then(|answer| answer.partial_success);
                    let partly = partly.map(|partly| (partly.rejected_data_points, partly.error_message));
                    sender.rejected(partly).min(number)
                }
                None => number,
            });
            if is_last {
                return;
            }
        }
    }

    fn sender(&self, signal: Signal) -> Option<Sender> {
        Some(Sender {
            signal,
            endpoint: self.settings.endpoints.get(&signal)?.clone(),
            client: self.client.clone(),
            health: self.health.clone(),
            end: self.end.clone(),
            held: Cell::default(),
        })
    }
}

/// The time for what waits at the end.
const LAST_TRY: Duration = Duration::from_secs(2);
