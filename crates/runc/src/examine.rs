//! Is an app one that can start? What can be said without running anything, so that it becomes the event of a pod.
//!
//! The manifest is read as `outport up` will read it, with the variables of the container's environment: what it is refused
//! for there is said here already. Then each file that it names as code is looked for. The code itself is left to
//! `outport`, inside of the container: it is compiled there, by a process that may do nothing else, and not here as root.
//! An app that passes and then does not start says why on standard error, so in the pod's log.
//!
//! A manifest of 1 MiB is read in milliseconds. Should somebody find one that takes longer, the container fails after
//! [`PATIENCE`] instead of holding up the node.

use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use outport_manifest::{GivenVariables, Implementation, Manifest, ResolvedApp, Source, SourceFile};

use crate::app::{AppManifest, machine, machine_name};
use crate::image::{Entry, Image};
use crate::report::Failure;

/// How long reading a manifest may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// A file that an app needs: the component, and the path as it is written.
#[derive(Debug, PartialEq, Eq)]
struct Code {
    component: String,
    path: String,
}

/// Finds out whether an app could start in an environment.
pub(crate) fn examine(
    manifest: &AppManifest,
    image: &Image,
    environment: Vec<(String, String)>,
) -> Result<(), Failure> {
    let directory = manifest.path.parent().unwrap_or(Path::new("/")).to_owned();
    for code in bounded(manifest.clone(), environment)? {
        look_at_code(&code, &directory, image)?;
    }
    Ok(())
}

fn bounded(manifest: AppManifest, environment: Vec<(String, String)>) -> Result<Vec<Code>, Failure> {
    let (answer, answered) = channel();
    let path = manifest.path.clone();
    thread::spawn(move || answer.send(read(&manifest, environment)));
    answered.recv_timeout(PATIENCE).unwrap_or_else(|error| {
        let problem = match error {
            RecvTimeoutError::Timeout => format!("reading it takes longer than {} s", PATIENCE.as_secs()),
            RecvTimeoutError::Disconnected => "reading it failed by a fault of Outport's".to_owned(),
        };
        Err(Failure::UnreadableManifest { path, problem })
    })
}

/// Reads a manifest as one that is to be run, and answers the files that it needs as code.
fn read(manifest: &AppManifest, environment: Vec<(String, String)>) -> Result<Vec<Code>, Failure> {
    let file = SourceFile::new(&manifest.path, manifest.text.clone());
    let mut given = GivenVariables::default();
    given.environment(
        environment
            .into_iter()
            .map(|(name, value)| (name.into(), value.into())),
    );
    let app = ResolvedApp::resolve(Manifest::parse(&file), &given).complete();
    let (app, _) = app.map_err(|problems| {
        let problem = problems.0.first().map(|problem| {
            let place = problem.location.to_string();
            let place = place
                .strip_prefix(file.shown())
                .unwrap_or(&place)
                .trim_start_matches(':')
                .to_owned();
            format!("line {}: {}", place.replace(':', ", column "), problem.mistake)
        });
        Failure::RefusedManifest {
            path: manifest.path.clone(),
            problem: problem.unwrap_or_default(),
            others: problems.0.len().saturating_sub(1),
        }
    })?;
    let components = app
        .manifest
        .components
        .iter()
        .filter_map(|component| match &component.source.value {
            Source::Path(path) => Some(Code {
                component: component.id.value.as_str().to_owned(),
                path: path.clone(),
            }),
            Source::Component(_) | Source::Remote(_) => None,
        });
    let parts = app.manifest.parts();
    let parts = parts.iter().filter_map(|part| match &part.implementation.value {
        Implementation::Path(path) => Some(Code {
            component: format!("{}/{}", part.component, part.name),
            path: path.clone(),
        }),
        Implementation::Component(_) | Implementation::Remote(_) => None,
    });
    Ok(components.chain(parts).collect())
}

