//! A command that imports `acme:weather/forecast@1.0.0`, which no host provides.
//!
//! It says that it runs; with the argument `call` it then asks for the forecast. So a host can be watched doing
//! both: starting a component although an import is unknown, and naming the import when it is called.

use wasip2::cli::environment::get_arguments;
use wasip2::cli::stdout::get_stdout;
use wasip2::exports::cli::run::Guest;

use crate::bindings::acme::weather::forecast;

mod bindings {
    wit_bindgen::generate!({ world: "foreign", path: "wit" });
}

struct Foreign;

wasip2::cli::command::export!(Foreign);

impl Guest for Foreign {
    fn run() -> Result<(), ()> {
        say("running")?;
        if get_arguments().iter().any(|argument| argument == "call") {
            say(&forecast::today())?;
        }
        Ok(())
    }
}

fn say(line: &str) -> Result<(), ()> {
    get_stdout()
        .blocking_write_and_flush(format!("{line}\n").as_bytes())
        .map_err(|_| ())
}
