//! `outport export`: what an app may reach, in the words of the layer below.
//!
//! Standard output, or `--output`, gets the document; standard error what its target cannot say, which stands at the head of
//! the document as well. Nothing runs and nothing is resolved. Exit status 1 means that a difference by address and port is listed
//! and `--strict` was given, or that there is more than anybody could load.

mod labels;
mod needs;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use outport_check::export::{Attached, Exported, Request, Target, is_name};
use outport_check::{Diagnostic, policies};
use outport_egress::EgressProxies;
use outport_manifest::ResolvedApp;
use outport_policy::{Operator, Policy, text};

use crate::app_options::AppOptions;
use crate::app_problem::no_such_component;
use crate::failure::Failure;
use crate::files::Files;
use crate::operator_options::OperatorOptions;
use crate::replacement::{create, replace};
use crate::terminal::{Terminal, print};

/// Write what an app may reach as a NetworkPolicy, a CiliumNetworkPolicy or rules of nftables.
///
/// The lists of the app, minus what the operator denies, within the limits: give the operator options that it runs with. What
/// the other side cannot say is listed, each with its direction: `wider` lets pass what Outport itself refuses, `narrower`
/// stops what it permits.
///
/// The name servers are those of `--dns-server`, else of this machine's `/etc/resolv.conf` for nftables, and the cluster's own
/// for Kubernetes.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The words to say it in
    #[arg(long, value_enum, value_name = "FORMAT")]
    to: To,

    /// The same as `-f`: a `spin.toml`, its directory, or a reference such as `ghcr.io/me/app:1.0`
    #[arg(value_name = "DIR_OR_FILE", conflicts_with = "from")]
    path: Option<PathBuf>,

    #[command(flatten)]
    app: AppOptions,

    /// Only what this component may reach, for a process that runs it alone (`outport up --component ID`)
    #[arg(long, value_name = "ID")]
    component: Option<String>,

    /// What the object is called, a label of DNS [default: the name of the app, with a hash where that does not say it all]
    ///
    /// Loading an object replaces the one of the same name, and the author of an app chooses the app's name: give each app a
    /// name of its own where they are not of one author. For nftables the table is `outport_NAME`, with `_` for `-`.
    #[arg(long, value_name = "NAME", value_parser = object_name)]
    name: Option<String>,

    /// Write the document to a file instead of standard output
    #[arg(long, short = 'o', value_name = "FILE")]
    output: Option<PathBuf>,

    /// Format of what is printed
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// Exit with status 1 if the document differs from what Outport permits, by address and port or by name
    ///
    /// Quotas, budgets and names held to TLS are listed and are no such difference: no target has them.
    #[arg(long)]
    strict: bool,

    /// The pods that it is for [default: app.kubernetes.io/name=APP]
    #[arg(long, value_name = "KEY=VALUE", value_parser = labels::label)]
    pod_label: Vec<(String, String)>,

    /// Whose packets the rules of nftables are for: `user=NAME`, `cgroup=PATH`, or everybody's in the network `namespace`
    /// [default: user=outport]
    #[arg(long, value_name = "user=NAME|cgroup=PATH|namespace")]
    attach: Option<Attached>,

    #[command(flatten)]
    operator: OperatorOptions,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum To {
    /// A `NetworkPolicy` of Kubernetes
    #[value(name = "networkpolicy")]
    NetworkPolicy,
    /// A `CiliumNetworkPolicy`
    Cilium,
    /// A table of nftables
    Nftables,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// The document
    #[default]
    Human,
    /// The document and what it cannot say: `docs/schema/export.json`
    Json,
}