fn look_at_code(code: &Code, directory: &Path, image: &Image) -> Result<(), Failure> {
    let path = directory.join(&code.path);
    let failure = |problem: String| Failure::Component {
        component: code.component.clone(),
        source_path: code.path.clone(),
        problem,
    };
    let content = match image.look(&path)? {
        Entry::Missing => {
            return Err(failure(format!(
                "is missing: the image has no {}",
                outport_policy::text::path(&path)
            )));
        }
        Entry::Directory => return Err(failure("is a directory, not a file".to_owned())),
        Entry::Other(what) => return Err(failure(format!("is {what}, not a file"))),
        Entry::File(content) => content
            .beginning(20)
            .map_err(|error| failure(format!("cannot be read: {error}")))?,
    };
    if content.is_empty() {
        return Err(failure("is empty".to_owned()));
    }
    // Code that was compiled ahead is an ELF file, too.
    match machine(&content) {
        Some(machine) => Err(failure(format!(
            "is machine code for {}, not a WebAssembly component, which runs on every architecture",
            machine_name(machine)
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str, environment: &[(&str, &str)]) -> Result<Vec<Code>, String> {
        let manifest = AppManifest {
            path: "/spin.toml".into(),
            text: text.to_owned(),
            options: Vec::new(),
        };
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        bounded(manifest, environment.collect()).map_err(|failure| failure.to_string())
    }

    const APP: &str = r#"
spin_manifest_version = 2
application.name = "shop"
variables.db = { required = true }

[[trigger.http]]
route = "/..."
component = "cart"

[component.cart]
source = "cart.wasm"
allowed_outbound_hosts = ["*://{{ db }}:5432"]
"#;

    #[test]
    fn values_are_those_of_the_containers_environment() {
        let code = read_text(APP, &[("SPIN_VARIABLE_DB", "db.example.com")]).expect("an app");
        let expected = Code {
            component: "cart".into(),
            path: "cart.wasm".into(),
        };
        assert_eq!(code, [expected]);
        let said = read_text(APP, &[]).expect_err("a value is missing");
        assert!(
            said.starts_with("the manifest /spin.toml is refused: line 4, column "),
            "{said}"
        );
        assert!(said.contains("`db`"), "{said}");
    }

    #[test]
    fn what_is_refused_is_one_line_with_the_number_of_the_others() {
        let text = APP
            .replace("5432", "x")
            .replace("cart.wasm\"", "cart.wasm\"\nsorce = 1")
            + "\n[component.x]\n";
        let said = read_text(&text, &[("SPIN_VARIABLE_DB", "db")]).expect_err("it is wrong");
        assert!(said.contains("more; `outport check` shows"), "{said}");
        assert!(!said.contains('\n'), "{said}");
    }

    #[test]
    fn a_value_that_is_used_without_end_is_a_mistake() {
        let uses = "{{ db }}".repeat(20_000);
        let text = APP.replace("{{ db }}", &uses);
        let value = "x".repeat(400_000);
        let said = read_text(&text, &[("SPIN_VARIABLE_DB", &value)]).expect_err("it is too long");
        assert!(
            said.contains("longer than 1048576 bytes") && said.len() < 2_000,
            "{said}"
        );
        let short = read_text(&text, &[("SPIN_VARIABLE_DB", "x/")]).expect_err("no entry");
        assert!(
            short.contains("is refused: line 12") && short.len() < 2_000,
            "{short}"
        );
    }

    #[test]
    fn text_that_is_made_to_be_slow_or_deep_ends() {
        let deep = format!("a = {}{}", "[".repeat(400_000), "]".repeat(400_000));
        let wide = format!("a = [{}]", "{},".repeat(300_000));
        let dotted = format!("{}=1", "a.".repeat(400_000) + "a");
        for text in [deep, wide, dotted, "\0".repeat(1 << 20)] {
            read_text(&text, &[]).expect_err("no manifest");
        }
    }
}
