//! One question, put to the DNS servers in the order given (DNS-14).
//!
//! ```text
//! first server ─┬─ an answer; NXDOMAIN and an empty one are some ──▶ that is it
//!               └─ SERVFAIL, REFUSED, … , unreadable, silent for TRY_TIME
//!                    ▼
//! next server ─ … ─ last one ──▶ those that failed once more, FURTHER_TRIES times; then why nobody answered
//! ```
//!
//! The two families of a look-up are asked for at the same time, each for itself, and share a [`Front`]: what a server
//! has answered for one family is not held up by one before it that is silent for the other. The other family goes to
//! the server that answers, and so does what the look-up asks next on the way along its aliases. All of its questions
//! together have a bound ([`QUESTIONS`]), so that servers cannot make a flood of one look-up.
//!
//! Each server has a client of its own, since the library chooses among the servers of one client by itself, and takes
//! a server that fails for the end of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverOpts, ServerOrderingStrategy};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::{DnsHandle, FirstAnswer};
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{DnsRequestOptions, DnsResponse, Query, ResponseCode};
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};
use tokio::sync::watch;

use super::answer::ResolveError;

/// The DNS servers, in the order in which they are asked. Belongs to the runtime that it was made on.
#[derive(Clone)]
pub(super) struct Servers {
    servers: Arc<[NameServerPool<TokioRuntimeProvider>]>,
}

/// The foremost server that the questions of one look-up are still put to first, and how many more it may put.
pub(super) struct Front {
    server: watch::Sender<usize>,
    questions: AtomicUsize,
}

impl Servers {
    /// Clients of `servers`. Must be called within a runtime.
    pub(super) fn new(servers: &[SocketAddr]) -> Result<Self, NetError> {
        let context = Arc::new(PoolContext::new(options(), TlsConfig::new()?));
        let client = |server: &SocketAddr| {
            let provider = TokioRuntimeProvider::default();
            NameServerPool::from_config([name_server(*server)], context.clone(), provider)
        };
        Ok(Self {
            servers: servers.iter().map(client).collect(),
        })
    }

    /// The answer to `question`, which belongs to the look-up of `front`, and what `read` makes of it. An answer that
    /// cannot be read is none.
    ///
    /// # Errors
    ///
    /// The error that an answer without records stands for, or, if nobody answered, why: that the servers refuse only
    /// if each of them does. That a look-up has put as many questions as it may ([`QUESTIONS`]).
    pub(super) async fn ask<T>(
        &self,
        question: &Query,
        front: &Front,
        read: impl Fn(&DnsResponse) -> Result<T, ResolveError>,
    ) -> Result<(DnsResponse, T), ResolveError> {
        let mut unanswered = None;
        let mut remaining = (0..self.servers.len()).collect::<Vec<_>>();
        for further in 0..=FURTHER_TRIES {
            for index in std::mem::take(&mut remaining) {
                let answer = async {
                    front.count(question)?;
                    self.ask_one(index, question).await
                };
                // Only in the first round: one that was passed over is asked in the next, and then waited for.
                let answer = if further == 0 {
                    tokio::select! {
                        biased;
                        () = front.passed(index) => {
                            remaining.push(index);
                            continue;
                        }
                        answer = answer => answer,
                    }
                } else {
                    answer.await
                };
                let answer = answer.and_then(|response| match read(&response) {
                    Ok(read) => Ok((response, read)),
                    Err(error) => Err(NoResponse::Unusable(error)),
                });
                match answer {
                    Ok(answered) => {
                        front.answered(index);
                        return Ok(answered);
                    }
                    Err(NoResponse::Empty(error)) => {
                        front.answered(index);
                        return Err(error);
                    }
                    Err(NoResponse::TooMany(error)) => return Err(error),
                    Err(NoResponse::Failed(error)) => {
                        tracing::debug!(%question, server = index, %error, "a DNS server does not answer");
                        remaining.push(index);
                        unanswered = Some(lasting(unanswered, error));
                    }
                    Err(NoResponse::Unusable(error)) => {
                        tracing::debug!(%question, server = index, %error, "a DNS server's answer cannot be used");
                        unanswered = Some(lasting(unanswered, error));
                    }
                }
            }
        }
        Err(unanswered.unwrap_or(ResolveError::TimedOut))
    }

