//! Where the components are that tests run.

use std::env;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use wasmparser::{Parser, Payload};
use wit_component::{DecodedWasm, StringEncoding, embed_component_metadata};

/// The committed guest `guests/wasm/NAME.wasm`.
///
/// # Panics
///
/// If there is none of that name.
pub fn path(name: &str) -> PathBuf {
    let path = workspace().join("guests/wasm").join(name).with_extension("wasm");
    assert!(
        path.exists(),
        "no guest at {}: `guests/README.md` says how they are built",
        path.display()
    );
    path
}

/// What a committed guest is given as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// The component that it is.
    Component,
    /// The core module in it, which says its world in a section of its own: what an SDK of a module's time made.
    Module,
    /// A component of the release candidate of WASI 0.3, in the place of 0.3.
    Candidate,
}

/// The committed guest in that form.
///
/// # Panics
///
/// If there is none of that name.
pub fn bytes_as(name: &str, form: Form) -> Vec<u8> {
    let component = std::fs::read(path(name)).expect("a committed guest");
    match form {
        Form::Component => component,
        Form::Module => module_of(&component),
        Form::Candidate => {
            let candidate = |name: &str| {
                let (interface, _) = name.split_once("@0.3.")?;
                interface
                    .starts_with("wasi:")
                    .then(|| format!("{interface}@0.3.0-rc-2026-03-15"))
            };
            outport_components::rename(&component, candidate).expect("a committed guest")
        }
    }
}

/// The first core module of a component, which is the guest's own, with the component's world.
fn module_of(component: &[u8]) -> Vec<u8> {
    let module = Parser::new(0)
        .parse_all(component)
        .find_map(|payload| match payload {
            Ok(Payload::ModuleSection { unchecked_range, .. }) => Some(component[unchecked_range].to_vec()),
            _ => None,
        });
    let mut module = module.expect("a guest has a module");
    let DecodedWasm::Component(resolve, world) =
        wit_component::decode(component).expect("a guest has a world")
    else {
        panic!("a guest is a component");
    };
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).expect("its world fits");
    module
}

/// The SHA-256 of a component, in the 64 digits that a manifest writes behind `sha256:`.
pub fn sha256(code: &[u8]) -> String {
    let digest = Sha256::digest(code);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A version of WASI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wasi {
    /// 0.2
    V0_2,
    /// 0.3
    V0_3,
}

impl Wasi {
    /// The version that the running test binary is about: 0.3 if its name says so (`wasi_0_3`), else 0.2.
    pub fn under_test() -> Self {
        let binary = env::current_exe().expect("a test knows its own file");
        let name = binary.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("wasi_0_3") {
            Self::V0_3
        } else {
            Self::V0_2
        }
    }

    /// What a guest gets to know of a quota of sockets or look-ups (RSN-3).
    pub fn quota_code(self) -> &'static str {
        match self {
            Self::V0_2 => "new-socket-limit",
            Self::V0_3 => "other",
        }
    }
}

/// The script guest, for the version of WASI that is under test.
///
/// # Panics
///
/// If there is no such guest.
pub fn script_guest() -> PathBuf {
    path(match Wasi::under_test() {
        Wasi::V0_2 => "script-guest",
        Wasi::V0_3 => "script-guest-p3",
    })
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are a folder of the workspace")
}
