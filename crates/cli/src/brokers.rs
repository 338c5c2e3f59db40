//! The operator's brokers and queues: what the runtime config file and the environment say of them.
//!
//! | | from | else |
//! | --- | --- | --- |
//! | servers of Redis and MQTT | `[trigger.redis]`, `[trigger.mqtt]` | the manifest |
//! | server of queues | `[trigger.sqs] endpoint` | `AWS_ENDPOINT_URL_SQS`, `AWS_ENDPOINT_URL`, the queue's URL |
//! | region of queues | the queue's URL | `[trigger.sqs] region`, `AWS_REGION`, `AWS_DEFAULT_REGION` |
//! | credentials | `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` | the profile `AWS_PROFILE`, or `default`, of the file `AWS_SHARED_CREDENTIALS_FILE`, or `~/.aws/credentials` |
//!
//! Credentials are read once, before the kernel's sandbox closes, and only where an app listens to a queue. Those that a
//! machine, a container or a program would give are not asked for.

use std::path::{Path, PathBuf};

use outport_check::{Code, Diagnostic};
use outport_manifest::{BrokerSettings, EventKind, Manifest, RuntimeConfig, Secret, ServerUrl};
use outport_platform::sqs::{Access, Credentials, Endpoint};
use outport_policy::{Location, text};
use outport_runtime::triggers::{Brokers, OwnServer};

use crate::failure::Failure;
use crate::files::{read_text, unreadable};
use crate::spin_environment::{location_of, read};

/// What is said of brokers and queues, without credentials.
///
/// # Errors
///
/// A variable of the environment cannot be used.
pub(crate) fn settings(config: Option<&RuntimeConfig>) -> Result<Brokers, Failure> {
    let none = BrokerSettings::default();
    let written = config.map_or(&none, |config| &config.brokers);
    let own = |server: &Option<outport_manifest::Located<ServerUrl>>| {
        let (server, config) = (server.as_ref()?, config?);
        Some(OwnServer {
            url: Secret::new(server.value.expose()),
            location: config.source.location(&server.span),
        })
    };
    let region = written.sqs_region.as_ref().map(|region| region.value.clone());
    let region = match region {
        Some(region) => Some(region),
        None => first(["AWS_REGION", "AWS_DEFAULT_REGION"])?.map(|(_, region)| region),
    };
    Ok(Brokers {
        redis: own(&written.redis),
        mqtt: own(&written.mqtt),
        mqtt_client_id: written.mqtt_client_id.as_ref().map(|id| id.value.clone()),
        sqs: Access {
            credentials: None,
            region,
            endpoint: endpoint(own(&written.sqs_endpoint))?,
        },
    })
}

/// The same for an app that is to run: with credentials, if one of the triggers that are `wanted` needs them.
///
/// # Errors
///
/// Those of [`settings`], and credentials are needed that are not there.
pub(crate) fn with_credentials(
    config: Option<&RuntimeConfig>,
    manifest: &Manifest,
    wanted: impl Fn(&outport_manifest::ComponentId) -> bool,
) -> Result<Brokers, Failure> {
    let mut brokers = settings(config)?;
    let mut triggers = manifest.event_triggers.iter();
    let queue =
        triggers.find(|trigger| trigger.source.kind() == EventKind::Sqs && wanted(&trigger.component.value));
    if let Some(trigger) = queue {
        brokers.sqs.credentials = Some(credentials(manifest.source.location(&trigger.span))?);
    }
    Ok(brokers)
}

/// The types of triggers whose server the operator configures.
pub(crate) fn kinds(brokers: &Brokers) -> Vec<EventKind> {
    let own = [
        (EventKind::Redis, brokers.redis.is_some()),
        (EventKind::Mqtt, brokers.mqtt.is_some()),
        (EventKind::Sqs, brokers.sqs.endpoint.is_some()),
    ];
    own.into_iter()
        .filter(|(_, is_own)| *is_own)
        .map(|(kind, _)| kind)
        .collect()
}

fn endpoint(written: Option<OwnServer>) -> Result<Option<Endpoint>, Failure> {
    let (url, location) = match written {
        Some(own) => (own.url.expose().to_owned(), own.location),
        None => match first(["AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL"])? {
            Some((name, url)) => (url, location_of(name)),
            None => return Ok(None),
        },
    };
    match Endpoint::new(&url, location.clone()) {
        Ok(endpoint) => Ok(Some(endpoint)),
        Err(error) => {
            let what = format!("the server of queues {error}");
            Err(Failure::unusable(
                Diagnostic::error(what).coded(Code::Input).at(location),
            ))
        }
    }
}

/// The credentials for the queue of the trigger at `location`.
fn credentials(location: Location) -> Result<Credentials, Failure> {
    let given = |name| read(name, |text| Ok(text.to_owned()));
    let key = (given("AWS_ACCESS_KEY_ID")?, given("AWS_SECRET_ACCESS_KEY")?);
    if let (Some(id), Some(secret)) = key {
        let session = given("AWS_SESSION_TOKEN")?;
        return Ok(Credentials::new(&id, &secret, session.as_deref()));
    }
    let is_named = given("AWS_SHARED_CREDENTIALS_FILE")?.map(PathBuf::from);
    let profile = given("AWS_PROFILE")?;
    let otherwise = std::env::home_dir().map(|home| home.join(".aws").join("credentials"));
    let path = is_named.clone().or(otherwise);
    let missing = || {
        let what = "there are no credentials of AWS, by which the queue of this trigger could be asked";
        let help =
            "set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or write them to `~/.aws/credentials`";
        Failure::unusable(Diagnostic::error(what).helped_by(help).at(location.clone()))
    };
    let Some(path) = path.filter(|path| is_named.is_some() || profile.is_some() || path.exists()) else {
        return Err(missing());
    };
    let profile = profile.as_deref().unwrap_or("default");
    of_profile(&path, profile)
}

fn of_profile(path: &Path, profile: &str) -> Result<Credentials, Failure> {
    let unreadable = |error| Failure::unusable(unreadable(path, "file of credentials", &error));
    let written = read_text(path).map_err(unreadable)?;
    Credentials::of_profile(&written, profile).map_err(|error| {
        let what = format!("the file of credentials `{}` {error}", text::path(path));
        let help = "keys that are there count alone: credentials of single sign-on, roles or programs are not asked for";
        Failure::unusable(Diagnostic::error(what).helped_by(help))
    })
}

/// The first of these variables that has a value.
fn first(names: [&'static str; 2]) -> Result<Option<(&'static str, String)>, Failure> {
    for name in names {
        if let Some(value) = read(name, |text| Ok(text.to_owned()))? {
            return Ok(Some((name, value)));
        }
    }
    Ok(None)
}
