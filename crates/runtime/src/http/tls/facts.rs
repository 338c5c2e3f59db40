//! What is known of the TLS that a request came over, which the request has among its extensions from its connection on.
//!
//! A request without it came in the clear, or from a component of the app. Nothing that a client writes puts it there: the
//! scheme that a client of HTTP/2 claims, or the one in an absolute URL, is another matter.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::uri::Scheme;
use http::{HeaderValue, Request};
use rustls::ServerConnection;

/// A connection over TLS, as its requests know it. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::http) struct TlsFacts {
    /// The certificate that the client has shown, and that was verified.
    client_certificate: Option<HeaderValue>,
}

impl TlsFacts {
    /// Of a connection whose handshake is done.
    pub(super) fn of(connection: &ServerConnection) -> Self {
        let chain = connection.peer_certificates();
        let own = chain.and_then(|chain| chain.first());
        Self {
            client_certificate: own.and_then(|der| written(der)),
        }
    }

    /// The client's certificate in the form of RFC 9440: DER, in base64 between colons.
    pub(in crate::http) fn client_certificate(&self) -> Option<&HeaderValue> {
        self.client_certificate.as_ref()
    }

    /// Those of a client who has shown this certificate.
    #[cfg(test)]
    pub(in crate::http) fn with_certificate(der: &[u8]) -> Self {
        Self {
            client_certificate: written(der),
        }
    }
}

/// The facts about the connection that a request came over, if it was one of TLS.
pub(in crate::http) fn tls_facts<B>(request: &Request<B>) -> Option<&TlsFacts> {
    request.extensions().get()
}

/// The scheme by which a request came.
pub(in crate::http) fn scheme<B>(request: &Request<B>) -> Scheme {
    match tls_facts(request) {
        Some(_) => Scheme::HTTPS,
        None => Scheme::HTTP,
    }
}

/// A certificate as a header. None of one that is too large to be given to a guest with every request.
fn written(der: &[u8]) -> Option<HeaderValue> {
    if der.len() > LARGEST_CERTIFICATE {
        return None;
    }
    HeaderValue::try_from(format!(":{}:", STANDARD.encode(der))).ok()
}

/// Bytes of the largest certificate of a client that guests are shown.
const LARGEST_CERTIFICATE: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_a_byte_sequence_unless_it_is_large() {
        let facts = TlsFacts::with_certificate(b"\0\x01\x02\xff");
        assert_eq!(facts.client_certificate().unwrap(), ":AAEC/w==:");
        let large = TlsFacts::with_certificate(&[0; LARGEST_CERTIFICATE + 1]);
        assert_eq!(large.client_certificate(), None);
    }

    #[test]
    fn the_scheme_is_that_of_the_connection_whatever_a_client_writes() {
        for (url, facts, expected) in [
            ("/", false, Scheme::HTTP),
            ("/", true, Scheme::HTTPS),
            ("https://example.com/", false, Scheme::HTTP),
            ("http://example.com/", true, Scheme::HTTPS),
        ] {
            let mut request = Request::get(url).body(()).unwrap();
            if facts {
                request.extensions_mut().insert(TlsFacts::with_certificate(b""));
            }
            assert_eq!(scheme(&request), expected, "{url} {facts}");
        }
    }
}
