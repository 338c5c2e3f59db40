//! The resolver that ships: hosts file, cache, DNS servers.
//!
//! The servers are asked from a thread of their own, `outport-dns`, since the guests run on many current-thread
//! runtimes that come and go, and the sockets and timers of a query belong to the runtime that made them. A
//! question travels there by channel and the answer back; a question whose asker is gone is given up. Hosts file
//! and cache are read where the question is asked, so a known name costs no change of thread.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use outport_policy::{Address, AnswerSource, Name, text};
use tokio::sync::{mpsc, oneshot};

use super::answer::{Answer, Extent, Resolve, ResolveError};
use super::cache::Cache;
use super::hosts::HostsFile;
use super::resolv_conf;
use super::servers::Servers;

/// Resolves names as the machine does, or by the servers that the operator names. Cheap to clone; the thread ends
/// with the last clone.
#[derive(Clone)]
pub struct Resolver {
    shared: Arc<ResolverInner>,
}

struct ResolverInner {
    hosts: HostsFile,
    search: Vec<Name>,
    cache: Arc<Cache>,
    questions: mpsc::UnboundedSender<Question>,
}

struct Question {
    name: Name,
    reply: oneshot::Sender<Result<Answer, ResolveError>>,
}

/// The parts of a [`Resolver`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolverParts {
    /// The DNS servers, asked in this order.
    pub servers: Vec<SocketAddr>,
    /// Domains to try for a name without a dot, before the name itself.
    pub search: Vec<Name>,
    /// The hosts file; it need not exist.
    pub hosts_file: PathBuf,
}

impl ResolverParts {
    /// The configuration of this machine: `/etc/resolv.conf` and `/etc/hosts`. Without any server in the former it
    /// is the one on this machine, as resolv.conf(5) says, and a warning. A line or search domain that cannot be read
    /// is left out with a warning.
    pub fn system() -> Self {
        let mut parts = Self::of_the_machine();
        if parts.servers.is_empty() {
            tracing::warn!(
                "`{RESOLV_CONF}` names no DNS server that can be read; asking the one on this machine"
            );
            parts.servers = vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 53)];
        }
        parts
    }

    /// The same without a server where none is named.
    fn of_the_machine() -> Self {
        let text = std::fs::read(RESOLV_CONF).unwrap_or_else(|error| {
            match error.kind() {
                std::io::ErrorKind::NotFound => tracing::debug!("there is no `{RESOLV_CONF}`"),
                _ => tracing::warn!(%error, "cannot read `{RESOLV_CONF}`"),
            }
            Vec::new()
        });
        let conf = resolv_conf::read(&String::from_utf8_lossy(&text));
        for text in &conf.unreadable {
            let text = text::message(text);
            tracing::warn!("`{text}` in `{RESOLV_CONF}` cannot be read and is left out");
        }
        let servers = conf.servers.into_iter();
        Self {
            servers: servers.map(|server| SocketAddr::new(server, 53)).collect(),
            search: conf.search,
            hosts_file: PathBuf::from("/etc/hosts"),
        }
    }
}

const RESOLV_CONF: &str = "/etc/resolv.conf";

impl Resolver {
    /// Resolves as this machine is configured ([`ResolverParts::system`]).
    ///
    /// # Errors
    ///
    /// The thread of the resolver cannot be started.
    pub fn system() -> Result<Self, ResolverError> {
        Self::new(ResolverParts::system())
    }

    /// Like [`Resolver::system`], with `servers` in place of the system's (`--dns-server`, DNS-11).
    ///
    /// # Errors
    ///
    /// The thread of the resolver cannot be started.
    pub fn with_servers(servers: &[SocketAddr]) -> Result<Self, ResolverError> {
        Self::new(ResolverParts {
            servers: servers.to_vec(),
            ..ResolverParts::of_the_machine()
        })
    }

