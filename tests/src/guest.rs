//! Where the components are that tests run.

use std::path::{Path, PathBuf};

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

/// The root of the workspace.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are a folder of the workspace")
}
