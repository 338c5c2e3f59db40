//! What is exported and where to, from the standard variables of OpenTelemetry.
//!
//! | variable | what it says |
//! | --- | --- |
//! | `OTEL_EXPORTER_OTLP_ENDPOINT` | where all signals go: `v1/traces`, `v1/metrics` and `v1/logs` below it |
//! | `OTEL_EXPORTER_OTLP_{TRACES,METRICS,LOGS}_ENDPOINT` | where one goes: exactly there |
//! | … `_HEADERS`, `_TIMEOUT`, `_COMPRESSION`, `_PROTOCOL` | how, for all or for one signal |
//! | `OTEL_{TRACES,METRICS,LOGS}_EXPORTER` | `otlp`, or `none` |
//! | the others | see [`Settings`] |
//!
//! Nothing is exported unless one of the endpoints is there, as with Spin. A variable that is empty counts as one that is not
//! there. One that is wrong is an error where something is exported: who asked for telemetry would miss it when it is too
//! late. Values of headers, and what is in the place of a URL, may be secrets, which no message shows.

mod endpoint;
mod pairs;

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::time::Duration;

use outport_policy::text;

pub use self::endpoint::{Compression, Endpoint};
use self::pairs::pairs;
use super::sampler::{Root, Sampler};
use super::signal::Signal;

/// The settings of an export.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Where each signal goes; none that goes nowhere.
    pub endpoints: BTreeMap<Signal, Endpoint>,
    /// `OTEL_SERVICE_NAME`, else the `service.name` of `OTEL_RESOURCE_ATTRIBUTES`. Without one it is the app's name.
    pub service_name: Option<String>,
    /// `OTEL_RESOURCE_ATTRIBUTES`, without the name of the service.
    pub resource: Vec<(String, String)>,
    /// `OTEL_TRACES_SAMPLER` and its `_ARG`: which requests have spans. By default all but those whose client says no.
    pub sampler: Sampler,
    /// `OTEL_BSP_*`: spans that wait, 2048 by default, sent 512 at a time and every 5 seconds.
    pub spans: Batches,
    /// `OTEL_BLRP_*`: lines of logs that wait, 2048 by default, sent 512 at a time and every second.
    pub logs: Batches,
    /// `OTEL_METRIC_EXPORT_INTERVAL`: the time from one export of metrics to the next, 60 seconds by default.
    pub metric_interval: Duration,
    /// What is asked for and not done, a sentence each, with the variable that asks.
    pub remarks: Vec<(&'static str, String)>,
}

/// How records of a signal are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batches {
    /// Records that wait at most. What comes beyond is dropped.
    pub queue: usize,
    /// Records of one request at most.
    pub size: usize,
    /// The time that the first record waits for others.
    pub delay: Duration,
}

/// A variable that says something which cannot be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the value of `{variable}` cannot be used: {why}")]
pub struct SettingsError {
    /// The variable.
    pub variable: String,
    /// The reason.
    pub why: String,
    /// The remedy, if there is a sentence for it.
    pub help: Option<String>,
}

/// The value of a variable of the environment, if it is there.
type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

impl Settings {
    /// Reads the settings by what answers the value of a variable, as [`std::env::var_os`] does. None if nothing is exported.
    ///
    /// # Errors
    ///
    /// A variable says something which cannot be done.
    pub fn read(variables: Variables<'_>) -> Result<Option<Self>, SettingsError> {
        let endpoints = [Signal::Traces, Signal::Metrics, Signal::Logs];
        let is_on = endpoints
            .iter()
            .map(|signal| signal.variable("_ENDPOINT"))
            .chain([ENDPOINT.to_owned()])
            .any(|name| variables(&name).is_some_and(|value| !value.is_empty()));
        if !is_on || flag(variables, "OTEL_SDK_DISABLED")? {
            return Ok(None);
        }
        let mut wanted = BTreeMap::new();
        for signal in endpoints {
            if is_exported(variables, signal)?
                && let Some(endpoint) = Endpoint::read(variables, signal)?
            {
                wanted.insert(signal, endpoint);
            }
        }
        if wanted.is_empty() {
            return Ok(None);
        }
        let mut resource = match value_of(variables, RESOURCE)? {
            Some(value) => pairs(&value).map_err(|why| wrong(RESOURCE, why))?,
            None => Vec::new(),
        };
        let named = resource.iter().rfind(|(name, _)| name == SERVICE_NAME);
        let named = named.map(|(_, value)| value.clone());
        resource.retain(|(name, _)| name != SERVICE_NAME);
        // The last of a name counts.
        let mut seen = HashSet::new();
        resource.reverse();
        resource.retain(|(name, _)| seen.insert(name.clone()));
        resource.reverse();
        let sampler = sampler(variables)?;
        let remarks = [propagators(variables)?, unused_argument(variables, sampler)?];
        Ok(Some(Self {
            endpoints: wanted,
            service_name: value_of(variables, "OTEL_SERVICE_NAME")?.or(named),
            resource,
            sampler,
            spans: Batches::read(variables, "BSP", Duration::from_secs(5))?,
            logs: Batches::read(variables, "BLRP", Duration::from_secs(1))?,
            metric_interval: milliseconds(variables, "OTEL_METRIC_EXPORT_INTERVAL")?
                .unwrap_or(Duration::from_secs(60)),
            remarks: remarks.into_iter().flatten().collect(),
        }))
    }

