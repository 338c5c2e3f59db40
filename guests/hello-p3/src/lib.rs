//! The smallest HTTP guest of WASI 0.3: answers `Hello` to every request, as `hello` does on WASI 0.2. Benchmarks run
//! it on Outport and on other runtimes side by side, so it does nothing else.

use wasip3::exports::http::handler::Guest;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::wit_bindgen::spawn_local;
use wasip3::{wit_future, wit_stream};

struct Hello;

wasip3::http::service::export!(Hello);

impl Guest for Hello {
    async fn handle(_request: Request) -> Result<Response, ErrorCode> {
        let (mut body, contents) = wit_stream::new();
        let (trailers, no_trailers) = wit_future::new(|| Ok(None));
        drop(trailers);
        let (response, _sent) = Response::new(Fields::new(), Some(contents), no_trailers);
        spawn_local(async move {
            // A client who went away is no concern of this guest.
            body.write_all(b"Hello\n".to_vec()).await;
        });
        Ok(response)
    }
}
