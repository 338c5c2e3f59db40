//! A dependency that performs the statements it is given, on WASI 0.3. `guests/script-guest/README.md` has the grammar.

use script::{Interpreter, Script};
use script_p3::P3;

use crate::bindings::exports::outport::callee::interpreter::Guest;

mod bindings {
    wit_bindgen::generate!({ world: "callee", path: "../shared/script/wit" });
}

struct Callee;

bindings::export!(Callee with_types_in bindings);

impl Guest for Callee {
    async fn perform(script: String) -> String {
        let script = match Script::parse([script]) {
            Ok(script) => script,
            Err(mistake) => return format!("callee-p3: {mistake}\n"),
        };
        let mut interpreter = Interpreter::new(P3);
        let mut lines = String::new();
        for statement in script.statements() {
            lines += &statement.report(&interpreter.perform(statement.action()).await);
            lines += "\n";
        }
        lines
    }
}