    /// The servers that something goes to, with what goes there. Paths are left out: they may be secrets.
    pub fn destinations(&self) -> BTreeMap<String, Vec<Signal>> {
        let mut destinations = BTreeMap::<_, Vec<_>>::new();
        for (signal, endpoint) in &self.endpoints {
            let server = endpoint.url.origin().ascii_serialization();
            destinations.entry(server).or_default().push(*signal);
        }
        destinations
    }
}

impl Batches {
    fn read(variables: Variables<'_>, kind: &str, delay: Duration) -> Result<Self, SettingsError> {
        let count = |what: &str, default: u64| {
            let name = format!("OTEL_{kind}_{what}");
            let value = positive(variables, &name)?.unwrap_or(default);
            match usize::try_from(value) {
                Ok(count) if count <= MOST_RECORDS => Ok(count),
                _ => Err(wrong(
                    &name,
                    format!("{value} is too much: {MOST_RECORDS} is the most"),
                )),
            }
        };
        let queue = count("MAX_QUEUE_SIZE", 2048)?;
        let size = count("MAX_EXPORT_BATCH_SIZE", 512.min(queue as u64))?;
        if size > queue {
            let name = format!("OTEL_{kind}_MAX_EXPORT_BATCH_SIZE");
            let of_queue = format!("OTEL_{kind}_MAX_QUEUE_SIZE");
            return Err(SettingsError {
                help: Some(format!("write {queue} at most, or a larger `{of_queue}`")),
                ..wrong(
                    &name,
                    format!("{size} is more than the {queue} records that ever wait"),
                )
            });
        }
        let name = format!("OTEL_{kind}_SCHEDULE_DELAY");
        Ok(Self {
            queue,
            size,
            delay: milliseconds(variables, &name)?.unwrap_or(delay),
        })
    }
}

fn is_exported(variables: Variables<'_>, signal: Signal) -> Result<bool, SettingsError> {
    let name = format!("OTEL_{}_EXPORTER", signal.capitals());
    match value_of(variables, &name)?.as_deref().map(str::trim) {
        None | Some("otlp") => Ok(true),
        Some("none") => Ok(false),
        Some("prometheus") => Err(SettingsError {
            help: Some(
                "`--admin-listen` serves them to Prometheus; write `none`, or `otlp` to send them as well"
                    .to_owned(),
            ),
            ..wrong(&name, "Prometheus is not sent to, but asks".to_owned())
        }),
        Some(other) => Err(SettingsError {
            help: Some("write `otlp` or `none`".to_owned()),
            ..wrong(&name, format!("there is no exporter `{}`", text::excerpt(other)))
        }),
    }
}

fn sampler(variables: Variables<'_>) -> Result<Sampler, SettingsError> {
    let Some(name) = value_of(variables, SAMPLER)? else {
        return Ok(Sampler::default());
    };
    let name = name.trim();
    let (of_root, heeds_parent) = match name.strip_prefix("parentbased_") {
        Some(of_root) => (of_root, true),
        None => (name, false),
    };
    let root = match of_root {
        "always_on" => Root::Always,
        "always_off" => Root::Never,
        "traceidratio" => {
            let written = value_of(variables, SAMPLER_ARGUMENT)?;
            let written = written.as_deref().map_or("1", str::trim);
            match written.parse::<f64>() {
                Ok(ratio) if (0.0..=1.0).contains(&ratio) => Root::Ratio(ratio),
                _ => {
                    return Err(SettingsError {
                        help: Some("write a number from 0 to 1, such as `0.01`".to_owned()),
                        ..wrong(
                            SAMPLER_ARGUMENT,
                            format!("`{}` is no share", text::excerpt(written)),
                        )
                    });
                }
            }
        }
        _ => {
            return Err(SettingsError {
                help: Some(
                    "write `always_on`, `always_off` or `traceidratio`, with or without `parentbased_` before it"
                        .to_owned(),
                ),
                ..wrong(SAMPLER, format!("there is no sampler `{}`", text::excerpt(name)))
            });
        }
    };
    Ok(Sampler { root, heeds_parent })
}

