//! The URL of an outgoing request, from the parts that a guest sets to the place that is judged and connected to.
//!
//! Reading never panics. What is judged is what is sent: the authority that is written for the server is read as
//! the same place again, and neither form of the request names another.

#![no_main]

// Sources of another crate, of which a part is used: that crate as a whole brings all of wasmtime.
#[allow(dead_code, unreachable_pub, reason = "see above")]
#[path = "../../crates/egress/src/http/destination.rs"]
mod destination;
#[allow(dead_code, unreachable_pub, reason = "see above")]
#[path = "../../crates/egress/src/dial/destination.rs"]
mod dial;

use dial::Destination;
use http::header::HOST;
use http::{Request, Uri};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|parts: (bool, &str, &str, &str)| {
    let (tls, authority, path, host) = parts;
    let scheme = if tls { "https" } else { "http" };
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(authority)
        .path_and_query(path);
    let Ok(uri) = uri.build() else {
        return;
    };
    let Ok(request) = Request::builder().uri(uri).header(HOST, host).body(()) else {
        return;
    };
    let Ok(destination) = Destination::of(&request) else {
        return;
    };
    let authority = destination.authority();
    assert!(!authority.contains('@'), "{authority}");

    let url = format!("{}://{authority}/", destination.scheme);
    let again = Request::builder()
        .uri(&url)
        .body(())
        .expect("what is sent is a URL");
    let again = Destination::of(&again).expect("what is sent is a destination");
    let target = |of: &Destination| (of.scheme.clone(), of.host.clone(), of.port);
    assert_eq!(target(&again), target(&destination), "{url}");

    let (mut uri, mut headers) = (request.uri().clone(), request.headers().clone());
    if destination.write_http1(&mut uri, &mut headers).is_ok() {
        assert!(uri.authority().is_none() && uri.scheme().is_none(), "{uri}");
        assert_eq!(headers.get_all(HOST).iter().count(), 1);
        assert_eq!(headers[HOST].as_bytes(), authority.as_bytes());
    }
    let (mut uri, mut headers) = (request.uri().clone(), request.headers().clone());
    if destination.write_http2(&mut uri, &mut headers).is_ok() {
        assert_eq!(uri.authority().map(|own| own.as_str()), Some(authority.as_str()));
        assert!(!headers.contains_key(HOST));
    }
});
