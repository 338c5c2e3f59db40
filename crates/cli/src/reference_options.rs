//! Apps and components that are named by a reference to a registry instead of a path.
//!
//! A path that exists is a path, whatever else it could be. What is pulled is a folder in the cache, and from there on an
//! app like any other, but that nothing beside its manifest counts as the operator's: no `.env`, no state directory, no
//! lock file to write.

use std::path::{Path, PathBuf};

use clap::Args;
use outport_check::Diagnostic;
use outport_policy::text;
use outport_sources::http::Reach;
use outport_sources::oci::{
    Layout, PullError, Pulled, PulledContent, Puller, Reference, ReferenceError, RegistryError, RegistryHost,
    RegistryOptions, Trust, VerifyKey,
};

use crate::failure::Failure;
use crate::fetching::{ClientArguments, block_on, cache_in};
use crate::files::{read_bytes, unreadable};
use crate::load_options::LoadOptions;
use crate::progress;
use crate::terminal::Terminal;

/// Which registries are asked how, and what has to be true of what they give.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReferenceOptions {
    /// Refuse references without a digest: a registry can change what a tag names
    #[arg(long)]
    require_digest: bool,

    /// Refuse artifacts that are not signed with the private key of this public one, as `cosign` signs them; of several
    /// keys one will do
    #[arg(long, value_name = "FILE")]
    verify_key: Vec<PathBuf>,

    /// Take what references name from this directory, an OCI image layout, and ask no registry for it
    #[arg(long, value_name = "DIR")]
    oci_layout: Option<PathBuf>,

    #[command(flatten)]
    registries: RegistryArguments,
}

/// How registries are asked.
#[derive(Debug, Clone, Args)]
pub(crate) struct RegistryArguments {
    /// Ask this registry over plain HTTP, without credentials; one on this machine is asked so anyway
    #[arg(long, value_name = "HOST[:PORT][,…]", value_delimiter = ',')]
    insecure_registry: Vec<RegistryHost>,
}

/// The artifact that an app is from.
#[derive(Debug, Clone)]
pub(crate) struct Artifact {
    /// As it was asked for.
    asked: Reference,
    /// With its digest.
    pub(crate) reference: Reference,
    content: PulledContent,
    reach: Reach,
}

impl RegistryArguments {
    /// How a registry is asked.
    pub(crate) fn of(&self, host: &RegistryHost) -> RegistryOptions {
        RegistryOptions {
            plain_http: self.insecure_registry.contains(host),
            ..RegistryOptions::default()
        }
    }
}

impl ReferenceOptions {
    /// How registries are asked.
    pub(crate) fn registries(&self) -> &RegistryArguments {
        &self.registries
    }

    /// Refuses what is asked of a pull where something is pushed.
    pub(crate) fn refuse_for_push(&self) -> Result<(), Failure> {
        let given = [
            ("--require-digest", self.require_digest),
            ("--verify-key", !self.verify_key.is_empty()),
            ("--oci-layout", self.oci_layout.is_some()),
        ];
        let Some((option, _)) = given.into_iter().find(|(_, given)| *given) else {
            return Ok(());
        };
        let error = Diagnostic::error(format!("`{option}` has no effect on a push"));
        Err(Failure::unusable(error.helped_by(
            "leave it out, and give it to whoever pulls: `up`, `check`, `explain`, `pull` and so on take it",
        )))
    }

    /// Pulls what a path names that is a reference; nothing where it is a path.
    pub(crate) fn pulled(
        &self,
        path: &Path,
        client: &ClientArguments,
        loading: &LoadOptions,
        terminal: Terminal,
    ) -> Result<Option<Artifact>, Failure> {
        match reference(path)? {
            Some(reference) => self.pull(&reference, client, loading, terminal).map(Some),
            None => Ok(None),
        }
    }

    /// Pulls an artifact, and says which one it is.
    pub(crate) fn pull(
        &self,
        reference: &Reference,
        client: &ClientArguments,
        loading: &LoadOptions,
        terminal: Terminal,
    ) -> Result<Artifact, Failure> {
        let trust = self.trust()?;
        let fetcher = client.fetcher();
        let cache = cache_in(&loading.cache());
        let progress = progress::of(terminal);
        let puller = Puller {
            fetcher: &fetcher,
            cache: &cache,
            progress: &*progress,
            trust: &trust,
        };
        let pulled = block_on(puller.pull(reference))?;
        let Pulled {
            digest,
            content,
            is_last_known,
            is_signed,
            reach,
        } = pulled.map_err(|error| not_pulled(reference, &error))?;
        let asked = reference.clone();
        let reference = reference.pinned(digest);
        let mut line = format!("Using {reference}");
        if is_signed {
            line += ", which is signed";
        }
        if is_last_known {
            line += "; with `--offline` that is what the tag was the last time";
        }
        terminal.say(&line);
        Ok(Artifact {
            asked,
            reference,
            content,
            reach,
        })
    }

    fn trust(&self) -> Result<Trust, Failure> {
        let mut trust = Trust {
            keys: Vec::new(),
            require_digest: self.require_digest,
            insecure: self.registries.insecure_registry.clone(),
            layout: self.oci_layout.as_ref().map(Layout::new),
        };
        let mut wrong = Vec::new();
        for path in &self.verify_key {
            let read = read_bytes(path).map_err(|error| unreadable(path, "key of `--verify-key`", &error));
            let key = read.and_then(|bytes| {
                VerifyKey::from_pem(&bytes).map_err(|error| {
                    let shown = text::path(path);
                    Diagnostic::error(format!(
                        "the key of `--verify-key` `{shown}` cannot be used: {error}"
                    ))
                })
            });
            match key {
                Ok(key) => trust.keys.push(key),
                Err(error) => wrong.push(error),
            }
        }
        match wrong.pop() {
            None => Ok(trust),
            Some(last) => Err(Failure::unusable(last)),
        }
    }
}