    async fn ask_one(&self, index: usize, question: &Query) -> Result<DnsResponse, NoResponse> {
        let lookup = self.servers[index].lookup(question.clone(), DnsRequestOptions::default());
        let answer = match tokio::time::timeout(TRY_TIME, lookup.first_answer()).await {
            Ok(answer) => answer.and_then(|response| Ok(DnsError::from_response(response)?)),
            Err(_) => return Err(NoResponse::Failed(ResolveError::TimedOut)),
        };
        if answered(&answer).is_some_and(|answered| answered != std::slice::from_ref(question)) {
            let name = question.name();
            let detail = format!("the answer is to another question than that for `{name}`");
            return Err(NoResponse::Unusable(ResolveError::Failed { detail }));
        }
        answer.map_err(|error| match resolve_error(error) {
            none @ (ResolveError::NoSuchName | ResolveError::NoAddress) => NoResponse::Empty(none),
            failure => NoResponse::Failed(failure),
        })
    }
}

/// The reason why a server gave no records.
enum NoResponse {
    /// There are none. That is an answer, and no other server need be asked.
    Empty(ResolveError),
    /// The server failed or was silent. It may do better when it is asked again.
    Failed(ResolveError),
    /// The look-up has put as many questions as it may. Nobody was asked.
    TooMany(ResolveError),
    /// The server answered what nobody asked, or with aliases that lead nowhere, and is not asked again.
    Unusable(ResolveError),
}

impl Front {
    /// That of a look-up which has asked nobody.
    pub(super) fn new() -> Self {
        Self {
            server: watch::Sender::new(0),
            questions: AtomicUsize::new(QUESTIONS),
        }
    }

    /// Counts a question to one server, which is refused when there were too many of the look-up.
    fn count(&self, question: &Query) -> Result<(), NoResponse> {
        let left = |left: usize| left.checked_sub(1);
        match self
            .questions
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, left)
        {
            Ok(_) => Ok(()),
            Err(_) => {
                let detail = format!(
                    "more than {QUESTIONS} questions to servers, the last one for `{}`",
                    question.name()
                );
                Err(NoResponse::TooMany(ResolveError::Failed { detail }))
            }
        }
    }

    /// The server `index` has answered.
    fn answered(&self, index: usize) {
        self.server.send_if_modified(|front| {
            let moved = *front < index;
            *front = index.max(*front);
            moved
        });
    }

    /// Waits until a server behind `index` has answered.
    async fn passed(&self, index: usize) {
        let behind = |front: &usize| *front > index;
        // The sender is `self`, so this ends only with what is waited for.
        let _ = self.server.subscribe().wait_for(behind).await;
    }
}

/// The error that two servers that do not answer make together: that asking again does not help needs the word of both.
fn lasting(one: Option<ResolveError>, other: ResolveError) -> ResolveError {
    match one {
        Some(one) if matches!(other, ResolveError::Refused { .. }) => one,
        _ => other,
    }
}

/// The question that a server says it answers. Over UDP the library compares it, over TCP it does not.
fn answered(answer: &Result<DnsResponse, NetError>) -> Option<&[Query]> {
    match answer {
        Ok(response) => Some(&response.queries),
        Err(NetError::Dns(DnsError::NoRecordsFound(none))) => Some(std::slice::from_ref(&none.query)),
        Err(_) => None,
    }
}

fn name_server(server: SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = server.port();
    }
    NameServerConfig::new(server.ip(), true, connections)
}

fn options() -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = TRY_TIME;
    // The case of a query would carry data out of the sandbox.
    options.case_randomization = false;
    options.num_concurrent_reqs = 1;
    options.max_active_requests = 1024;
    options.server_ordering_strategy = ServerOrderingStrategy::UserProvidedOrder;
    options
}

fn resolve_error(error: NetError) -> ResolveError {
    let detail = error.to_string();
    match error {
        NetError::Timeout => ResolveError::TimedOut,
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain => ResolveError::NoSuchName,
            ResponseCode::NoError => ResolveError::NoAddress,
            _ => ResolveError::Failed { detail },
        },
        NetError::Dns(DnsError::ResponseCode(
            ResponseCode::Refused | ResponseCode::NotImp | ResponseCode::FormErr,
        )) => ResolveError::Refused { detail },
        _ => ResolveError::Failed { detail },
    }
}

/// The number of times that the servers are asked again when nobody answered.
const FURTHER_TRIES: usize = 2;

/// As many questions as the look-up of one name puts to servers (BUD-1): both families, the names on the way, and those that
/// are asked again counted together. The longest way in answers of one alias each takes 34.
pub(super) const QUESTIONS: usize = 48;

/// The time that one server may take for one try.
const TRY_TIME: Duration = Duration::from_millis(2000);
