//! `outport explain`: what would happen to a destination, and why; or what a whole app may reach.
//!
//! Nothing runs and nothing is resolved: addresses of names are assumed as `--dns` says. Exit status 1 means that the
//! destination is denied, or with `--diff` that the app reaches more than before; 3 that it depends on what its name
//! resolves to, or the name of the egress proxy. Of several destinations a denied one counts first.
//!
//! A word that is a code is no destination but explained as that ([`codes`]), without an app.

mod codes;

use std::collections::{BTreeSet, HashSet};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use outport_check::explain::{
    Assumption, EffectivePolicy, Explanation, Question, QuestionError, Verdict, explain as explain_one,
};
use outport_check::{CodePage, Diagnostic, policies};
use outport_egress::EgressProxies;
use outport_manifest::{ComponentId, ResolvedApp};
use outport_policy::{Address, EgressProxy, Endpoint, Host, Name, Operator, Policy, text};

use crate::app_options::AppOptions;
use crate::app_problem::no_such_component;
use crate::appearance::Appearance;
use crate::failure::Failure;
use crate::files::{Files, read_text};
use crate::operator_options::{OperatorOptions, OperatorSettings};
use crate::terminal::{Terminal, print};

/// Say what would happen to a destination, layer by layer, or what an app may reach.
///
/// A destination is `tcp://10.0.0.5:5432`, `udp://…`, `https://api.example.com/`, `redis://cache.example.com`,
/// `key-value:LABEL`, `sqlite:LABEL`, `llm:MODEL`, or a name for a look-up. `tls://shop.example.com:443` is a ClientHello
/// that names this server on a connection to that port, and `tls://:443` one that names none. Without a destination, the
/// effective policy of every component. There may be several, of which each has its own answer.
///
/// Exit status 1 says that a destination is denied, 3 that it depends on what its name resolves to: `--dns` says that.
///
/// A code that stands in brackets in a message, such as `allow.port` or `entry.blocked`, is explained instead: what it means,
/// who can lift it, and what to do. `--list` lists all codes. A host that is called like a code is written with the dot
/// at its end, `allow.port.`, or as a URL.
///
/// Takes the operator options of the commands that run guests, so that the same ones can be given. What there is
/// nothing to do for here has no effect: `--dns-server`, `--audit-log`, `--admin-listen`, `--deny-warnings`, `--kernel-sandbox`,
/// `--cache-dir`, limits of compiling, `--state-dir`, `--key-value` and `--sqlite`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    app: AppOptions,

    /// The component that would try, or `ID/PART` for a dependency or `middleware-1` of it; may be left out where there
    /// is only one component
    #[arg(long, value_name = "ID")]
    component: Option<String>,

    /// Assume that a name has these addresses
    #[arg(long, value_name = "NAME=ADDR[,ADDR…]")]
    dns: Vec<Assumption>,

    /// Compare with an effective policy that `--format json` wrote earlier
    #[arg(long, value_name = "OLD.json", conflicts_with = "destinations")]
    diff: Option<PathBuf>,

    /// Format of the answer
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// List all codes that can be explained
    #[arg(long, conflicts_with_all = ["destinations", "diff", "dns", "component", "from"])]
    list: bool,

    /// Destinations to explain, or codes
    #[arg(value_name = "DESTINATION|CODE", value_parser = codes::AskedParser, hide_possible_values = true)]
    destinations: Vec<Asked>,

    #[command(flatten)]
    operator: OperatorOptions,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Human,
    /// `docs/schema/explain.json`, `docs/schema/effective-policy.json` and `docs/schema/codes.json`
    Json,
}

pub(super) fn explain(options: &Options, terminal: Terminal) -> Result<i32, Failure> {
    if let Some(text) = options.explained_codes()? {
        print(&text)?;
        return Ok(0);
    }
    let mut files = Files::default();
    let settings = options.operator.read(&mut files)?;
    let app = options.app.clone().pulled(&options.operator.loading, terminal)?;
    let app = app.read_to_judge(&mut files)?;
    let Asking { policies, parts } =
        options.policies(&app, &Arc::new(options.operator_to_judge(&settings)))?;
    let questions = options.questions()?;
    let (text, status) = match (questions.as_slice(), &options.diff) {
        ([], Some(old)) => options.difference(&EffectivePolicy::of(&policies, &settings.operator), old)?,
        ([], None) => (
            options.all(&EffectivePolicy::of(&policies, &settings.operator)),
            0,
        ),
        (questions, _) => options.each(&policies, &parts, questions, &settings)?,
    };
    if let ([policy], [_, ..]) = (policies.as_slice(), questions.as_slice()) {
        terminal.show_all(
            &options.other_answers(policy, &parts, &questions, &settings),
            &files,
        );
    }
    terminal.show_all(&options.unused_assumptions(&settings.operator), &files);
    terminal.show_all(&options.missing_components(&app), &files);
    print(&text)?;
    Ok(status)
}