/// A remark if there is an argument that the sampler does not take.
fn unused_argument(
    variables: Variables<'_>,
    sampler: Sampler,
) -> Result<Option<(&'static str, String)>, SettingsError> {
    if matches!(sampler.root, Root::Ratio(_)) || value_of(variables, SAMPLER_ARGUMENT)?.is_none() {
        return Ok(None);
    }
    let remark = match value_of(variables, SAMPLER)? {
        None => format!(
            "it has no effect without `{SAMPLER}`, and all requests have spans; write \
             `{SAMPLER}=parentbased_traceidratio` for a share of them"
        ),
        Some(name) => format!("it has no effect with `{SAMPLER}={}`", text::excerpt(name.trim())),
    };
    Ok(Some((SAMPLER_ARGUMENT, remark)))
}

/// A remark if contexts are to go another way than they do.
fn propagators(variables: Variables<'_>) -> Result<Option<(&'static str, String)>, SettingsError> {
    const NAME: &str = "OTEL_PROPAGATORS";
    let Some(list) = value_of(variables, NAME)? else {
        return Ok(None);
    };
    let mut names = list.split(',').map(str::trim).filter(|name| !name.is_empty());
    let other = names.find(|name| !matches!(*name, "tracecontext" | "baggage"));
    Ok(other.map(|name| {
        let name = text::excerpt(name);
        let remark = format!("`{name}` has no effect: the context of a trace is always that of the W3C");
        (NAME, remark)
    }))
}

/// The text of a variable; none if it is empty or not there.
fn value_of(variables: Variables<'_>, name: &str) -> Result<Option<String>, SettingsError> {
    match variables(name).filter(|value| !value.is_empty()) {
        None => Ok(None),
        Some(value) => value
            .into_string()
            .map(Some)
            .map_err(|_| wrong(name, "it is not UTF-8 text".to_owned())),
    }
}

fn flag(variables: Variables<'_>, name: &str) -> Result<bool, SettingsError> {
    match value_of(variables, name)?.as_deref().map(str::trim) {
        None => Ok(false),
        Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
        Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
        Some(other) => Err(SettingsError {
            help: Some("write `true` or `false`".to_owned()),
            ..wrong(name, format!("`{}` is neither", text::excerpt(other)))
        }),
    }
}

fn positive(variables: Variables<'_>, name: &str) -> Result<Option<u64>, SettingsError> {
    number(variables, name, "write a whole number from 1 on")
}

fn number(variables: Variables<'_>, name: &str, help: &str) -> Result<Option<u64>, SettingsError> {
    let Some(value) = value_of(variables, name)? else {
        return Ok(None);
    };
    match value.trim().parse() {
        Ok(number @ 1..) => Ok(Some(number)),
        _ => Err(SettingsError {
            help: Some(help.to_owned()),
            ..wrong(
                name,
                format!("`{}` is no such number", text::excerpt(value.trim())),
            )
        }),
    }
}

/// A time between a millisecond and an hour.
fn milliseconds(variables: Variables<'_>, name: &str) -> Result<Option<Duration>, SettingsError> {
    let most = LONGEST.as_millis() as u64;
    let help = format!("write milliseconds, a whole number from 1 to {most}: `5000` is 5 seconds");
    match number(variables, name, &help)? {
        Some(number) if number > most => Err(SettingsError {
            help: Some(help),
            ..wrong(name, format!("{number} is too much"))
        }),
        number => Ok(number.map(Duration::from_millis)),
    }
}

fn wrong(variable: &str, why: String) -> SettingsError {
    SettingsError {
        variable: variable.to_owned(),
        why,
        help: None,
    }
}

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const RESOURCE: &str = "OTEL_RESOURCE_ATTRIBUTES";
const SERVICE_NAME: &str = "service.name";
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARGUMENT: &str = "OTEL_TRACES_SAMPLER_ARG";

/// Records that may wait at all: what an operator writes does not take all memory.
const MOST_RECORDS: usize = 65_536;

const LONGEST: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests;