    /// A resolver of the given parts.
    ///
    /// # Errors
    ///
    /// The thread of the resolver cannot be started.
    pub fn new(parts: ResolverParts) -> Result<Self, ResolverError> {
        let cache = Arc::new(Cache::default());
        let questions = start(&parts.servers, cache.clone())?;
        let shared = ResolverInner {
            hosts: HostsFile::new(parts.hosts_file),
            search: parts.search,
            cache,
            questions,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }
}

impl Resolve for Resolver {
    /// A name without a dot is tried under each search domain and then as it is, unless the hosts file knows it
    /// (DNS-2).
    fn expand(&self, name: &Name) -> Vec<Name> {
        if name.has_dot() || self.shared.hosts.addresses(name).is_some() {
            return vec![name.clone()];
        }
        let expanded = self
            .shared
            .search
            .iter()
            .filter_map(|domain| Name::parse(&format!("{name}.{domain}")).ok());
        expanded.chain([name.clone()]).collect()
    }

    fn known(&self, name: &Name) -> Option<Answer> {
        match self.shared.hosts.addresses(name) {
            Some(addresses) => Some(from_hosts(addresses)),
            None => self.shared.cache.get(name, Instant::now()),
        }
    }

    fn resolve(&self, name: &Name) -> BoxFuture<'static, Result<Answer, ResolveError>> {
        // Here and not on the thread of the resolver, which a known name need not wait for.
        if let Some(answer) = self.known(name) {
            return std::future::ready(Ok(answer)).boxed();
        }
        let (reply, answer) = oneshot::channel();
        let asked = self.shared.questions.send(Question {
            name: name.clone(),
            reply,
        });
        async move {
            let gone = || ResolveError::Failed {
                detail: "the thread of the resolver has ended".to_owned(),
            };
            asked.map_err(|_| gone())?;
            answer.await.map_err(|_| gone())?
        }
        .boxed()
    }
}

fn from_hosts(addresses: Vec<Address>) -> Answer {
    Answer {
        chain: Vec::new(),
        addresses,
        source: AnswerSource::HostsFile,
        ttl: Duration::ZERO,
        extent: Extent::Whole,
    }
}

fn start(
    servers: &[SocketAddr],
    cache: Arc<Cache>,
) -> Result<mpsc::UnboundedSender<Question>, ResolverError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ResolverError::Thread)?;
    let servers = {
        let _runtime = runtime.enter();
        Servers::new(servers).map_err(|error| ResolverError::Servers {
            detail: error.to_string(),
        })?
    };
    let (questions, asked) = mpsc::unbounded_channel();
    std::thread::Builder::new()
        .name("outport-dns".to_owned())
        .spawn(move || runtime.block_on(answer_all(servers, cache, asked)))
        .map_err(ResolverError::Thread)?;
    Ok(questions)
}

async fn answer_all(servers: Servers, cache: Arc<Cache>, mut asked: mpsc::UnboundedReceiver<Question>) {
    while let Some(question) = asked.recv().await {
        tokio::spawn(answer(servers.clone(), cache.clone(), question));
    }
}

async fn answer(servers: Servers, cache: Arc<Cache>, Question { name, mut reply }: Question) {
    let result = tokio::select! {
        result = servers.resolve(&name) => result,
        // A guest that gives a look-up up takes its query along.
        () = reply.closed() => return,
    };
    if let Ok(answer) = &result {
        cache.insert(&name, answer, Instant::now());
    }
    // The asker may be gone by now, and then nobody needs the answer.
    let _ = reply.send(result);
}

/// The reason why a [`Resolver`] cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResolverError {
    /// The system gave no thread, or no event queue for it.
    #[error("the thread that resolves names cannot be started: {0}")]
    Thread(std::io::Error),
    /// The servers cannot be used.
    #[error("the DNS servers cannot be used: {detail}")]
    Servers {
        /// The resolver library's report.
        detail: String,
    },
}

#[cfg(test)]
mod tests;
