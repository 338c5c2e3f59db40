//! `outport explain`: what would happen to a destination, and why; or what a whole app may reach.
//!
//! Nothing runs and nothing is resolved: addresses of names are assumed as `--dns` says. Exit status 1 means that the
//! destination is denied, or with `--diff` that the app reaches more than before.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use outport_check::DeniedNames;
use outport_check::explain::{Assumption, EffectivePolicy, Question, Verdict, explain as explain_one};
use outport_manifest::ComponentId;
use outport_policy::{AllowList, Operator, Policy, printable_path};

use crate::app_options::{AppOptions, WrittenApp};
use crate::diagnostic::Diagnostic;
use crate::failure::Failure;
use crate::files::{Files, read_text};
use crate::operator_options::OperatorOptions;

/// Say what would happen to a destination, layer by layer, or what an app may reach.
///
/// A destination is `tcp://10.0.0.5:5432`, `udp://…`, `https://api.example.com/`, or a name for a look-up. Without
/// one, the effective policy of every component.
///
/// Takes the operator options of the commands that run guests, so that the same ones can be given. What there is
/// nothing to do for here has no effect: `--dns-server`, `--audit-log`, `--deny-warnings`, `--kernel-sandbox` and limits of
/// compiling.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(flatten)]
    app: AppOptions,

    /// The component that would try; may be left out where there is only one
    #[arg(long, value_name = "ID")]
    component: Option<String>,

    /// Assume that a name has these addresses
    #[arg(long, value_name = "NAME=ADDR[,ADDR…]")]
    dns: Vec<Assumption>,

    /// Compare with an effective policy that `--format json` wrote earlier
    #[arg(long, value_name = "OLD.json", conflicts_with = "destination")]
    diff: Option<PathBuf>,

    /// How to answer
    #[arg(long, value_enum, default_value_t)]
    format: Format,

    /// What to explain
    destination: Option<Question>,

    #[command(flatten)]
    operator: OperatorOptions,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    #[default]
    Human,
    /// `docs/schema/explain.json` and `docs/schema/effective-policy.json`
    Json,
}

pub(super) fn explain(options: &Options) -> Result<i32, Failure> {
    let mut files = Files::default();
    let side = options.operator.read(&mut files)?;
    let written = options.app.read(&mut files)?;
    let policies = options.policies(&written, Arc::new(side.operator.clone()))?;
    let (text, status) = match (&options.destination, &options.diff) {
        (Some(question), _) => options.one(&policies, question, side.denied_names())?,
        (None, Some(old)) => options.difference(&EffectivePolicy::of(&policies, &side.operator), old)?,
        (None, None) => (options.all(&EffectivePolicy::of(&policies, &side.operator)), 0),
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(status)
}

impl Options {
    /// The policies of the components that are asked about.
    fn policies(&self, written: &WrittenApp, operator: Arc<Operator>) -> Result<Vec<Policy>, Failure> {
        let ids = written
            .manifest
            .components
            .iter()
            .map(|component| &component.id.value);
        let wanted = |id: &&ComponentId| self.component.as_ref().is_none_or(|wanted| id.as_str() == wanted);
        let policies: Vec<Policy> = ids
            .clone()
            .filter(wanted)
            .map(|id| {
                let entries = written.entries.get(id).cloned().unwrap_or_default();
                Policy::new(
                    id.as_str(),
                    Arc::new(AllowList::compile(entries)),
                    Arc::clone(&operator),
                )
            })
            .collect();
        match &self.component {
            Some(unknown) if policies.is_empty() => {
                let known: Vec<String> = ids.map(|id| format!("`{id}`")).collect();
                let error = Diagnostic::error(format!("the app has no component `{unknown}`"));
                Err(Failure::unusable(
                    error.advising(format!("its components are {}", known.join(", "))),
                ))
            }
            _ => Ok(policies),
        }
    }

    fn one(
        &self,
        policies: &[Policy],
        question: &Question,
        denied_names: DeniedNames,
    ) -> Result<(String, i32), Failure> {
        let [policy] = policies else {
            let known: Vec<String> = policies
                .iter()
                .map(|policy| format!("`{}`", policy.component()))
                .collect();
            let error = Diagnostic::error("the app has more than one component, or none");
            let advice = format!("say which with `--component ID`: {}", known.join(", "));
            return Err(Failure::unusable(error.advising(advice)));
        };
        let explanation = explain_one(policy, question, &self.dns, denied_names);
        let text = match self.format {
            Format::Human => explanation.to_text(),
            Format::Json => explanation.to_json(),
        };
        Ok((text, i32::from(explanation.verdict == Verdict::Denied)))
    }

    fn all(&self, effective: &EffectivePolicy) -> String {
        match self.format {
            Format::Human => effective.to_text(),
            Format::Json => effective.to_json(),
        }
    }

    fn difference(&self, now: &EffectivePolicy, old: &Path) -> Result<(String, i32), Failure> {
        let shown = printable_path(old);
        let unusable = |error: &dyn std::fmt::Display| {
            Failure::unusable(Diagnostic::error(format!(
                "cannot compare with `{shown}`: {error}"
            )))
        };
        let text = read_text(old).map_err(|error| unusable(&error))?;
        let before = EffectivePolicy::from_json(&text).map_err(|error| unusable(&error))?;
        let difference = now.since(&before).map_err(|error| unusable(&error))?;
        let text = match self.format {
            Format::Human => difference.to_text(),
            Format::Json => difference.to_json(),
        };
        Ok((text, i32::from(difference.reaches_more())))
    }
}
