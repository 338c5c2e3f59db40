//! A script guest for what the host has beside the network: the body of a request brings statements, its answer the
//! results, a line each (`1 kv2.get k => v`).
//!
//! ```text
//! client ─ POST: statements ─▶ stores ─┬─ itself ───────────▶ fermyon:spin/key-value, spin:key-value, wasi:keyvalue, …
//!                                      └─ `callee: …` ─▶ whoever is composed into outport:callee/interpreter, such as
//!                                                        another copy of this component
//! ```
//!
//! Statements are separated by `;` or line ends. Words are separated by white space, and `\xNN` in a word stands for a
//! byte. The first word is `INTERFACE.VERB`; each interface is a module that says which verbs it has:
//!
//! | interface | module |
//! | --- | --- |
//! | `config1`, `http1`, `kv1`, `mysql1`, `pg1`, `redis1`, `sqlite1` | [`first`] |
//! | `kv2` | [`key_value::spin_v2`] |
//! | `kv3` | [`key_value::spin_v3`] |
//! | `llm2` | [`llm`] |
//! | `mqtt2`, `mqtt3` | [`mqtt`] |
//! | `mysql2`, `mysql3` | [`mysql`] |
//! | `pg2`, `pg3`, `pg4` | [`postgres`] |
//! | `redis2`, `redis3` | [`redis`] |
//! | `sqlite2`, `sqlite3` | [`sqlite`] |
//! | `wasi` | [`key_value::wasi`], also batches and atomics |
//! | `tcp`, `dns`, `http`, … | those of the script guests, on WASI 0.3 |
//!
//! | before a statement | what is done |
//! | --- | --- |
//! | `repeat N` | it is performed N times, with the number in the place of `{}`; each result and how often |
//! | `all N` | the same, all at the same time |
//! | `callee:` | the dependency performs it |
//!
//! `wait MS` waits. A refusal is a result like any other and stops nothing. What was opened is kept until the script ends,
//! and in a dependency as long as its instance.

mod first;
mod interpreter;
mod kept;
mod key_value;
mod llm;
mod mqtt;
mod mysql;
mod postgres;
mod redis;
mod sqlite;
mod text;

use wasip3::exports::http::handler::Guest as Handler;
use wasip3::http::types::{ErrorCode, Fields, Request, Response};
use wasip3::wit_bindgen::spawn_local;
use wasip3::{wit_future, wit_stream};

use crate::interpreter::Interpreter;

mod bindings {
    wit_bindgen::generate!({ world: "stores", path: "wit", generate_all });
}

mod first_bindings {
    wit_bindgen::generate!({ world: "first", path: "wit-first" });
}

/// The dependency that statements behind `callee:` go to.
mod callee {
    wit_bindgen::generate!({ world: "caller", path: "../shared/script/wit" });
}

/// This component as the dependency of another one.
mod exported {
    wit_bindgen::generate!({ world: "callee", path: "../shared/script/wit" });
}

struct Stores;

wasip3::http::service::export!(Stores);
exported::export!(Stores with_types_in exported);

impl Handler for Stores {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let (consumed, result) = wit_future::new(|| Ok(()));
        drop(consumed);
        let (body, _trailers) = Request::consume_body(request, result);
        let script = String::from_utf8_lossy(&body.collect().await).into_owned();
        answer(Interpreter::default().perform(&script).await)
    }
}

impl exported::exports::outport::callee::interpreter::Guest for Stores {
    async fn perform(script: String) -> String {
        thread_local! {
            static KEPT: std::rc::Rc<Interpreter> = std::rc::Rc::default();
        }
        let kept = KEPT.with(std::rc::Rc::clone);
        kept.perform(&script).await
    }
}

fn answer(text: String) -> Result<Response, ErrorCode> {
    let (mut body, contents) = wit_stream::new();
    let (trailers, no_trailers) = wit_future::new(|| Ok(None));
    drop(trailers);
    let (response, _sent) = Response::new(Fields::new(), Some(contents), no_trailers);
    spawn_local(async move {
        // A client who went away is no concern of this guest.
        body.write_all(text.into_bytes()).await;
    });
    Ok(response)
}
