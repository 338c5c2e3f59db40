//! What is to be known of an app that is made: from options, from a terminal, from defaults, in this order.

use std::io::{self, IsTerminal};
use std::sync::Mutex;
use std::{mem, thread};

use clap::Args;
use outport_check::Diagnostic;
use outport_manifest::PathRoute;
use outport_policy::{Location, text};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use super::{STOPPED, missing, questions};
use crate::failure::Failure;
use crate::list;
use crate::operator_options::{ListOf, parse_entries};
use crate::templates::project_name::ProjectName;
use crate::templates::{Start, Template, Values, lines};

/// The options that a template is filled in by.
#[derive(Debug, Args)]
pub(crate) struct Answers {
    /// The route that an HTTP component answers, such as `/...` or `/shop/:id`
    #[arg(long, value_name = "ROUTE")]
    route: Option<String>,

    /// What the component may reach, such as `*://db.example.com:5432`; an empty value is nothing
    #[arg(long, value_name = "HOST[,HOST…]")]
    allowed_outbound_hosts: Option<Vec<String>>,

    /// Ask for nothing that has a default
    #[arg(long, short = 'a')]
    accept_defaults: bool,
}

/// Whoever is asked for what is missing: somebody at a terminal, or nobody.
pub(crate) struct Asker {
    /// Where there is a terminal.
    is_there: bool,
    accepts_defaults: bool,
}

impl Asker {
    /// From now on SIGINT and SIGTERM end the process only while nothing is being written, and the terminal is left as it
    /// was.
    pub(crate) fn new(answers: &Answers) -> Result<Self, Failure> {
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let (mut interrupt, mut terminate) = {
            let _inside = runtime.enter();
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
        };
        thread::spawn(move || {
            let status = runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => STOPPED,
                    _ = terminate.recv() => TERMINATED,
                }
            });
            // Who writes keeps it, and is done in a moment.
            let _idle = WRITING.lock();
            questions::leave_the_terminal();
            std::process::exit(status);
        });
        Ok(Self {
            is_there: io::stdin().is_terminal() && io::stderr().is_terminal(),
            accepts_defaults: answers.accept_defaults,
        })
    }

    /// From now on no signal ends the process: what is written is written as a whole.
    pub(crate) fn begin_to_write(&self) {
        mem::forget(WRITING.lock());
    }

    /// None, if whoever was asked stopped it.
    pub(crate) fn unless_stopped<T>(&self, result: Result<T, Failure>) -> Result<Option<T>, Failure> {
        match result {
            Ok(value) => Ok(Some(value)),
            Err(Failure::Broken(error)) if error.is::<questions::Stopped>() => {
                eprintln!();
                Ok(None)
            }
            Err(failure) => Err(failure),
        }
    }

    pub(crate) fn template(
        &self,
        given: Option<&'static Template>,
        usage: &str,
    ) -> Result<&'static Template, Failure> {
        match given {
            Some(template) => Ok(template),
            None if self.is_there => questions::template(),
            None => {
                let error =
                    Diagnostic::error("a template is missing, and there is no terminal to ask for it");
                let all: Vec<String> = lines().collect();
                Err(Failure::unusable(error.helped_by(format!(
                    "write it: `{usage}`, of these:\n  {}",
                    all.join("\n  ")
                ))))
            }
        }
    }

    /// The name that is given, or chosen; `likely` is offered. `command` is what somebody typed: `outport new`.
    pub(crate) fn name(
        &self,
        given: Option<&ProjectName>,
        likely: Option<ProjectName>,
        template: &Template,
        command: &str,
    ) -> Result<ProjectName, Failure> {
        let name = match given {
            Some(name) => name.clone(),
            None if self.is_there => return questions::name(likely, template),
            None => {
                let usage = format!("{command} {} NAME", template.name);
                return Err(missing("a name", &usage));
            }
        };
        check_reserved(&name, template)?;
        Ok(name)
    }

    /// True if what has a default is asked for.
    pub(crate) fn asks(&self) -> bool {
        self.is_there && !self.accepts_defaults
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        questions::leave_the_terminal();
    }
}

/// Held from the first byte that is written to the end of the process.
static WRITING: Mutex<()> = Mutex::new(());

/// As a shell tells of SIGTERM.
const TERMINATED: i32 = 143;

