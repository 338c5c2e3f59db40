//! A dependency that performs the statements it is given, on WASI 0.2. `guests/script-guest/README.md` has the grammar.

use script::{Interpreter, Script};
use script_p2::{P2, run};

use crate::bindings::exports::outport::callee::interpreter::Guest;

mod bindings {
    wit_bindgen::generate!({ world: "callee", path: "../shared/script/wit", sync: true });
}

struct Callee;

bindings::export!(Callee with_types_in bindings);

impl Guest for Callee {
    fn perform(script: String) -> String {
        match Script::parse([script]) {
            Ok(script) => run(results(&script)),
            Err(mistake) => format!("callee: {mistake}\n"),
        }
    }
}

async fn results(script: &Script) -> String {
    let mut interpreter = Interpreter::new(P2);
    let mut lines = String::new();
    for statement in script.statements() {
        lines += &statement.report(&interpreter.perform(statement.action()).await);
        lines += "\n";
    }
    lines
}