/// Those who are asked about.
struct Asking {
    policies: Vec<Policy>,
    /// Parts that are not asked about, of components that are.
    parts: Vec<Policy>,
}

/// What was asked about, as it was written. An error of the command line would quote all of it, and there may be a password
/// in it: so what is wrong with it is told later.
#[derive(Clone, Debug)]
enum Asked {
    /// A destination, or what is wrong with it.
    Destination(Result<Question, QuestionError>),
    /// A code.
    Code(&'static CodePage),
    /// What is none of both.
    Neither(String),
}

impl Options {
    fn questions(&self) -> Result<Vec<Question>, Failure> {
        let questions = self.destinations.iter().filter_map(|asked| match asked {
            Asked::Destination(question) => Some(question.clone()),
            Asked::Code(_) | Asked::Neither(_) => None,
        });
        let questions: Result<_, _> = questions.collect();
        questions.map_err(|error| Failure::unusable(Diagnostic::error(error.to_string())))
    }

    fn asked(&self) -> impl Iterator<Item = &Question> {
        self.destinations.iter().filter_map(|asked| match asked {
            Asked::Destination(Ok(question)) => Some(question),
            Asked::Destination(Err(_)) | Asked::Code(_) | Asked::Neither(_) => None,
        })
    }

    /// The policies of the components that are asked about.
    fn policies(&self, app: &ResolvedApp, operator: &Arc<Operator>) -> Result<Asking, Failure> {
        let mut policies = policies(app, operator);
        let mut parts = Vec::new();
        if let Some(wanted) = &self.component {
            // With its parts where nothing is asked, which are shown behind it.
            let all = self.destinations.is_empty();
            let is_part = |of: &str| {
                all && of
                    .strip_prefix(wanted.as_str())
                    .is_some_and(|rest| rest.starts_with('/'))
            };
            policies.retain(|policy| policy.component() == wanted || is_part(policy.component()));
        } else if !self.destinations.is_empty() {
            let others_only: HashSet<&str> = ids(app)
                .filter(|id| app.manifest.runs_in_others_only(id))
                .map(ComponentId::as_str)
                .collect();
            policies.retain(|policy| !others_only.contains(policy.component()));
            (parts, policies) = policies
                .into_iter()
                .partition(|policy| policy.component().contains('/'));
        }
        match &self.component {
            Some(unknown) if policies.is_empty() => {
                let parts = app
                    .parts()
                    .map(|(part, _)| format!("{}/{}", part.component, part.name));
                let known: Vec<String> = ids(app).map(ToString::to_string).chain(parts).collect();
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                Err(Failure::unusable(no_such_component(unknown, &known)))
            }
            _ => Ok(Asking { policies, parts }),
        }
    }

    /// A part may have another answer than its component, which is the one that was given.
    fn other_answers(
        &self,
        policy: &Policy,
        parts: &[Policy],
        questions: &[Question],
        settings: &OperatorSettings,
    ) -> Vec<Diagnostic> {
        let verdict = |policy: &Policy, question| {
            explain_one(policy, question, &self.dns, settings.denied_names()).verdict
        };
        let differs = |part: &&Policy| {
            questions
                .iter()
                .any(|question| verdict(part, question) != verdict(policy, question))
        };
        let note = |part: &Policy| {
            let part = text::excerpt(part.component());
            let note = Diagnostic::note(format!(
                "this is the answer for `{}` itself, and another one for its part `{part}`",
                policy.component()
            ));
            note.helped_by(format!("`--component '{part}'` gives that"))
        };
        parts.iter().filter(differs).map(note).collect()
    }