pub(super) fn export(options: &Options, terminal: Terminal) -> Result<i32, Failure> {
    options.refuse_those_of_other_targets()?;
    let mut files = Files::default();
    let settings = options.operator.read(&mut files)?;
    let app = match &options.path {
        Some(_) => options.app.at(options.path.as_deref()),
        None => options.app.clone(),
    };
    let app = app.pulled(&options.operator.loading, terminal)?;
    let app = app.read_to_judge(&mut files)?;
    let operator = Arc::new(settings.operator.clone());
    let policies = options.policies(&app, &operator)?;
    let direct = settings.egress_proxies.as_ref().map(EgressProxies::direct);
    let name = &app.manifest.application.name.value;
    let request = Request {
        name: options.name.as_deref(),
        component: options.component.as_deref(),
        attached: options.attach.clone().unwrap_or_default(),
        labels: match options.to {
            To::Nftables => Vec::new(),
            To::NetworkPolicy | To::Cilium => labels::selected(&options.pod_label, name)?,
        },
        resolves_denied: settings.resolve_disallowed,
        needs: needs::of(&app, &policies, &settings, options.to.target(), terminal)?,
        direct: direct.map(|exceptions| exceptions.patterns().collect()),
        ..Request::new(name, &policies, &operator)
    };
    let exported = Exported::of(request, options.to.target()).map_err(too_large)?;
    let document = match options.to {
        To::Nftables => exported.to_nftables(),
        To::NetworkPolicy | To::Cilium => exported.to_yaml().map_err(too_large)?,
    };
    if let Some(path) = &options.output {
        write(path, &document)?;
    }
    match (options.format, &options.output) {
        (Format::Json, _) => print(&exported.to_json(&document))?,
        (Format::Human, None) => print(&document)?,
        (Format::Human, Some(_)) => {}
    }
    terminal.show_all(&listed(&exported), &files);
    Ok(i32::from(
        options.strict && exported.notes().iter().any(|note| !note.beyond_addresses),
    ))
}

impl To {
    fn target(self) -> Target {
        match self {
            Self::NetworkPolicy => Target::NetworkPolicy,
            Self::Cilium => Target::Cilium,
            Self::Nftables => Target::Nftables,
        }
    }
}

impl Options {
    /// What would be without effect is a mistake of whoever gave it.
    fn refuse_those_of_other_targets(&self) -> Result<(), Failure> {
        let what = match self.to {
            To::Nftables if !self.pod_label.is_empty() => {
                "`--pod-label` selects pods of Kubernetes: `--attach` says whose packets rules of nftables are for"
            }
            To::NetworkPolicy | To::Cilium if self.attach.is_some() => {
                "`--attach` is for nftables: `--pod-label` says which pods a policy of Kubernetes is for"
            }
            _ => return Ok(()),
        };
        Err(Failure::unusable(Diagnostic::error(what)))
    }

    /// The policies of the components that are meant. Parts are never wider than their component.
    fn policies(&self, app: &ResolvedApp, operator: &Arc<Operator>) -> Result<Vec<Policy>, Failure> {
        let components = &app.manifest.components;
        let others_only = |policy: &Policy| {
            let own = components
                .iter()
                .find(|component| component.id.value.as_str() == policy.component());
            own.is_some_and(|component| app.manifest.runs_in_others_only(&component.id.value))
        };
        let mut all = policies(app, operator);
        all.retain(|policy| !policy.component().contains('/'));
        let Some(wanted) = &self.component else {
            all.retain(|policy| !others_only(policy));
            return Ok(all);
        };
        let known: Vec<String> = all.iter().map(|policy| policy.component().to_owned()).collect();
        all.retain(|policy| policy.component() == wanted);
        if all.is_empty() {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            return Err(Failure::unusable(no_such_component(wanted, &known)));
        }
        Ok(all)
    }
}

fn object_name(text: &str) -> Result<String, &'static str> {
    let wanted = "write it in lower-case letters, digits and `-` between them, at most 48";
    is_name(text).then(|| text.to_owned()).ok_or(wanted)
}

/// What the document cannot say.
fn listed(exported: &Exported) -> Vec<Diagnostic> {
    let notes = exported.notes().iter().map(|note| {
        let (about, why) = (text::message(&note.about), text::message(&note.why));
        Diagnostic::note(format!("{}: {about}: {why}", note.differs.as_str()))
    });
    notes.collect()
}

fn write(path: &Path, document: &str) -> Result<(), Failure> {
    let written = if path.is_file() {
        replace(path, document)
    } else if fs::symlink_metadata(path).is_err() {
        create(path, document)
    } else {
        // A device, or what a link without a target is to become.
        fs::write(path, document)
    };
    written.map_err(|error| {
        let what = format!("cannot write `{}`: {error}", text::path(path));
        Failure::unusable(Diagnostic::error(what))
    })
}

fn too_large(error: outport_check::export::TooLarge) -> Failure {
    anyhow::anyhow!("{error}; deny or permit larger networks, or fewer").into()
}
