//! A request of a client, once it is over: told to whoever keeps an access log.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use http::uri::Scheme;
use http::{HeaderMap, Method, StatusCode, Uri, Version};

/// Somebody who is told of each request of a client when it is over.
pub trait RequestObserver: Send + Sync + 'static {
    /// Takes one. Called on the thread of the worker: must neither block nor panic.
    fn ended(&self, request: &RequestRecord<'_>);
}

/// A request of a client, and what was answered. All of it but the component and the route is what a client wrote.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RequestRecord<'a> {
    /// When its headers had come.
    pub began: SystemTime,
    /// The time from then until the last byte of the response was handed over, or the client was gone.
    pub duration: Duration,
    /// The client.
    pub client: SocketAddr,
    /// The method.
    pub method: &'a Method,
    /// The target, as the client wrote it.
    pub target: &'a Uri,
    /// The version of HTTP.
    pub version: Version,
    /// `https` where the client spoke TLS, else `http`: the connection's, whatever the target says.
    pub scheme: &'a Scheme,
    /// The headers of the request.
    pub headers: &'a HeaderMap,
    /// The component that answered; none where no component was asked.
    pub component: Option<&'a str>,
    /// The route that matched, as the manifest writes it.
    pub route: Option<&'a str>,
    /// The status of the response; 499 where the client was gone before there was one.
    pub status: StatusCode,
    /// Bytes of the response's body that were handed over. What is written ahead of a client counts: up to 64 KiB, and what the
    /// system and HTTP hold.
    pub sent: u64,
    /// Bytes of the request's body that were taken.
    pub received: u64,
    /// True if the response was sent whole.
    pub is_whole: bool,
    /// The number of the trace that the request is part of, if any.
    pub trace_id: Option<u128>,
    /// True if spans of that trace are recorded: here, or where the request comes from. One that begins here and is not
    /// sampled has a number too, which goes on to whom the guest asks.
    pub is_sampled: bool,
}