    /// A name that is misspelled in `--dns` would leave the verdict as it is without it.
    fn unused_assumptions(&self, operator: &Operator) -> Vec<Diagnostic> {
        let denied = operator.deny.exact_names();
        let proxies = operator.egress_proxy.iter().flat_map(EgressProxy::named);
        let proxies: HashSet<&Host> = proxies.map(|(host, _)| host).collect();
        let asked = |name: &Name| {
            let is_proxy = !self.destinations.is_empty() && proxies.contains(&Host::Name(name.clone()));
            is_proxy || self.asked().any(|question| question.name() == Some(name))
        };
        let mut told = HashSet::new();
        let mut warnings = Vec::new();
        for Assumption { name, .. } in &self.dns {
            let is_denied = !self.destinations.is_empty() && denied.contains(name);
            if (asked(name) && !name.is_localhost()) || is_denied || !told.insert(name) {
                continue;
            }
            let warning = Diagnostic::warning(format!("the assumption about `{name}` is not used"));
            let why = if name.is_localhost() {
                "`localhost` has addresses of its own, whatever is assumed".to_owned()
            } else {
                "no destination that is asked about has this name, and the operator denies no host of this name"
                    .to_owned()
            };
            warnings.push(warning.helped_by(why));
        }
        warnings
    }

    /// An entry for a component that is not there permits what nobody answers.
    fn missing_components(&self, app: &ResolvedApp) -> Vec<Diagnostic> {
        let asked = self.asked().filter_map(Question::name);
        let components = asked.filter_map(|name| name.as_str().strip_suffix(".spin.internal"));
        let missing: BTreeSet<&str> = components
            .filter(|asked| ids(app).all(|id| id.as_str() != *asked))
            .collect();
        let known: Vec<String> = ids(app).map(|id| format!("`{id}`")).collect();
        let warning = |id| {
            let warning = Diagnostic::warning(format!(
                "the app has no component `{}`: nobody answers, whatever is permitted",
                text::excerpt(id)
            ));
            warning.helped_by(format!("its components are {}", known.join(", ")))
        };
        missing.into_iter().map(warning).collect()
    }

    fn each(
        &self,
        policies: &[Policy],
        parts: &[Policy],
        questions: &[Question],
        settings: &OperatorSettings,
    ) -> Result<(String, i32), Failure> {
        let policy = only(policies, parts)?;
        let explanations = questions.iter().map(|question| {
            explain_one(policy, question, &self.dns, settings.denied_names())
                .where_defined(question, settings.config.as_ref())
                .unless_at_proxy(self.proxy_at(question, settings))
                .through(self.way_to(question, settings))
        });
        let explanations: Vec<Explanation> = explanations.collect();
        let (texts, gap): (Vec<String>, _) = match self.format {
            Format::Human => (
                explanations.iter().map(|one| one.to_text(columns())).collect(),
                "\n",
            ),
            Format::Json => (explanations.iter().map(Explanation::to_json).collect(), ""),
        };
        let has = |verdict| explanations.iter().any(|one| one.verdict == verdict);
        let status = if has(Verdict::Denied) {
            1
        } else if has(Verdict::Depends) {
            DEPENDS
        } else {
            0
        };
        Ok((texts.join(gap), status))
    }

    /// The operator's side with what is known of the proxies: the assumed addresses of their names, and those of the
    /// destinations that are this machine's.
    fn operator_to_judge(&self, settings: &OperatorSettings) -> Operator {
        let mut operator = settings.operator.clone();
        if let Some(proxies) = &settings.egress_proxies {
            let tried: Vec<_> = self
                .asked()
                .flat_map(|question| self.endpoints_of(question))
                .collect();
            operator.egress_proxy = Some(proxies.rule_assuming(|name| self.assumed(name), &tried));
        }
        operator
    }

    /// The proxy that a destination may be, since no address of its name is assumed; with its name.
    fn proxy_at<'s>(
        &self,
        question: &Question,
        settings: &'s OperatorSettings,
    ) -> Option<(&'s Name, String)> {
        let endpoints = self.endpoints_of(question);
        let mut proxies = settings.egress_proxies.iter().flat_map(EgressProxies::servers);
        proxies.find_map(|server| match server.host() {
            Host::Name(name) if !name.is_localhost() && self.assumed(name).is_empty() => endpoints
                .iter()
                .any(|endpoint| endpoint.port == server.port())
                .then(|| (name, server.to_string())),
            _ => None,
        })
    }