impl Artifact {
    /// Where requests for what it names may lead.
    pub(crate) fn reach(&self) -> Reach {
        self.reach
    }

    /// The directory of the app.
    ///
    /// # Errors
    ///
    /// It is a component, without an app.
    pub(crate) fn app(&self) -> Result<&Path, Failure> {
        match &self.content {
            PulledContent::App(folder) => Ok(folder),
            PulledContent::Component(_) => {
                let shown = &self.reference;
                let error = Diagnostic::error(format!("`{shown}` is a component, not an app"));
                Err(Failure::unusable(error.helped_by(format!(
                    "a component runs with `outport run {shown}`, or answers HTTP with `outport serve {shown}`"
                ))))
            }
        }
    }

    /// The file of the component.
    ///
    /// # Errors
    ///
    /// It is an app.
    pub(crate) fn component(&self) -> Result<&Path, Failure> {
        match &self.content {
            PulledContent::Component(file) => Ok(file),
            PulledContent::App(_) => {
                let shown = &self.reference;
                let error = Diagnostic::error(format!("`{shown}` is an app, not a component"));
                Err(Failure::unusable(
                    error.helped_by(format!("an app runs with `outport up {shown}`")),
                ))
            }
        }
    }

    /// The name that its component would have as a file.
    pub(crate) fn file_name(&self) -> String {
        let repository = self.reference.repository().as_str();
        format!("{}.wasm", repository.rsplit('/').next().unwrap_or(repository))
    }

    /// The directory with all that is in it.
    pub(crate) fn folder(&self) -> &Path {
        match &self.content {
            PulledContent::App(folder) => folder,
            PulledContent::Component(file) => file.parent().unwrap_or(file),
        }
    }

    /// The name of its manifest in messages.
    pub(crate) fn manifest_name(&self) -> String {
        format!("{}/spin.toml", self.asked)
    }
}

/// The reference that a path is, if it is not a path.
fn reference(path: &Path) -> Result<Option<Reference>, Failure> {
    let is_there = path.symlink_metadata().is_ok();
    let Some(text) = path.to_str().filter(|_| !is_there) else {
        return Ok(None);
    };
    let is_explicit = text.starts_with("oci://");
    match text.parse() {
        Ok(reference) => Ok(Some(reference)),
        Err(ReferenceError::NoHost | ReferenceError::Host) if !is_explicit => Ok(None),
        Err(_) if !is_explicit && text.starts_with(['.', '/']) => Ok(None),
        Err(error) => {
            let shown = text::quote(text);
            let is_no_path = if is_explicit {
                ""
            } else {
                ", and there is no such file"
            };
            Err(Failure::unusable(Diagnostic::error(format!(
                "`{shown}` is not a reference to a registry{is_no_path}: {error}"
            ))))
        }
    }
}

/// The reference that stands where a path could, if that is one.
pub(crate) fn named_reference(path: &Path) -> Option<Reference> {
    reference(path).ok().flatten()
}

/// True if it is a reference, not a path.
pub(crate) fn names_an_artifact(path: &Path) -> Result<bool, Failure> {
    Ok(reference(path)?.is_some())
}

/// Reads an argument that can only be a reference.
pub(crate) fn parse(text: &str) -> Result<Reference, ReferenceError> {
    text.parse()
}

fn not_pulled(reference: &Reference, error: &PullError) -> Failure {
    let diagnostic = Diagnostic::error(format!("cannot pull `{reference}`: {error}"));
    let repository = reference.repository();
    let advice = match error {
        PullError::NotPinned => Some(format!(
            "pull it once without `--require-digest`, and write the digest behind it: `{}/{repository}@sha256:…`",
            reference.host()
        )),
        PullError::Offline => Some("pull it while there is a network: `outport pull`".to_owned()),
        PullError::NotSigned { .. } => Some(
            "have it signed with `cosign sign --key`, or name the key of whoever has signed it".to_owned(),
        ),
        PullError::LeadsOut { .. } => {
            Some("an app from a registry consists of what came with it; nothing of it was run".to_owned())
        }
        PullError::Registry(error) => registry_advice(error),
        _ => None,
    };
    Failure::unusable(match advice {
        Some(advice) => diagnostic.helped_by(advice),
        None => diagnostic,
    })
}

/// What to do about a registry's answer.
pub(crate) fn registry_advice(error: &RegistryError) -> Option<String> {
    match error {
        RegistryError::Denied { host, .. } => Some(format!(
            "`docker login {host}` or `podman login {host}` keeps credentials where they are looked for"
        )),
        RegistryError::Missing { .. } => Some("look at the spelling of repository and tag".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_there_is_a_path() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("a.example/app");
        std::fs::create_dir_all(&there).unwrap();
        let is_there = there.to_str().unwrap();
        let rows = [
            (is_there, "path"),
            ("a.example/app", "reference"),
            ("oci://a.example/app", "reference"),
            ("localhost:5000/app:1", "reference"),
            ("app", "path"),
            ("apps/shop/spin.toml", "path"),
            ("./a.example/app", "path"),
            ("../a.example/App", "path"),
            ("/a.example/app", "path"),
            ("a.example/App", "error"),
            ("a.example/app@sha256:0", "error"),
            ("oci://app", "error"),
        ];
        for (text, expected) in rows {
            let is = match reference(Path::new(text)) {
                Ok(None) => "path",
                Ok(Some(_)) => "reference",
                Err(_) => "error",
            };
            assert_eq!(is, expected, "{text}");
        }
    }
}
