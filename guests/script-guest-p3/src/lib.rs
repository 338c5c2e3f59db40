//! The script guest as a command of WASI 0.3. The statements are those of `script-guest`, and so is the output:
//! `guests/script-guest/README.md` has the grammar.

use script::{Interpreter, Script};
use script_p3::P3;
use wasip3::cli::environment::get_arguments;
use wasip3::cli::{stderr, stdout};
use wasip3::exports::cli::run::Guest;
use wasip3::wit_stream;

struct Command;

wasip3::cli::command::export!(Command);

impl Guest for Command {
    async fn run() -> Result<(), ()> {
        match Script::parse(get_arguments().iter().skip(1)) {
            Ok(script) => run_script(&script).await,
            Err(mistake) => {
                let (mut text, line) = wit_stream::new();
                let written = stderr::write_via_stream(line);
                text.write_all(format!("script-guest: {mistake}\n").into_bytes())
                    .await;
                drop(text);
                let _ = written.await;
                Err(())
            }
        }
    }
}

async fn run_script(script: &Script) -> Result<(), ()> {
    let mut interpreter = Interpreter::new(P3);
    for statement in script.statements() {
        let line = statement.report(&interpreter.perform(statement.action()).await);
        print(line + "\n").await?;
    }
    Ok(())
}

/// Writes a line through a stream of its own and waits for the stream's end: whoever watches knows how far the
/// script is before its next statement runs.
async fn print(line: String) -> Result<(), ()> {
    let (mut out, text) = wit_stream::new();
    let written = stdout::write_via_stream(text);
    out.write_all(line.into_bytes()).await;
    drop(out);
    written.await.map_err(|_| ())
}
