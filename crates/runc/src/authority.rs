//! Who says what of an app's container: the node, the pod, or perhaps only its image.
//!
//! Environment and arguments of a container are the pod's where it says something, else the image's, and nothing in a bundle
//! tells which. Whoever made the image is whose code is to be held, so what they say cannot open a way to the network, hide
//! an attempt, or start a program beside the gate.
//!
//! | says | may say |
//! | --- | --- |
//! | the node, by `options` and `config` of its settings | everything |
//! | the pod, by the annotation [`ANNOTATION`] | everything |
//! | the pod, by a settings file, a runtime config file or a cache that is mounted | what there is in it |
//! | environment and arguments | what is listed in [`OWN`]: how an app is served, what it may use of its container, and denials |
//! | anything else, said by environment, arguments or a file of the image | the container is refused, by a text that says where it belongs |
//!
//! A node on which all images are trusted says so (`trusted-containers`), a pod that answers for its image too ([`TRUSTED`]), and
//! nothing is refused here. Of all others no code is fetched, since what fetches goes where the image says, past the lists.
//!
//! containerd hands on annotations of pods that its configuration names for the handler (`pod_annotations`). An image has no
//! annotations there, and its `VOLUME`s, which containerd mounts with content of the image, are known by where they lie.

use std::path::{Component, Path};

use outport_policy::text;

use crate::container::{Container, Mount};
use crate::image::{Entry, Image};
use crate::report::Failure;

/// The annotation with options of `outport up`, between white space.
pub(crate) const ANNOTATION: &str = "outport.dev/options";

/// The annotation by which a pod answers for its image: `true`, and what the image says is as good as what the pod says.
pub(crate) const TRUSTED: &str = "outport.dev/trusted";

/// Where SpinKube mounts a runtime config file.
pub(crate) const RUNTIME_CONFIG: &str = "/runtime-config.toml";

/// Options that environment and arguments of a container may give. What is not here has been looked at and left out, or is
/// newer than this list: `allow-*` and `no-resolve-disallowed` lift limits, `max-sent`, `max-*-rate`, `max-lookups-per-minute`,
/// `max-names-per-wildcard` and `max-sockets*` are budgets of the network, `dns-server`, `egress-proxy*` and `tls-names` say
/// how it is reached, `audit-log` and `dashboard` who hears of it, `build` and `ask` start something else, and `kernel-sandbox`
/// and `max-compile-*` hold what runs beside the guests.
pub(crate) const OWN: [&str; 38] = [
    "access-log",
    "access-log-format",
    "admin-host",
    "admin-listen",
    "audit-denials",
    "client-timeout",
    "color",
    "component",
    "deny-warnings",
    "disallowed-outbound-hosts",
    "env",
    "grace",
    "idle-instance-timeout",
    "key-value",
    "listen",
    "locked",
    "max-connections",
    "max-connections-per-client",
    "max-cpu-time",
    "max-instance-concurrent-reuse-count",
    "max-instance-reuse-count",
    "max-memory",
    "max-memory-total",
    "max-requests",
    "max-time",
    "no-output-prefix",
    "offline",
    "quiet",
    "require-digest",
    "response-timeout",
    "sqlite",
    "state-dir",
    "tls-cert",
    "tls-client-ca",
    "tls-key",
    "variable",
    "verbose",
    "workers",
];

/// Variables with Outport's prefix that are no option.
const OWN_VARIABLES: [&str; 1] = ["OUTPORT_LOG"];

/// Those of this program, which count in containerd's environment alone.
const OF_THE_NODE: &str = "RUNC_";

/// Variables that name a file or directory of the operator's, and the option of each. Code that was compiled is run as it lies in
/// a cache.
const OF_FILES: [(&str, &str); 4] = [
    ("OUTPORT_CACHE_DIR", "cache-dir"),
    ("OUTPORT_CONFIG", "config"),
    ("OUTPORT_RUNTIME_CONFIG_FILE", "runtime-config-file"),
    ("RUNTIME_CONFIG_FILE", "runtime-config-file"),
];