/// Fails if the language of the template cannot have a package of that name.
pub(crate) fn check_reserved(name: &ProjectName, template: &Template) -> Result<(), Failure> {
    if template.reserves(name) {
        let error = Diagnostic::error(format!(
            "`{name}` cannot be the name of a package of Rust: it is a word of the language, or a package that this one needs"
        ));
        return Err(Failure::unusable(
            error.helped_by(format!("another name, such as `my-{name}`")),
        ));
    }
    Ok(())
}

impl Answers {
    /// True if a route is neither given nor asked for.
    pub(crate) fn leave_the_route(&self, asker: &Asker) -> bool {
        self.route.is_none() && !asker.asks()
    }

    /// All that a template is filled in by. `route` is that of a component that is given none.
    pub(crate) fn values(
        &self,
        template: &Template,
        name: ProjectName,
        route: &str,
        asker: &Asker,
    ) -> Result<Values, Failure> {
        Ok(Values {
            name,
            route: self.route(template, route, asker)?,
            entries: self.entries(template, asker)?,
        })
    }

    fn route(&self, template: &Template, default: &str, asker: &Asker) -> Result<String, Failure> {
        let is_http = template.start == Start::Http;
        match &self.route {
            Some(route) if !is_http => {
                let error =
                    Diagnostic::error(format!("`{route}` is a route, and {} has none", template.summary));
                Err(Failure::unusable(error.helped_by("leave `--route` out")))
            }
            Some(route) => match read_route(route) {
                Ok(()) => Ok(route.clone()),
                Err(error) => Err(Failure::unusable(
                    Diagnostic::error(format!("`{route}` is not a route: {error}"))
                        .helped_by("write one such as `/...` or `/shop/:id`"),
                )),
            },
            None if is_http && asker.asks() => questions::text("Route", default, read_route),
            None => Ok(default.to_owned()),
        }
    }

    fn entries(&self, template: &Template, asker: &Asker) -> Result<Vec<String>, Failure> {
        let default = template.default_entries();
        match &self.allowed_outbound_hosts {
            Some(lists) => read_entries(lists).map_err(|diagnostics| Failure::Unusable {
                diagnostics,
                files: crate::files::Files::default(),
            }),
            None if asker.asks() => {
                let check = |text: &str| match read_entries(&[text.to_owned()]) {
                    Ok(_) => Ok(()),
                    Err(wrong) => Err(wrong
                        .first()
                        .map(|wrong| wrong.message.clone())
                        .unwrap_or_default()),
                };
                let text = questions::text("Allowed outbound hosts", &default.join(","), check)?;
                Ok(items(&[text]))
            }
            None => Ok(default),
        }
    }
}

/// A route in a manifest may have any character, but no client sends others than these: it would never be asked for.
fn read_route(text: &str) -> Result<(), String> {
    PathRoute::parse(text).map_err(|error| error.to_string())?;
    match text.chars().find(|c| !is_in_paths(*c)) {
        None => Ok(()),
        Some(c) => Err(format!(
            "clients send `{c}` as `{}`: write that",
            utf8_percent_encode(c.encode_utf8(&mut [0; 4]), NON_ALPHANUMERIC)
        )),
    }
}

/// True of what stands in the path of a URL ([RFC 3986, 3.3](https://www.rfc-editor.org/rfc/rfc3986#section-3.3)).
fn is_in_paths(c: char) -> bool {
    c.is_ascii_alphanumeric() || "/-._~%!$&'()*+,;=:@".contains(c)
}

/// The entries of lists, as they are written, or what is wrong with some.
fn read_entries(lists: &[String]) -> Result<Vec<String>, Vec<Diagnostic>> {
    let option = Location::Option {
        name: "--allowed-outbound-hosts".into(),
    };
    let items = items(lists);
    if let Some(item) = items.iter().find(|item| item.contains("{{")) {
        let error = Diagnostic::error(format!(
            "`{}` has a variable, and a new app has none",
            text::message(item)
        ));
        let help = "name a host now, and write the variable into `spin.toml` with its table `[variables]`";
        return Err(vec![error.helped_by(help)]);
    }
    let mut wrong = Vec::new();
    parse_entries(&items, ListOf::Allowed, &option, &mut wrong);
    if wrong.is_empty() { Ok(items) } else { Err(wrong) }
}

fn items(lists: &[String]) -> Vec<String> {
    let items = lists.iter().flat_map(|list| list::items(list));
    items.filter(|item| !item.is_empty()).map(str::to_owned).collect()
}
