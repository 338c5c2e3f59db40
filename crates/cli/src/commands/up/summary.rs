//! The summary of an app that `up` prints before it runs: where each component is reached, what each may reach, what
//! the operator says to it, and what is odd.

use std::collections::HashMap;

use outport_check::explain::permits_nothing;
use outport_check::{
    Colour, Diagnostic, Interfaces, Severity, Subject, Trigger, list_imports, part_findings, sum_up_imports,
    warnings_at_start,
};
use outport_manifest::{
    ComponentId, Executor, HttpAnswer, HttpTrigger, InheritedKey, Part, ResolvedApp, Route,
};
use outport_policy::{Entry, Limit, text};
use outport_runtime::app::App;
use outport_runtime::guest_pre::GuestPre;
use outport_runtime::http::RouteAnswer;

use crate::files::Files;
use crate::interfaces;
use crate::operator_options::OperatorSettings;
use crate::state_options::InitialState;
use crate::terminal::Terminal;
use crate::unmatched;

/// An app, about to run.
pub(super) struct Summary<'a> {
    pub(super) written: &'a ResolvedApp,
    pub(super) settings: &'a OperatorSettings,
    /// What labels lead to.
    pub(super) state: &'a InitialState,
    /// The remarks on what the operator and the author wrote.
    pub(super) remarks: &'a [Diagnostic],
    pub(super) app: &'a App,
    /// The URL where it is served, without a path, if it is.
    pub(super) served_at: Option<String>,
    /// True if lists are open, since what guests use is learnt.
    pub(super) learning: bool,
    /// The components that run.
    pub(super) wanted: &'a dyn Fn(&ComponentId) -> bool,
}

