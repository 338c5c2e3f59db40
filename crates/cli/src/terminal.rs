//! Outport's messages: to standard error, as much as was asked for, in colour where a person looks at it.
//!
//! Once guests may run, nobody waits for standard error ([`stdio`]); before that, and in commands that run none, it is
//! written in place.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::iter;
use std::time::Duration;

use outport_check::{Colour, Colours, Diagnostic, Renderer, Severity};
use outport_egress::Timestamp;
use outport_egress::trace::SPANS;
use outport_policy::{Location, text};
use outport_runtime::stdio;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::appearance::Appearance;
use crate::failure::Failure;
use crate::files::Files;
use crate::otlp;

/// Standard error, and how to write to it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    volume: Volume,
    appearance: Appearance,
    times: Times,
    /// Of what is said through the methods here.
    own_times: Times,
}

/// The choice whether lines about what happens while guests run begin with the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Times {
    /// Somebody reads them later.
    Shown,
    /// Somebody looks on.
    Hidden,
}

impl Times {
    /// The text that a line of now begins with.
    fn prefix(self) -> String {
        match self {
            Self::Shown => format!("{} ", Timestamp::now()),
            Self::Hidden => String::new(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Volume {
    Quiet,
    Normal,
    Verbose,
}

impl Volume {
    /// What is logged. `outport` is the beginning of the names of all crates here.
    fn log(self) -> &'static str {
        match self {
            Self::Quiet => "off,outport=error",
            Self::Normal => {
                "off,outport=warn,outport_runtime::compiler=info,outport_egress::line_log=info,outport_telemetry=info"
            }
            Self::Verbose => "warn,outport=debug",
        }
    }
}

/// Writes the result of a command to standard output. Who reads it may have seen enough before its end, as `head` has.
///
/// # Errors
///
/// Those of writing, but for the one that nobody reads any more.
pub(crate) fn print(text: &str) -> io::Result<()> {
    let mut output = io::stdout();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

impl Terminal {
    pub(crate) fn new(quiet: bool, verbose: bool) -> Self {
        let volume = match (quiet, verbose) {
            (true, _) => Volume::Quiet,
            (false, false) => Volume::Normal,
            (false, true) => Volume::Verbose,
        };
        Self {
            volume,
            appearance: Appearance::of_standard_error(),
            times: if io::stderr().is_terminal() {
                Times::Hidden
            } else {
                Times::Shown
            },
            own_times: Times::Hidden,
        }
    }

    /// The same for what happens while guests run: with the time, unless somebody looks on.
    pub(crate) fn dated(self) -> Self {
        Self {
            own_times: self.times,
            ..self
        }
    }

    /// The colours of what is not said through the methods here.
    pub(crate) fn paint(self) -> Colours {
        self.appearance.colours
    }

    /// True if more than usual is to be said.
    pub(crate) fn is_verbose(self) -> bool {
        self.volume == Volume::Verbose
    }

    /// True if nothing but errors is to be said.
    pub(crate) fn is_quiet(self) -> bool {
        self.volume == Volume::Quiet
    }

    /// Says a line, unless only errors are wanted.
    pub(crate) fn say(self, line: &str) {
        if self.volume >= Volume::Normal {
            self.insist(line);
        }
    }

    /// Says a line if more than usual is wanted.
    pub(crate) fn mention(self, line: &str) {
        if self.volume >= Volume::Verbose {
            self.insist(line);
        }
    }

    /// Says a line in any case.
    pub(crate) fn insist(self, line: &str) {
        write(&format!("{}{line}\n", self.own_times.prefix()));
    }

    /// Says in any case what happens now: with the time, unless somebody looks on.
    pub(crate) fn insist_now(self, line: &str) {
        self.dated().insist(line);
    }

    /// Shows errors in any case, and the rest unless only errors are wanted.
    pub(crate) fn show(self, diagnostic: &Diagnostic, files: &Files) {
        if diagnostic.severity == Severity::Error || self.volume >= Volume::Normal {
            let renderer = self.appearance.of(Renderer::messages(self.paint()));
            let text = renderer.render(diagnostic, files.sources());
            self.insist(text.trim_end());
        }
        otlp::tell(diagnostic);
    }

    pub(crate) fn show_all(self, diagnostics: &[Diagnostic], files: &Files) {
        diagnostics
            .iter()
            .for_each(|diagnostic| self.show(diagnostic, files));
    }

    /// Shows the first warnings of as many as somebody may have written entries, and says how many more there are;
    /// `where_else` is who tells them.
    pub(crate) fn show_first(self, warnings: &[Diagnostic], files: &Files, where_else: &str) {
        self.show_all(&warnings[..warnings.len().min(MOST_WARNINGS)], files);
        if let more @ 1.. = warnings.len().saturating_sub(MOST_WARNINGS) {
            let note = Diagnostic::note(format!("there are {more} more warnings{where_else}"));
            self.show(&note, files);
        }
    }

    /// Lets standard output and error be written to their ends, for as long as is good for an end. Answers the exit
    /// status in place of `status`: a command whose output was lost was no success.
    pub(crate) fn finish(self, status: i32) -> i32 {
        let Some(streams) = stdio::opened() else {
            return status;
        };
        let Some(error) = streams.finish(LAST_WORDS) else {
            return status;
        };
        let lost = Diagnostic::error(format!("standard output was not written completely: {error}"));
        self.show(&lost, &Files::default());
        streams.finish(LAST_WORDS);
        status.max(1)
    }

    /// Tells what the libraries log. `OUTPORT_LOG` chooses otherwise what is told, in the syntax of
    /// `tracing_subscriber::EnvFilter`.
    ///
    /// # Errors
    ///
    /// `OUTPORT_LOG` is not in that syntax.
    pub(crate) fn receive_log(self) -> Result<(), Failure> {
        let filter = std::env::var_os(LOG_VARIABLE).filter(|text| !text.is_empty());
        let filter = match filter {
            Some(text) => chosen_log(&text.to_string_lossy())?,
            None => EnvFilter::new(self.volume.log()),
        };
        // Spans of traces are for those who asked for traces.
        let without_spans = filter_fn(|metadata| metadata.target() != SPANS);
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(|| Log)
            .event_format(LogLine {
                paint: self.paint(),
                times: self.times,
            })
            .with_filter(filter.and(without_spans.with_max_level_hint(LevelFilter::TRACE)))
            .boxed();
        // Nothing that has no filter, such as a layer that is `None`: for that every span would be made, though nobody wants it.
        let layers: Vec<_> = iter::once(lines).chain(otlp::layer()).collect();
        tracing_subscriber::registry().with(layers).init();
        Ok(())
    }
}

/// Writes whole lines. A closed standard error is no reason to stop.
fn write(lines: &str) {
    match stdio::opened() {
        Some(streams) => streams.say(lines),
        None => drop(io::stderr().lock().write_all(lines.as_bytes())),
    }
}

/// The writer of the log, each event at once.
struct Log;

impl Write for Log {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        write(&String::from_utf8_lossy(event));
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Warnings of one kind that are shown at start.
const MOST_WARNINGS: usize = 20;

/// The time that the end waits for whoever reads.
const LAST_WORDS: Duration = Duration::from_secs(1);

const LOG_VARIABLE: &str = "OUTPORT_LOG";

fn chosen_log(text: &str) -> Result<EnvFilter, Failure> {
    // Those with a span or field, in which there may be commas, are the library's to read.
    let is_plain = !text.contains(['[', '{']);
    let parts: Vec<&str> = text.split(',').map(str::trim).collect();
    let slip = parts.iter().filter(|_| is_plain).find_map(|part| slip_in(part));
    let filter = if is_plain {
        parts.join(",")
    } else {
        text.to_owned()
    };
    let filter = match slip {
        Some(slip) => Err(slip),
        None => {
            EnvFilter::try_new(filter).map_err(|_| "it is neither a level nor levels of modules".to_owned())
        }
    };
    filter.map_err(|wrong| {
        let message = format!("`{}` does not say what to log: {wrong}", text::excerpt(text));
        let location = Location::Environment {
            variable: LOG_VARIABLE.into(),
        };
        Failure::unusable(Diagnostic::error(message).at(location).helped_by(
            "write `error`, `warn`, `info`, `debug`, `trace` or `off`, for all or for a module: \
             `outport_egress=debug,warn`",
        ))
    })
}

/// The mistake in one part that the library takes for the name of a module that logs nothing.
fn slip_in(part: &str) -> Option<String> {
    if part.is_empty() {
        return None;
    }
    let (module, level) = match part.split_once('=') {
        Some((module, level)) => (Some(module), Some(level)),
        None if is_level(part) => (None, Some(part)),
        None => (Some(part), None),
    };
    if let Some(level) = level.filter(|level| !is_level(level)) {
        return Some(format!("`{}` is not a level", text::excerpt(level)));
    }
    let module = module?;
    let top = module.split("::").next().unwrap_or(module);
    let is_name = |name: &str| {
        let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        !name.is_empty() && name.chars().all(is_part)
    };
    let is_own = OWN_MODULES.contains(&top);
    // All of a module without its level is rare, and a slip in a level looks the same.
    match module.split("::").all(is_name) && (is_own || level.is_some() && !top.starts_with("outport")) {
        true => None,
        false if level.is_none() => Some(format!("`{}` is not a level", text::excerpt(module))),
        false => Some(format!(
            "there is no module `{}`; those of Outport are below {}",
            text::excerpt(module),
            OWN_MODULES.map(|own| format!("`{own}`")).join(", ")
        )),
    }
}

fn is_level(text: &str) -> bool {
    let words = ["off", "error", "warn", "info", "debug", "trace"];
    words.iter().any(|word| text.eq_ignore_ascii_case(word)) || matches!(text.as_bytes(), [b'0'..=b'5'])
}

/// The crates that log.
const OWN_MODULES: [&str; 5] = [
    "outport",
    "outport_runtime",
    "outport_platform",
    "outport_egress",
    "outport_telemetry",
];

/// An event of the log, as a line like all others: `warning: …`.
struct LogLine {
    paint: Colours,
    times: Times,
}

impl<S, N> FormatEvent<S, N> for LogLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let label = match *event.metadata().level() {
            Level::ERROR => self.paint.with(Colour::Red, "error"),
            Level::WARN => self.paint.with(Colour::Yellow, "warning"),
            Level::INFO => self.paint.with(Colour::Cyan, "note"),
            Level::DEBUG => self.paint.with(Colour::Blue, "debug"),
            Level::TRACE => self.paint.with(Colour::Blue, "trace"),
        };
        let mut text = Text::default();
        event.record(&mut text);
        write!(writer, "{}{label}: ", self.times.prefix())?;
        if *event.metadata().level() > Level::INFO {
            write!(writer, "{}: ", origin(context, event))?;
        }
        writeln!(
            writer,
            "{}{}",
            text::terminal_lines(&text.message),
            text::terminal_lines(&text.fields)
        )
    }
}

/// The module that an event is from, and what was going on there.
fn origin<S, N>(context: &FmtContext<'_, S, N>, event: &Event<'_>) -> String
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    let mut origin = event.metadata().target().to_owned();
    for span in context
        .event_scope()
        .into_iter()
        .flat_map(|scope| scope.from_root())
    {
        let extensions = span.extensions();
        let fields = extensions.get::<FormattedFields<N>>();
        let fields = fields.map_or("", |fields| fields.fields.as_str());
        origin.push_str(&match fields {
            "" => format!(": {}", span.name()),
            fields => format!(": {}({fields})", span.name()),
        });
    }
    text::terminal_lines(&origin)
}

/// The message of an event, and its other fields.
#[derive(Default)]
struct Text {
    message: String,
    fields: String,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        } else if !field.name().starts_with("outport.") {
            // Those are for programs: the message says it.
            self.fields.push_str(&format!("; {}: {value:?}", field.name()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tracing_subscriber::layer::Context;

    use super::*;

    struct Count(Arc<AtomicUsize>);

    impl<S: Subscriber> Layer<S> for Count {
        fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn errors_and_warnings_of_every_crate_are_told() {
        for (volume, expected) in [(Volume::Quiet, 4), (Volume::Normal, 8), (Volume::Verbose, 12)] {
            let told = Arc::new(AtomicUsize::new(0));
            let layer = Count(Arc::clone(&told)).with_filter(EnvFilter::new(volume.log()));
            tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
                tracing::error!(target: "outport::service", "a part has failed");
                tracing::error!(target: "outport_runtime::http", "a part has failed");
                tracing::error!(target: "outport_sources", "a part has failed");
                tracing::error!(target: "outport_egress::dns", "a part has failed");
                tracing::warn!(target: "outport::server_tls", "a certificate is old");
                tracing::warn!(target: "outport_runtime::http", "a client is slow");
                tracing::warn!(target: "outport_platform", "a server is gone");
                tracing::warn!(target: "outport_telemetry", "a collector is gone");
                tracing::info!(target: "outport::service", "it is so");
                tracing::debug!(target: "outport_egress::dns", "it is so");
                tracing::info!(target: "outport_sources", "it is so");
                tracing::debug!(target: "outport_runtime::http", "it is so");
                tracing::info!(target: "hyper", "it is so");
            });
            assert_eq!(told.load(Ordering::SeqCst), expected, "{volume:?}");
        }
    }
}
