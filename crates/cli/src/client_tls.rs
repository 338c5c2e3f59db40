//! `[[client_tls]]` of the runtime config file: whom components trust, and who they are, when they send HTTPS requests.
//!
//! The files that it names are read at start, relative to the runtime config file. Of what is in them nothing is ever
//! quoted: one of them is a private key.

use std::path::Path;
use std::sync::Arc;

use outport_check::{Code, Diagnostic};
use outport_egress::TlsProfile;
use outport_manifest::{ClientTls, Component, ComponentId, Located, RuntimeConfig, SourceFile, nearest};
use outport_policy::{Host, Location, text};

use crate::files::{read_bytes, unreadable};

/// The profiles of all components, in the order of the file.
#[derive(Clone, Default)]
pub(crate) struct ClientTlsProfiles {
    list: Vec<(Vec<ComponentId>, Arc<TlsProfile>)>,
    /// The place where each component is named.
    named: Vec<(ComponentId, Location)>,
    /// The input that they were made of: the sections as they are written, and the files.
    made_of: Vec<u8>,
}

/// Profiles that were made of the same are the same.
impl PartialEq for ClientTlsProfiles {
    fn eq(&self, other: &Self) -> bool {
        self.made_of == other.made_of
    }
}

impl Eq for ClientTlsProfiles {}

impl ClientTlsProfiles {
    /// Reads the files and makes the profiles; what is wrong is put to the rest.
    pub(crate) fn read(config: &RuntimeConfig, wrong: &mut Vec<Diagnostic>) -> Self {
        let mut list = Vec::new();
        let mut made_of = Vec::new();
        let mut named = Vec::new();
        for written in &config.client_tls {
            made_of.extend_from_slice(config.source.slice(&written.span).as_bytes());
            let locations = written.component_ids.iter();
            named.extend(locations.map(|id| (id.value.clone(), config.source.location(&id.span))));
            match profile(written, &config.source, &mut made_of) {
                Ok(profile) => {
                    let ids = written.component_ids.iter().map(|id| id.value.clone());
                    list.push((ids.collect(), Arc::new(profile)));
                }
                Err(diagnostic) => wrong.push(diagnostic),
            }
        }
        Self { list, named, made_of }
    }

    /// A warning if there are profiles, and none of them is for the only component there is.
    pub(crate) fn none_for(&self, component: &str) -> Option<Diagnostic> {
        let (other, location) = self.named.first()?;
        if self.named.iter().any(|(id, _)| id.as_str() == component) {
            return None;
        }
        let message = format!(
            "`client_tls` is for a component `{other}`, and not for this one, which is called `{}`",
            text::message(component)
        );
        Some(
            Diagnostic::warning(message)
                .coded(Code::Input)
                .at(location.clone()),
        )
    }

    /// A warning for each component that the app has not: what is written for it holds for nobody.
    pub(crate) fn unknown_components(&self, components: &[Component]) -> Vec<Diagnostic> {
        let known = || components.iter().map(|component| component.id.value.as_str());
        let unknown = self
            .named
            .iter()
            .filter(|(id, _)| !known().any(|own| own == id.as_str()));
        unknown
            .take(MOST_UNKNOWN)
            .map(|(id, location)| {
                let message = format!("`client_tls` is for a component `{id}`, which the app does not have");
                let warning = Diagnostic::warning(message)
                    .coded(Code::Input)
                    .at(location.clone());
                match nearest(id.as_str(), known().take(MOST_COMPARED)) {
                    Some(meant) => warning.helped_by(format!("did you mean `{meant}`?")),
                    None => warning,
                }
            })
            .collect()
    }

    /// Those of one component. The first that names a host is the one for it.
    pub(crate) fn of(&self, component: &str) -> Vec<Arc<TlsProfile>> {
        let own = self
            .list
            .iter()
            .filter(|(ids, _)| ids.iter().any(|id| id.as_str() == component));
        own.map(|(_, profile)| Arc::clone(profile)).collect()
    }
}

/// Warnings of one kind that are told.
const MOST_UNKNOWN: usize = 20;

/// Components that an unknown name is compared with.
const MOST_COMPARED: usize = 500;

fn profile(
    written: &ClientTls,
    source: &SourceFile,
    made_of: &mut Vec<u8>,
) -> Result<TlsProfile, Diagnostic> {
    let hosts = written.hosts.iter().map(|host| {
        let bare = host.value.trim_start_matches('[').trim_end_matches(']');
        let parsed = Host::parse(&host.value).or_else(|_| Host::parse(bare));
        parsed.map_err(|error| wrong_at(source, host, &error))
    });
    let mut profile = TlsProfile::builder(hosts.collect::<Result<_, _>>()?);
    let roots = &written.roots;
    if roots.webpki {
        profile = profile.mozilla_roots();
    }
    if roots.platform {
        profile = profile.platform_roots();
    }
    if let Some(file) = &roots.file {
        let pem = read(file, source, made_of)?;
        profile = profile
            .roots_pem(&pem)
            .map_err(|error| wrong_at(source, file, &error))?;
    }
    if let Some(client) = &written.client {
        let chain = read(&client.certificates, source, made_of)?;
        let key = read(&client.private_key, source, made_of)?;
        profile = profile
            .client_pem(&chain, &key)
            .map_err(|error| wrong_at(source, &client.certificates, &error))?;
    }
    profile
        .build()
        .map_err(|error| Diagnostic::error(error.to_string()).at(source.location(&written.span)))
}

/// The content of a file that the runtime config file names.
fn read(file: &Located<String>, source: &SourceFile, made_of: &mut Vec<u8>) -> Result<Vec<u8>, Diagnostic> {
    let folder = source.path().parent().unwrap_or(Path::new(""));
    let path = folder.join(&file.value);
    let content = read_bytes(&path)
        .map_err(|error| unreadable(&path, "PEM file", &error).at(source.location(&file.span)))?;
    made_of.extend_from_slice(&content);
    Ok(content)
}

fn wrong_at(source: &SourceFile, text: &Located<String>, error: &dyn std::fmt::Display) -> Diagnostic {
    let text_shown = &text.value;
    Diagnostic::error(format!("`{text_shown}` cannot be used: {error}")).at(source.location(&text.span))
}
