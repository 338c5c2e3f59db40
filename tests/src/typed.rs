//! Components that are built by commands, as somebody types them who reads a page of the documentation.
//!
//! ```text
//! files + commands ──sh, in a folder of their own──► app.wasm
//! ```
//!
//! A build fetches packages and takes the better part of a minute, so that the folder is kept in the target folder, with
//! the hash of what went in.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use sha2::{Digest, Sha256};

use crate::outport::shared_folder;

/// What was built, and where.
#[derive(Debug)]
pub struct Built {
    /// The folder that the commands were typed in, with the packages that they fetched.
    pub folder: PathBuf,
    /// The component.
    pub component: PathBuf,
}

/// What the commands make of the files, which are a path in the folder and a content each: `app.wasm`. Built if need be.
///
/// # Panics
///
/// If a command fails.
pub fn built(name: &str, files: &[(String, String)], commands: &[String]) -> Built {
    let folder = shared_folder().join("typed").join(name);
    fs::create_dir_all(&folder).expect("the target folder can be written to");
    let lock = File::create(folder.with_extension("lock")).expect("a file in a folder of our own");
    lock.lock().expect("a file of our own can be locked");

    let (went_in, hash) = (folder.join("went-in"), hash(files, commands));
    if !fs::read_to_string(&went_in).is_ok_and(|there| there == hash) {
        fs::remove_dir_all(&folder).expect("a folder of our own");
        for (path, content) in files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().expect("a file is in a folder")).expect("a folder of our own");
            fs::write(path, content).expect("a file in a folder of our own");
        }
        for command in commands {
            let mut shell = Command::new("sh");
            let output = shell
                .args(["-c", command])
                .current_dir(&folder)
                .output()
                .expect("a shell is there");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{command}: {said}");
        }
        fs::write(went_in, hash).expect("a file in a folder of our own");
    }
    let component = folder.join("app.wasm");
    Built { folder, component }
}

fn hash(files: &[(String, String)], commands: &[String]) -> String {
    let mut hash = Sha256::new();
    let files = files.iter().flat_map(|(path, content)| [path, content]);
    for part in files.chain(commands) {
        hash.update(part.len().to_le_bytes());
        hash.update(part);
    }
    hash.finalize()
        .iter()
        .take(12)
        .fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}
