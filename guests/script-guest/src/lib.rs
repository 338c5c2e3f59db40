//! The script guest as a command: each argument is a statement, each line of output a result. `README.md` has
//! the grammar. It fails only if an argument is no statement; refusals are results like any other.

use std::io::Write;

use script::{Interpreter, Script};
use script_p2::{P2, run};
use wasip2::cli::environment::get_arguments;
use wasip2::cli::{stderr, stdout};
use wasip2::exports::cli::run::Guest;

struct Command;

wasip2::cli::command::export!(Command);

impl Guest for Command {
    fn run() -> Result<(), ()> {
        let script = match Script::parse(get_arguments().iter().skip(1)) {
            Ok(script) => script,
            Err(mistake) => {
                let _ = writeln!(stderr::get_stderr(), "script-guest: {mistake}");
                return Err(());
            }
        };
        run(run_script(&script))
    }
}

/// Each line is flushed before the next statement runs: whoever watches knows how far the script is.
async fn run_script(script: &Script) -> Result<(), ()> {
    let out = stdout::get_stdout();
    let mut interpreter = Interpreter::new(P2);
    for statement in script.statements() {
        let line = statement.report(&interpreter.perform(statement.action()).await);
        out.blocking_write_and_flush(format!("{line}\n").as_bytes())
            .map_err(|_| ())?;
    }
    Ok(())
}
