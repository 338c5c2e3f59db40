//! The script guest with a dependency: what stands behind `callee:` the dependency performs, all else it performs
//! itself. So one app can be watched trying the same from both sides of a composition.
//!
//! The dependency is whatever is composed into the import `outport:callee/interpreter@1.0.0`, such as the guests
//! `callee` and `callee-p3`.

use script::{Interpreter, Script};
use script_p3::P3;
use wasip3::cli::environment::get_arguments;
use wasip3::cli::stdout;
use wasip3::exports::cli::run::Guest;
use wasip3::wit_stream;

use crate::bindings::outport::callee::interpreter;

mod bindings {
    wit_bindgen::generate!({ world: "caller", path: "../shared/script/wit" });
}

struct Caller;

wasip3::cli::command::export!(Caller);

impl Guest for Caller {
    async fn run() -> Result<(), ()> {
        for argument in get_arguments().into_iter().skip(1) {
            let lines = match argument.strip_prefix("callee:") {
                Some(script) => interpreter::perform(script.trim().to_owned()).await,
                None => perform(&argument).await,
            };
            print(lines).await?;
        }
        Ok(())
    }
}

async fn perform(script: &str) -> String {
    let script = match Script::parse([script]) {
        Ok(script) => script,
        Err(mistake) => return format!("caller: {mistake}\n"),
    };
    let mut interpreter = Interpreter::new(P3);
    let mut lines = String::new();
    for statement in script.statements() {
        lines += &statement.report(&interpreter.perform(statement.action()).await);
        lines += "\n";
    }
    lines
}

async fn print(text: String) -> Result<(), ()> {
    let (mut out, read) = wit_stream::new();
    let written = stdout::write_via_stream(read);
    out.write_all(text.into_bytes()).await;
    drop(out);
    written.await.map_err(|_| ())
}