impl Summary<'_> {
    pub(super) fn show(&self, files: &Files, terminal: Terminal) {
        let name = text::message(&self.written.manifest.application.name.value).to_string();
        terminal.say(&terminal.paint().with(Colour::Bold, &name));
        for (title, lines) in [
            ("Routes", self.routes()),
            ("Commands", self.commands()),
            ("Events", self.events()),
            ("Outbound", self.outbound()),
            ("Stores", aligned(self.state.lines())),
            ("Operator", self.operator()),
        ] {
            if !lines.is_empty() {
                terminal.say(&terminal.paint().with(Colour::Green, title));
                lines
                    .iter()
                    .for_each(|line| terminal.say(&format!("  {}", text::terminal_lines(line))));
            }
        }
        terminal.show_all(self.remarks, files);
        self.mention_imports(terminal);
        let findings = self.findings();
        terminal.show_first(&findings, files, "; `outport check` shows them");
    }

    /// The number of warnings among the remarks.
    pub(super) fn warnings(&self) -> usize {
        let findings = self.findings();
        let all = self.remarks.iter().chain(&findings);
        all.filter(|remark| remark.severity == Severity::Warning).count()
    }

    /// The warnings that `check` would give (VAL-1). What a trigger lacks has kept the app from starting
    /// already.
    fn findings(&self) -> Vec<Diagnostic> {
        let components = self.written.components();
        let interfaces: HashMap<&ComponentId, Interfaces> = self
            .app
            .components
            .iter()
            .map(|(id, component)| (id, interfaces::of(component)))
            .collect();
        let subjects: Vec<Subject<'_>> = components
            .filter(|(component, _)| (self.wanted)(&component.id.value))
            .map(|(component, entries)| Subject {
                id: component.id.value.as_str(),
                location: self.written.manifest.source.location(&component.id.span),
                entries,
                converted: component.converted_items().cloned().collect(),
                unread: 0,
                interfaces: interfaces
                    .get(&component.id.value)
                    .filter(|_| self.runs(&component.id.value)),
                triggers_unread: false,
                dependencies_unread: false,
                triggers: self.events_of(&component.id.value),
                granted: component.labels(&self.written.manifest.source),
            })
            .collect();
        let mut warnings =
            warnings_at_start(&subjects, &self.settings.operator, self.settings.config.as_ref());
        let of_wanted = |finding: &Diagnostic| {
            let id = finding
                .component
                .as_deref()
                .and_then(|id| ComponentId::parse(id).ok());
            id.is_none_or(|id| (self.wanted)(&id))
        };
        warnings.extend(part_findings(self.written).into_iter().filter(of_wanted));
        warnings.extend(unmatched::findings(
            &self.app.files,
            &self.written.manifest.source,
        ));
        warnings
    }

    /// Whether it runs as itself, and not only as a part of others.
    fn runs(&self, id: &ComponentId) -> bool {
        (self.wanted)(id) && !self.written.manifest.runs_in_others_only(id)
    }

    fn routes(&self) -> Vec<String> {
        let Some(served_at) = &self.served_at else {
            return Vec::new();
        };
        let triggers = self.written.manifest.http_triggers.iter();
        let wanted = triggers.filter(|trigger| trigger.component().is_none_or(|id| (self.wanted)(&id.value)));
        aligned(wanted.map(|trigger| (url(trigger, served_at), answerer(trigger))))
    }

    fn commands(&self) -> Vec<String> {
        self.app
            .commands
            .iter()
            .map(|command| command.guest().name().to_owned())
            .collect()
    }

    /// What the app listens to, and which component gets the events.
    fn events(&self) -> Vec<String> {
        let listeners = self.app.listeners.iter();
        aligned(listeners.map(|listener| {
            let component = listener.component.guest().name().to_owned();
            (listener.connector.listens_to(), component)
        }))
    }

    /// The triggers that connect in the name of a component.
    fn events_of(&self, id: &ComponentId) -> Vec<Trigger> {
        let triggers = self.written.manifest.event_triggers.iter();
        triggers
            .filter(|trigger| trigger.component.value == *id)
            .map(|trigger| Trigger::Event(trigger.source.kind()))
            .collect()
    }

    /// What each component that runs may reach, and what of it each of its parts may.
    fn outbound(&self) -> Vec<String> {
        let components = self.written.components();
        let running = components.filter(|(component, _)| self.runs(&component.id.value));
        aligned(running.flat_map(|(component, entries)| {
            let id = &component.id.value;
            let reach_of_all = if self.learning {
                "any host, while it is learnt".to_owned()
            } else {
                reach(entries)
            };
            let own = [(id.to_string(), reach_of_all)];
            let parts = self.written.parts().filter(move |(part, _)| part.component == id);
            own.into_iter().chain(parts.map(move |(part, list)| {
                let name = text::excerpt(&part.name).into_owned();
                (format!("{id}/{name}"), reach_of_part(&part, list))
            }))
        }))
    }

    /// The settings with which the operator denies and lifts; nothing where there is nothing to say.
    fn operator(&self) -> Vec<String> {
        let operator = &self.settings.operator;
        let networks = operator.deny.blocked_networks().iter().map(ToString::to_string);
        let denied = listed(operator.deny.entries().iter().map(shown).chain(networks));
        let limits = &operator.limits;
        let ports = match limits.loopback_ports.to_string().as_str() {
            "*" => "all loopback ports below 1024".to_owned(),
            ports => format!("loopback ports {ports}"),
        };
        let lifted = [
            (limits.udp == Limit::Lifted, "UDP"),
            (!limits.loopback_ports.is_empty(), ports.as_str()),
            (limits.link_local == Limit::Lifted, "link-local addresses"),
            (
                limits.loopback_answers == Limit::Lifted,
                "names that resolve to loopback",
            ),
        ];
        let lifted: Vec<_> = lifted
            .iter()
            .filter(|(lifted, _)| *lifted)
            .map(|(_, what)| *what)
            .collect();
        let quotas = &operator.quotas;
        let none = [
            (
                quotas.sockets_per_process == 0 || quotas.sockets_per_instance == 0,
                "all sockets and outgoing requests: `max_sockets` is 0",
            ),
            (
                quotas.total_connections == Some(0),
                "all connections: `max_total_connections` is 0",
            ),
            (
                quotas.sockets_per_component == Some(0),
                "all sockets: `max_socket_connections` is 0",
            ),
        ];
        let refused = none.iter().find(|(is_none, _)| *is_none);
        let refused = refused.map(|(_, what)| (*what).to_owned());
        let budgets = &quotas.bytes;
        let of_every = Some(budgets.of_every().to_string()).filter(|shown| !shown.is_empty());
        let of_every = of_every.map(|shown| format!("each component: it {shown}"));
        let of_one = budgets.named().map(|(id, budget)| (id, budget.to_string()));
        let of_one = of_one
            .filter(|(_, shown)| !shown.is_empty())
            .map(|(id, shown)| format!("`{}`: it {shown}", text::message(id)));
        let bounded: Vec<String> = of_every.into_iter().chain(of_one.take(MOST_BUDGETS)).collect();
        let lines = [
            ("denies", denied),
            ("bounds the bytes of", bounded.join("; ")),
            ("refuses", refused.unwrap_or_default()),
            ("lifts the limit on", lifted.join(", ")),
            (
                "sends connections through",
                self.settings
                    .egress_proxies
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
            ),
        ];
        lines
            .into_iter()
            .filter(|(_, what)| !what.is_empty())
            .map(|(does, what)| format!("{does} {what}"))
            .collect()
    }

    /// Mentions the imports that trap when they are called, each component once: a line, or with `-v` all of it.
    fn mention_imports(&self, terminal: Terminal) {
        let http_components = self.app.router.iter().filter_map(|entry| match &entry.answer {
            RouteAnswer::Component(component) => Some(component.guest()),
            RouteAnswer::Static(_) => None,
        });
        let commands = self.app.commands.iter().map(|command| command.guest());
        let mut told: Vec<&str> = Vec::new();
        let events = self
            .app
            .listeners
            .iter()
            .map(|listener| listener.component.guest());
        for guest in http_components.chain(commands).chain(events) {
            if !guest.not_provided().is_empty() && !told.contains(&guest.name()) {
                told.push(guest.name());
                terminal.show(&not_provided(guest, terminal), &Files::default());
            }
        }
    }
}