    /// The addresses that a question leads to, as far as they are known.
    fn endpoints_of(&self, question: &Question) -> Vec<Endpoint> {
        let (host, port) = match question {
            Question::Socket { host, port, .. } | Question::Request { host, port, .. } => (host, *port),
            Question::Open { .. } | Question::Tls { .. } | Question::Lookup { .. } => return Vec::new(),
        };
        let addresses = match host {
            Host::Address(address) => vec![*address],
            Host::Name(name) if name.is_localhost() => vec![Ipv4Addr::LOCALHOST.into()],
            Host::Name(name) => self.assumed(name),
        };
        let endpoints = addresses.into_iter();
        endpoints.map(|address| Endpoint::new(address, port)).collect()
    }

    /// The addresses that a name is assumed to have.
    fn assumed(&self, name: &Name) -> Vec<Address> {
        let own = self.dns.iter().filter(|assumption| assumption.name == *name);
        own.flat_map(|assumption| assumption.addresses.iter().copied())
            .collect()
    }

    /// The way that a connection takes, where the operator has a proxy and the question is about one.
    fn way_to(&self, question: &Question, settings: &OperatorSettings) -> Option<String> {
        let proxies = settings.egress_proxies.as_ref()?;
        let (scheme, host, port) = match question {
            Question::Socket { host, port, .. } => (None, host, *port),
            Question::Request { scheme, host, port } => (Some(scheme), host, *port),
            Question::Open { .. } | Question::Tls { .. } | Question::Lookup { .. } => return None,
        };
        let is_inside = |name: &Name| name.is_service_chaining() || name.is_the_app_itself();
        if matches!(host, Host::Name(name) if is_inside(name)) {
            return None;
        }
        // Where the address is assumed, it may be one that needs no proxy.
        let assumed = self
            .dns
            .iter()
            .find(|assumption| Some(&assumption.name) == question.name());
        let address = assumed.and_then(|assumption| assumption.addresses.first().copied());
        let server = proxies.server_for(scheme, Some(host), address, port);
        Some(server.map_or_else(
            || "directly".to_owned(),
            |server| format!("the egress proxy {server}"),
        ))
    }

    fn all(&self, effective: &EffectivePolicy) -> String {
        match self.format {
            Format::Human => effective.to_text(columns()),
            Format::Json => effective.to_json(),
        }
    }

    fn difference(&self, now: &EffectivePolicy, old: &Path) -> Result<(String, i32), Failure> {
        let shown = text::path(old);
        let unusable = |error: &dyn std::fmt::Display| {
            Failure::unusable(Diagnostic::error(format!(
                "cannot compare with `{shown}`: {error}"
            )))
        };
        let text = read_text(old).map_err(|error| unusable(&error))?;
        let before = EffectivePolicy::from_json(&text).map_err(|error| unusable(&error))?;
        let difference = now.since(&before).map_err(|error| unusable(&error))?;
        let text = match self.format {
            Format::Human => difference.to_text(columns()),
            Format::Json => difference.to_json(),
        };
        Ok((text, i32::from(difference.reaches_more())))
    }
}

/// The components of the app.
fn ids(app: &ResolvedApp) -> impl Iterator<Item = &ComponentId> {
    app.manifest
        .components
        .iter()
        .map(|component| &component.id.value)
}

/// The policy that a destination is explained for, if there is only one.
fn only<'p>(policies: &'p [Policy], parts: &[Policy]) -> Result<&'p Policy, Failure> {
    let error = match policies {
        [policy] => return Ok(policy),
        [] => Diagnostic::error("the app has no component"),
        several => {
            let known: Vec<String> = several
                .iter()
                .chain(parts)
                .map(|policy| format!("`--component {}`", policy.component()))
                .collect();
            let error = Diagnostic::error(format!("the app has {} components", several.len()));
            error.helped_by(format!("say which one is meant: {}", known.join(", ")))
        }
    };
    Err(Failure::unusable(error))
}

/// Columns of what is explained.
fn columns() -> usize {
    Appearance::of_standard_output().prose_columns()
}

/// Exit status where the answer to a look-up decides.
const DEPENDS: i32 = 3;
