//! How text looks that a person reads: whether in colour, how wide, and whether places in it lead to files.
//!
//! ```text
//! --color, OUTPORT_COLOR, outport.toml ─► choose ─┐
//! NO_COLOR, CLICOLOR, CLICOLOR_FORCE, TERM ───────┼─► Appearance of standard output, of standard error ─► Renderer
//! is it a terminal, how wide, does it know links ─┘
//! ```
//!
//! | `--color` | colours | links |
//! | --- | --- | --- |
//! | `never` | no | no |
//! | `always` | yes | on a terminal that knows them |
//! | `auto` | as the environment says, else on a terminal that can | the same, where colours are |
//!
//! `auto` goes by `NO_COLOR` (<https://no-color.org>), then `CLICOLOR_FORCE` and `CLICOLOR` (<https://bixense.com/clicolors>),
//! by the library that the command line's parser goes by too, so that its messages and all others look alike.
//!
//! Where there is no terminal, text is as wide as it always was: programs compare it.

use std::env;
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path;
use std::str::FromStr;

use anstream::AutoStream;
use clap::ColorChoice;
use outport_check::{Colours, LinkTo, REPORT_COLUMNS, Renderer, prose_columns};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use supports_hyperlinks::Stream;

/// How text looks in one of the standard streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Appearance {
    /// The choice of colours.
    pub(crate) colours: Colours,
    /// The columns of the terminal; none where there is none, or nobody knows.
    columns: Option<usize>,
    /// Where places lead.
    links: Option<LinkTo>,
}

impl Appearance {
    /// That of what Outport says.
    pub(crate) fn of_standard_error() -> Self {
        let stream = io::stderr();
        let choice = AutoStream::choice(&stream);
        Self::of_stream(&stream, choice, Stream::Stderr)
    }

    /// That of results.
    pub(crate) fn of_standard_output() -> Self {
        let stream = io::stdout();
        let choice = AutoStream::choice(&stream);
        Self::of_stream(&stream, choice, Stream::Stdout)
    }

    fn of_stream(stream: &(impl AsFd + IsTerminal), choice: anstream::ColorChoice, name: Stream) -> Self {
        let is_coloured = matches!(
            choice,
            anstream::ColorChoice::Always | anstream::ColorChoice::AlwaysAnsi
        );
        let links: LinkTo = link;
        Self {
            colours: if is_coloured {
                Colours::Terminal
            } else {
                Colours::Plain
            },
            columns: stream.is_terminal().then(|| columns_of(stream)).flatten(),
            links: (is_coloured && supports_hyperlinks::on(name)).then_some(links),
        }
    }

    /// The renderer for this.
    pub(crate) fn of(self, renderer: Renderer) -> Renderer {
        let renderer = renderer.linked(self.links);
        match self.columns {
            Some(columns) => renderer.within(columns),
            None => renderer,
        }
    }

    /// The columns of sentences.
    pub(crate) fn prose_columns(self) -> usize {
        self.columns.map_or(REPORT_COLUMNS, prose_columns)
    }
}

/// Makes a choice for the process.
pub(crate) fn choose(choice: ColorChoice) {
    let choice = match choice {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    };
    choice.write_global();
}

/// The choice that a command line makes which may be none, for what is said about that. The first counts: a second is a
/// mistake, or is meant for a guest.
pub(crate) fn written(words: &[OsString]) -> ColorChoice {
    let words = words.iter().map(|word| word.to_string_lossy());
    let mut words = words.take_while(|word| word != "--");
    let typed = words.find_map(|word| match word.strip_prefix("--color")? {
        "" => Some(None),
        value => value.strip_prefix('=').map(|value| Some(value.to_owned())),
    });
    let value = match typed {
        Some(Some(value)) => Some(value),
        Some(None) => words.next().map(std::borrow::Cow::into_owned),
        None => env::var("OUTPORT_COLOR").ok(),
    };
    value
        .and_then(|value| ColorChoice::from_str(&value).ok())
        .unwrap_or(ColorChoice::Auto)
}

/// The columns of a terminal, or those that the shell says it has where it does not say so itself.
fn columns_of(terminal: &impl AsFd) -> Option<usize> {
    let own =
        terminal_size::terminal_size_of(terminal).map(|(terminal_size::Width(columns), _)| columns.into());
    own.or_else(|| env::var("COLUMNS").ok()?.parse().ok())
        .filter(|columns| *columns > 0)
}

/// The address of a file that is there. What is shown under another name than its own leads nowhere.
fn link(path: &str) -> Option<String> {
    let path = path::absolute(path).ok()?;
    path.symlink_metadata().ok()?;
    let host = std::fs::read("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = percent_encode(host.trim_ascii(), NOT_IN_AN_ADDRESS);
    let path = percent_encode(path.as_os_str().as_bytes(), NOT_IN_AN_ADDRESS);
    Some(format!("file://{host}{path}"))
}

/// All but what stands for itself in the path of a URI (RFC 3986, 2.3), and what separates its parts.
const NOT_IN_AN_ADDRESS: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

#[cfg(test)]
mod tests {
    use super::*;

    fn choice(line: &[&str]) -> ColorChoice {
        let words: Vec<_> = line.iter().map(OsString::from).collect();
        written(&words)
    }

    #[test]
    fn the_choice_is_known_of_a_line_that_is_none() {
        let rows: [(&[&str], ColorChoice); 9] = [
            (&["outport", "up"], ColorChoice::Auto),
            (&["outport", "up", "--color", "never"], ColorChoice::Never),
            (&["outport", "--color=always", "nothing"], ColorChoice::Always),
            (&["outport", "up", "--color"], ColorChoice::Auto),
            (&["outport", "up", "--color=red"], ColorChoice::Auto),
            (&["outport", "up", "--colors=never"], ColorChoice::Auto),
            (
                &["outport", "run", "--", "a.wasm", "--color=never"],
                ColorChoice::Auto,
            ),
            (
                &["outport", "--color=never", "run", "a.wasm", "--color=always"],
                ColorChoice::Never,
            ),
            (&["outport", "--help", "--color", "always"], ColorChoice::Always),
        ];
        for (line, expected) in rows {
            assert_eq!(choice(line), expected, "{line:?}");
        }
    }

    #[test]
    fn a_file_has_an_address_without_what_a_terminal_would_obey() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a b\u{1b}]8;;x\u{7}ü%.toml");
        assert_eq!(link(path.to_str().unwrap()), None);
        std::fs::write(&path, "").unwrap();
        let address = link(path.to_str().unwrap()).unwrap();
        assert!(address.starts_with("file://"), "{address}");
        assert!(
            address.ends_with("/a%20b%1B%5D8%3B%3Bx%07%C3%BC%25.toml"),
            "{address}"
        );
    }
}
