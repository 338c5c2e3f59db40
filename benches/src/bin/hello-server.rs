//! The native server alone, which `outport-bench pods` links without shared libraries and puts into an image: what it holds
//! of memory is its own, and nothing of the program that measures.

use std::process::ExitCode;

#[path = "../hyper_alone.rs"]
mod hyper_alone;

fn main() -> ExitCode {
    let address = std::env::args().nth(1).and_then(|address| address.parse().ok());
    let Some(address) = address else {
        eprintln!("usage: hello-server ADDRESS");
        return ExitCode::from(2);
    };
    match hyper_alone::serve(address) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