/// Refuses a container whose environment or arguments say what is not theirs.
pub(crate) fn require_own(container: &Container, arguments: &[String], image: &Image) -> Result<(), Failure> {
    if let Some(volume) = container.mounts.iter().find(|mount| mount.is_of_image()) {
        return Err(Failure::VolumeOfImage {
            path: volume.destination.clone(),
        });
    }
    for (name, value) in container.variables() {
        if let Some((_, option)) = OF_FILES.iter().find(|(own, _)| *own == name) {
            require_mounted(container, image, &format!("`{name}`"), option, value)?;
        } else if name.starts_with("OTEL_EXPORTER_") {
            return Err(Failure::NotOwn {
                what: format!("the variable `{}`", text::quote(name)),
                annotation: format!("{TRUSTED}: \"true\""),
            });
        } else if !is_own_variable(name) {
            let option = name.trim_start_matches(PREFIX).replace('_', "-").to_lowercase();
            return Err(not_own(format!("the variable `{}`", text::quote(name)), &option));
        }
    }
    if !container.has_any(&["OUTPORT_RUNTIME_CONFIG_FILE", "RUNTIME_CONFIG_FILE"])
        && matches!(image.look(Path::new(RUNTIME_CONFIG))?, Entry::File(_))
    {
        require_mounted(
            container,
            image,
            "the image",
            "runtime-config-file",
            RUNTIME_CONFIG,
        )?;
    }
    require_own_arguments(arguments)
}

/// The prefix of the variables that are options.
const PREFIX: &str = "OUTPORT_";

fn is_own_variable(name: &str) -> bool {
    let Some(own) = name.strip_prefix(PREFIX) else {
        return true;
    };
    let option = own.replace('_', "-").to_lowercase();
    OWN_VARIABLES.contains(&name)
        || OWN.contains(&option.as_str())
        || own.starts_with(OF_THE_NODE)
        || is_of_a_service(own)
}

/// True of what a kubelet tells of a Service called `outport-…`: `SERVICE_HOST`, `PORT_80_TCP_ADDR`. No option is called like that.
fn is_of_a_service(own: &str) -> bool {
    let name = format!("_{own}");
    ["_SERVICE_HOST", "_PORT"].iter().any(|end| name.ends_with(end))
        || ["_SERVICE_PORT", "_PORT_"].iter().any(|part| name.contains(part))
}

/// Options have two dashes, and a value behind `=` or as the next argument, which begins with no dash. Of those with one dash
/// there are two that matter little.
fn require_own_arguments(arguments: &[String]) -> Result<(), Failure> {
    let mut may_be_value = false;
    for argument in arguments {
        let is_own = match argument.strip_prefix("--") {
            Some(option) => {
                let (name, value) = option
                    .split_once('=')
                    .map_or((option, None), |(name, value)| (name, Some(value)));
                let is_own = OWN.contains(&name);
                if is_own {
                    may_be_value = value.is_none();
                }
                is_own
            }
            None if argument.starts_with('-') => ["-q", "-v"].contains(&argument.as_str()),
            None => std::mem::replace(&mut may_be_value, false),
        };
        if !is_own {
            let option = argument.trim_start_matches('-');
            let option = option.split('=').next().unwrap_or_default();
            return Err(not_own(
                format!("the argument `{}`", text::quote(argument)),
                option,
            ));
        }
    }
    Ok(())
}

/// True for a path of what the pod mounts, and not of what the image has. It may not climb: what `..` leads to depends on links
/// of the image.
pub(crate) fn is_of_pod(path: &Path, image: &Image) -> bool {
    let climbs = path
        .components()
        .any(|component| component == Component::ParentDir);
    !climbs && image.mount_of(path).is_some_and(Mount::is_of_pod)
}

fn require_mounted(
    container: &Container,
    image: &Image,
    by: &str,
    option: &str,
    path: &str,
) -> Result<(), Failure> {
    let path = container.directory.join(path);
    if is_of_pod(&path, image) {
        return Ok(());
    }
    Err(Failure::FileOfImage {
        by: by.to_owned(),
        path,
        option: option.to_owned(),
    })
}

fn not_own(what: String, option: &str) -> Failure {
    Failure::NotOwn {
        what,
        annotation: format!("{ANNOTATION}: --{} …", text::quote(option)),
    }
}
