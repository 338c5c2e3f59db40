//! The gate of code that has no way out: a dependency which does not inherit what its component may reach.
//!
//! Such code never gets a socket, a look-up or a request, whatever is said here; whoever links it answers every attempt
//! with a refusal. What it tried is judged all the same, by the same decider under a list that permits nothing, so that
//! it is counted and told like every other denial, with the first layer that refuses as the reason.

use std::net::IpAddr;
use std::sync::Arc;

#[cfg(feature = "http")]
use ::http::uri::{PathAndQuery, Scheme, Uri};
#[cfg(feature = "http")]
use ::http::{Method, Request};
use outport_policy::{Attempt, Host, LabelKind, Reason, RequestMethod, Transport};

use crate::ctx::GateCtx;
use crate::dial::{Destination, address_with};
use crate::enforcer::Enforcer;
use crate::process::Component;
use crate::tls_usage::{TLS_ATTEMPT, TLS_SERVER_NAME};

/// Tells what a dependency tries that has no way out. Made by [`Gate::shut`](crate::Gate::shut).
#[derive(Clone)]
pub struct ShutGate(Arc<Component>);

impl ShutGate {
    pub(crate) fn new(component: Component) -> Self {
        Self(Arc::new(component))
    }

    /// The dependency wanted a socket. `instance` is the one that it is a part of.
    pub fn refuse_socket(&self, instance: &GateCtx, transport: Transport) {
        self.refuse(instance, Ok(&Attempt::CreateSocket { transport }));
    }

    /// The dependency wanted to look `text` up.
    pub fn refuse_lookup(&self, instance: &GateCtx, text: &str) {
        let name = match (text.parse::<IpAddr>(), Host::parse(text)) {
            (Err(_), Ok(Host::Name(name))) => Some(name),
            _ => None,
        };
        let attempt = name.as_ref().map(|name| Attempt::Lookup { name });
        let attempt = attempt
            .as_ref()
            .ok_or(("dns.lookup", text, Reason::AllowNotInherited));
        self.refuse(instance, attempt);
    }

    /// The dependency wanted to send a request: a method, a scheme (`https` if it named none) and an authority.
    #[cfg(feature = "http")]
    pub fn refuse_request(&self, instance: &GateCtx, method: &str, scheme: Option<&str>, authority: &str) {
        let request = request(method, scheme, authority);
        let destination = request.as_ref().and_then(|request| {
            let destination = Destination::of(request).ok()?;
            Some((destination, request.method()))
        });
        let attempt = destination
            .as_ref()
            .map(|(destination, method)| destination.attempt(method));
        let attempt = attempt
            .as_ref()
            .ok_or(("http.request", authority, Reason::HttpHost));
        self.refuse(instance, attempt);
    }

    /// The dependency wanted to open a store, a database or a model.
    pub fn refuse_label(&self, instance: &GateCtx, kind: LabelKind, label: &str) {
        self.refuse(instance, Ok(&Attempt::Open { kind, label }));
    }

    /// The dependency wanted an interface of the host to connect to there.
    pub fn refuse_connection(&self, instance: &GateCtx, destination: &Destination) {
        self.refuse(instance, Ok(&destination.attempt_by(RequestMethod::Other)));
    }

    /// The same with an address string of which `part` is not understood; see
    /// [`Dialer::refuse_address`](crate::Dialer::refuse_address).
    pub fn refuse_address(&self, instance: &GateCtx, attempt: &'static str, part: &'static str) {
        let shown = address_with(part);
        self.refuse(instance, Err((attempt, &shown, Reason::AddressInvalid)));
    }

    /// The dependency wanted TLS to be spoken with `server`.
    pub fn refuse_tls(&self, instance: &GateCtx, server: &str) {
        match Host::parse(server) {
            Ok(server) => {
                let server = &server;
                self.refuse(instance, Ok(&Attempt::Tls { server, remotes: &[] }));
            }
            Err(_) => {
                let text = (TLS_ATTEMPT, TLS_SERVER_NAME, Reason::AddressInvalid);
                self.refuse(instance, Err(text));
            }
        }
    }

    /// Tells of an attempt, or of a text that is none.
    fn refuse(&self, instance: &GateCtx, attempt: Result<&Attempt<'_>, (&'static str, &str, Reason)>) {
        let enforcer = Enforcer::numbered(self.0.clone(), instance.instance());
        match attempt {
            // The list permits nothing, and nobody asks whether it did.
            Ok(attempt) => drop(enforcer.authorize(attempt, enforcer.usage())),
            Err((what, text, reason)) => enforcer.refuse(what, text, reason),
        }
    }
}

#[cfg(feature = "http")]
fn request(method: &str, scheme: Option<&str>, authority: &str) -> Option<Request<()>> {
    let uri = Uri::builder()
        .scheme(scheme.unwrap_or(Scheme::HTTPS.as_str()))
        .authority(authority)
        .path_and_query(PathAndQuery::from_static("/"));
    let mut request = Request::new(());
    *request.uri_mut() = uri.build().ok()?;
    *request.method_mut() = Method::from_bytes(method.as_bytes()).ok()?;
    Some(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Script, World, allow};

    // proves: ORD-2, ORD-3, RSN-2
    #[test]
    fn whatever_a_dependency_without_rights_tries_is_judged_and_refused() {
        let mut world = World::new(Script::new()).deny(&["*://evil.example:*"]);
        world.operator.limits.udp = outport_policy::Limit::Holds;
        let gate = world.egress().gate("main", allow(&["*://*:*"]));
        let (shut, ctx) = (gate.shut("a:b/c"), gate.open());
        shut.refuse_socket(&ctx, Transport::Tcp);
        shut.refuse_socket(&ctx, Transport::Udp);
        for text in ["db.example", "evil.example", "10.0.0.5", "no name\n"] {
            shut.refuse_lookup(&ctx, text);
        }
        shut.refuse_request(&ctx, "GET", None, "api.example");
        shut.refuse_request(&ctx, "POST", Some("http"), "10.0.0.5:8080");
        shut.refuse_request(&ctx, "connect", Some("http"), "api.example");
        shut.refuse_request(&ctx, "GET", Some("http"), "a@b@c");
        let events = world.events.events();
        for event in &events {
            assert_eq!(
                (&*event.component, event.instance),
                ("main/a:b/c", ctx.instance())
            );
        }
        assert_eq!(
            events[0].to_string(),
            "denied: component `main/a:b/c` socket tcp [allow.not-inherited] this is a dependency that does not \
             inherit this from its component; let the dependency inherit the allow list"
        );
        assert_eq!(
            world.events.take(),
            [
                "socket.create tcp [allow.not-inherited]",
                "socket.create udp [runtime.udp]",
                "dns.lookup db.example [allow.not-inherited]",
                "dns.lookup evil.example [deny.host]",
                "dns.lookup 10.0.0.5 [allow.not-inherited]",
                "dns.lookup no name\\u{a} [allow.not-inherited]",
                "http.request https://api.example:443 [allow.not-inherited]",
                "http.request http://10.0.0.5:8080 [allow.not-inherited]",
                "http.request http://api.example:80 [http.connect-method]",
                "http.request a@b@c [http.host]",
            ]
        );
        let metrics = gate.egress().metrics();
        assert_eq!((metrics.allowed, metrics.denied.values().sum::<u64>()), (0, 10));
        assert_eq!(world.script.questions(), [""; 0]);
    }
}
