//! The script player as a command of WASI 0.3. The statements are those of `player`, and so is the output:
//! `guests/player/README.md` has the grammar.

use script::{Player, Script};
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
            Ok(script) => play(&script).await,
            Err(mistake) => {
                let (mut text, line) = wit_stream::new();
                let written = stderr::write_via_stream(line);
                text.write_all(format!("player: {mistake}\n").into_bytes()).await;
                drop(text);
                let _ = written.await;
                Err(())
            }
        }
    }
}

async fn play(script: &Script) -> Result<(), ()> {
    let mut player = Player::new(P3);
    for statement in script.statements() {
        let line = statement.report(&player.perform(statement.action()).await);
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
