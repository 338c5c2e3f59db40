//! Questions to the DNS servers.
//!
//! A name is asked for its A and AAAA records at the same time: over UDP, over TCP when the answer is truncated,
//! for the absolute name in lower case (the case of a query is a channel out of the sandbox, so it is not
//! randomised either). One family that answers is enough; the other may fail or stay silent.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name as WireName, RecordType};
use outport_policy::{AnswerSource, Name};

use super::answer::{Answer, ResolveError};
use super::chain::{self, Chain};

/// The DNS servers, in the order in which they are asked. Belongs to the runtime that it was made on.
#[derive(Clone)]
pub(super) struct Servers {
    client: TokioResolver,
}

impl Servers {
    /// A client of `servers`. Must be called within a runtime.
    pub(super) fn new(servers: &[SocketAddr]) -> Result<Servers, NetError> {
        let servers = servers.iter().map(|server| name_server(*server)).collect();
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        let client = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
            .with_options(options())
            .build()?;
        Ok(Servers { client })
    }

    /// The addresses of the absolute name `name`, after at most [`FAMILY_TIME`].
    pub(super) async fn ask(&self, name: &Name) -> Result<Answer, ResolveError> {
        let (v4, v6) = tokio::join!(
            self.ask_family(name, RecordType::A),
            self.ask_family(name, RecordType::AAAA)
        );
        merge(v4, v6)
    }

    async fn ask_family(&self, name: &Name, family: RecordType) -> Result<Chain, ResolveError> {
        let absolute = WireName::from_ascii(format!("{name}.")).map_err(|error| ResolveError::Failed {
            detail: error.to_string(),
        })?;
        let lookup = tokio::time::timeout(FAMILY_TIME, self.client.lookup(absolute, family));
        let lookup = lookup
            .await
            .map_err(|_| ResolveError::TimedOut)?
            .map_err(resolve_error)?;
        let chain = chain::follow(name, lookup.answers())?;
        if chain.addresses.is_empty() {
            Err(ResolveError::NoAddress)
        } else {
            Ok(chain)
        }
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
    options.attempts = 2;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.preserve_intermediates = true;
    options.case_randomization = false;
    options.num_concurrent_reqs = 1;
    options.max_active_requests = 1024;
    options
}

fn merge(v4: Result<Chain, ResolveError>, v6: Result<Chain, ResolveError>) -> Result<Answer, ResolveError> {
    let (mut chain, other) = match (v4, v6) {
        (Ok(v4), Ok(v6)) => (v4, Some(v6)),
        (Ok(only), Err(_)) | (Err(_), Ok(only)) => (only, None),
        (Err(v4), Err(v6)) => return Err(worse(v4, v6)),
    };
    if let Some(other) = other {
        let names = other
            .names
            .into_iter()
            .filter(|name| !chain.names.contains(name))
            .collect::<Vec<_>>();
        chain.names.extend(names);
        chain.addresses.extend(other.addresses);
        chain.ttl = chain.ttl.min(other.ttl);
    }
    let mut addresses = Vec::with_capacity(chain.addresses.len());
    for address in chain.addresses {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    Ok(Answer {
        chain: chain.names,
        addresses,
        source: AnswerSource::Server,
        ttl: chain.ttl,
    })
}

/// What two failures say together: a name that does not exist for one family does not exist for the other, and
/// "has no address" needs the word of both.
fn worse(v4: ResolveError, v6: ResolveError) -> ResolveError {
    match (v4, v6) {
        (ResolveError::NoSuchName, _) | (_, ResolveError::NoSuchName) => ResolveError::NoSuchName,
        (ResolveError::NoAddress, other) | (other, _) => other,
    }
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

/// How long one server may take for one try.
const TRY_TIME: Duration = Duration::from_millis(2000);

/// How long one family of addresses may take with all tries; a little less than the time of a whole look-up, so
/// that a silent family does not spoil the answer of the other.
const FAMILY_TIME: Duration = Duration::from_millis(4500);

#[cfg(test)]
mod tests {
    use outport_policy::Address;

    use super::*;

    fn chain(names: &[&str], addresses: &[&str], ttl: u64) -> Chain {
        Chain {
            names: names.iter().map(|name| Name::parse(name).unwrap()).collect(),
            addresses: addresses
                .iter()
                .map(|address| Address::new(address.parse().unwrap()))
                .collect(),
            ttl: Duration::from_secs(ttl),
        }
    }

    #[test]
    fn the_answers_of_both_families_become_one() {
        let answer = merge(
            Ok(chain(&["b.example", "c.example"], &["10.0.0.1", "10.0.0.1"], 60)),
            Ok(chain(
                &["b.example", "d.example"],
                &["fd00::1", "::ffff:10.0.0.1"],
                30,
            )),
        )
        .unwrap();
        let expected = chain(
            &["b.example", "c.example", "d.example"],
            &["10.0.0.1", "fd00::1"],
            30,
        );
        assert_eq!(answer.chain, expected.names);
        assert_eq!(answer.addresses, expected.addresses);
        assert_eq!(answer.ttl, expected.ttl);
    }

    // proves: DNS-5
    #[test]
    fn two_failures_become_the_one_that_says_more() {
        let failed = || ResolveError::Failed {
            detail: "servfail".into(),
        };
        let rows = [
            (
                ResolveError::NoSuchName,
                ResolveError::NoSuchName,
                ResolveError::NoSuchName,
            ),
            (ResolveError::NoSuchName, failed(), ResolveError::NoSuchName),
            (
                ResolveError::NoAddress,
                ResolveError::NoAddress,
                ResolveError::NoAddress,
            ),
            (ResolveError::NoAddress, failed(), failed()),
            (failed(), ResolveError::NoAddress, failed()),
            (
                ResolveError::TimedOut,
                ResolveError::NoAddress,
                ResolveError::TimedOut,
            ),
        ];
        for (v4, v6, expected) in rows {
            assert_eq!(
                merge(Err(v4.clone()), Err(v6.clone())),
                Err(expected),
                "{v4:?} and {v6:?}"
            );
        }
    }
}
