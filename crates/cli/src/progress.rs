//! How far transfers are, and for how long something is compiled, on a terminal: a line for each, which goes when it is done.
//! That another process is waited for is said wherever anything is.

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use outport_runtime::compiler::{CompileWatch, Compiling};
use outport_sources::progress::{Progress, Quiet, Transfer};

use crate::terminal::Terminal;

/// The lines of all transfers.
pub(crate) struct Lines(MultiProgress, Terminal);

/// No lines: there is no terminal.
struct NoLines(Terminal);

struct Line(ProgressBar);

/// Whoever is told of transfers: nobody where no terminal is, or nothing is to be said.
pub(crate) fn of(terminal: Terminal) -> Box<dyn Progress> {
    // Without a thread that keeps lines moving: the kernel's sandbox closes over one thread.
    let lines = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
    if terminal.is_quiet() {
        Box::new(Quiet)
    } else if lines.is_hidden() {
        Box::new(NoLines(terminal))
    } else {
        Box::new(Lines(lines, terminal))
    }
}

/// Whoever is told of what is compiled; nobody where no terminal is: there the log says it, once it takes long.
pub(crate) fn of_compiling(terminal: Terminal) -> Option<CompileWatch> {
    let line = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style("{msg}"));
    if terminal.is_quiet() || line.is_hidden() {
        return None;
    }
    Some(Box::new(move |compiling: &Compiling<'_>| {
        let Compiling { what, elapsed, .. } = compiling;
        if !compiling.is_over {
            line.set_message(format!("Compiling {what}… {} s", elapsed.as_secs()));
            line.tick();
            return;
        }
        // Not finished: the next component has the same line.
        line.set_message(String::new());
        line.suspend(|| {
            if elapsed.as_secs() > 0 {
                terminal.say(&format!("Compiled {what} in {:.1} s", elapsed.as_secs_f64()));
            }
        });
    }))
}

impl Progress for Lines {
    fn begin(&self, name: &str, total: Option<u64>) -> Box<dyn Transfer> {
        let line = match total {
            Some(total) => ProgressBar::new(total).with_style(style(
                "{msg} [{bar:30}] {bytes} of {total_bytes}, {bytes_per_sec}",
            )),
            None => ProgressBar::no_length().with_style(style("{msg} {bytes}, {bytes_per_sec}")),
        };
        let line = self.0.add(line);
        line.set_message(name.to_owned());
        Box::new(Line(line))
    }

    fn wait(&self, name: &str) {
        self.0.suspend(|| say_wait(self.1, name));
    }
}

impl Progress for NoLines {
    fn begin(&self, name: &str, total: Option<u64>) -> Box<dyn Transfer> {
        Quiet.begin(name, total)
    }

    fn wait(&self, name: &str) {
        say_wait(self.0, name);
    }
}

fn say_wait(terminal: Terminal, name: &str) {
    terminal.say(&format!("Waiting for {name}, which another process is fetching"));
}

impl Transfer for Line {
    fn advance(&mut self, bytes: u64) {
        self.0.inc(bytes);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}
