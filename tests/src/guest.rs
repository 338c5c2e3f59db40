//! Where the components are that tests run.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

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

/// The SHA-256 of a component, in the 64 digits that a manifest writes behind `sha256:`.
pub fn sha256(code: &[u8]) -> String {
    let digest = Sha256::digest(code);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are a folder of the workspace")
}