fn not_provided(guest: &GuestPre, terminal: Terminal) -> Diagnostic {
    let imports = guest.not_provided().iter().map(String::as_str);
    let component = guest.name();
    Diagnostic::note(if terminal.is_verbose() {
        format!(
            "component `{component}` imports {}, which Outport does not provide: a call traps",
            list_imports(imports)
        )
    } else {
        format!(
            "component `{component}` imports {}, which Outport does not provide: a call traps; `-v` lists them",
            sum_up_imports(imports)
        )
    })
}

fn url(trigger: &HttpTrigger, served_at: &str) -> String {
    match &trigger.route.value {
        Route::Path(route) => format!("{served_at}{route}"),
        Route::Private => "private".into(),
    }
}

/// The one who answers at the route of a trigger.
fn answerer(trigger: &HttpTrigger) -> String {
    match &trigger.answer {
        HttpAnswer::Component { id, executor } => match executor {
            Executor::Handler => id.value.to_string(),
            Executor::Wagi(_) => format!("{} (wagi)", id.value),
        },
        HttpAnswer::Static(fixed) => format!("a static response, {}", fixed.response().status().as_u16()),
    }
}

/// The destinations that a component may reach by its author's word.
fn reach(entries: &[Entry]) -> String {
    match entries {
        [] => "nothing".into(),
        entries => listed(entries.iter().map(reached)),
    }
}

/// The destinations that a part may reach of those of its component.
fn reach_of_part(part: &Part<'_>, list: Option<&[Entry]>) -> String {
    match list {
        _ if !part.inherits.includes(InheritedKey::AllowedOutboundHosts) => "nothing".into(),
        None => format!("what `{}` may", part.component),
        Some([]) => "nothing".into(),
        Some(list) => format!("of what `{}` may: {}", part.component, reach(list)),
    }
}

/// An entry that permits nothing does not stand there like any other.
fn reached(entry: &Entry) -> String {
    if permits_nothing(entry) {
        format!("{} (permits nothing)", shown(entry))
    } else {
        shown(entry)
    }
}

fn shown(entry: &Entry) -> String {
    text::excerpt(&entry.to_string()).into_owned()
}

/// The beginning of a list that may be as long as a file.
fn listed(texts: impl Iterator<Item = String>) -> String {
    let mut all = texts;
    let mut listed: Vec<String> = all.by_ref().take(MOST_LISTED).collect();
    if let more @ 1.. = all.count() {
        listed.push(format!("and {more} more"));
    }
    listed.join(", ")
}

/// Entries of one list that are shown at start.
const MOST_LISTED: usize = 20;

/// Budgets of single components that are told.
const MOST_BUDGETS: usize = 5;

/// Columns of what stands to the left, beside which the rest is aligned: names are as long as their authors like.
const WIDEST: usize = 80;

/// Two columns.
fn aligned(rows: impl Iterator<Item = (String, String)>) -> Vec<String> {
    let rows: Vec<_> = rows.collect();
    let width = rows
        .iter()
        .map(|(left, _)| left.chars().count())
        .filter(|width| *width <= WIDEST)
        .max()
        .unwrap_or(0);
    rows.into_iter()
        .map(|(left, right)| format!("{left:width$}  {right}"))
        .collect()
}
