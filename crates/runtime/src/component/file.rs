//! The bytes of a component's file: read as far as they can be those of one, and looked at before they are compiled, so
//! that what is not a component is refused with words that say what it is and what to do.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use outport_components::AdaptError;
use outport_files::regular_file;

use super::ComponentError;
use crate::cache::ContentHash;

/// Reads the component at `path`, which must have this SHA-256 where one is given, in 64 hexadecimal digits.
///
/// # Errors
///
/// When the file cannot be read, is another one, or no component.
pub(crate) fn read(path: &Path, digest: Option<&str>) -> Result<Vec<u8>, ComponentError> {
    let bytes = read_bytes(path, digest)?;
    check(path, &bytes)?;
    Ok(bytes)
}

/// The same whatever WebAssembly it is.
pub(crate) fn read_bytes(path: &Path, digest: Option<&str>) -> Result<Vec<u8>, ComponentError> {
    let file = regular_file::open(path).map_err(|source| ComponentError::unreadable(path, source))?;
    read_from(file, path, digest)
}

/// Refuses what cannot run, whatever is made of it.
pub(crate) fn check(path: &Path, bytes: &[u8]) -> Result<(), ComponentError> {
    match outport_components::identify(bytes) {
        // The compiler says best what is wrong with it.
        Ok(_) | Err(AdaptError::Invalid { .. }) => Ok(()),
        Err(reason) => Err(ComponentError::Unusable {
            path: path.into(),
            reason,
        }),
    }
}

/// The file may grow while it is read, and need not be a component: what is none is refused by its beginning.
pub(super) fn read_from(
    mut file: File,
    path: &Path,
    digest: Option<&str>,
) -> Result<Vec<u8>, ComponentError> {
    let mut bytes = Vec::new();
    let mut read = |most: u64, bytes: &mut Vec<u8>| {
        (&mut file)
            .take(most)
            .read_to_end(bytes)
            .map_err(|source| ComponentError::unreadable(path, source))
    };
    read(BEGINNING, &mut bytes)?;
    // With a digest the file is read whole first, so that a wrong one is told as that, whatever is in it.
    if digest.is_none() && !is_binary(&bytes) {
        examine(path, &bytes)?;
    }
    // One byte more than may be, to tell a file that has as much from one that has more.
    read(LARGEST - BEGINNING + 1, &mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(ComponentError::TooLarge { path: path.into() });
    }
    if !is_meant(digest, &ContentHash::of(&bytes)) {
        return Err(ComponentError::WrongDigest { path: path.into() });
    }
    examine(path, &bytes)?;
    Ok(bytes)
}

/// True if it begins as WebAssembly or as machine code does, of which the rest says more.
fn is_binary(beginning: &[u8]) -> bool {
    beginning.starts_with(b"\0asm") || beginning.starts_with(b"\x7fELF")
}

pub(super) fn is_meant(digest: Option<&str>, content: &ContentHash) -> bool {
    digest.is_none_or(|digest| digest == content.hex())
}

/// Refuses what is neither a component nor a module by its first eight bytes: magic, version, layer.
fn examine(path: &Path, bytes: &[u8]) -> Result<(), ComponentError> {
    let path = || path.to_path_buf();
    match bytes {
        [b'\0', b'a', b's', b'm', _, _, COMPONENT_LAYER, 0, ..]
        | [b'\0', b'a', b's', b'm', 1, 0, 0, 0, ..] => Ok(()),
        _ if wasmtime::Engine::detect_precompiled(bytes).is_some() => {
            Err(ComponentError::Precompiled { path: path() })
        }
        _ if is_text(bytes) => Err(ComponentError::Text { path: path() }),
        _ => Err(ComponentError::NotWebAssembly {
            path: path(),
            found: describe(bytes),
        }),
    }
}

fn is_text(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii_start();
    text.starts_with(b"(component") || text.starts_with(b"(module") || text.starts_with(b";;")
}

fn describe(bytes: &[u8]) -> String {
    match bytes {
        [] => "is empty".into(),
        [b'\0', b'a', b's', b'm', ..] => "is cut short, or of an unknown version".into(),
        [0x7f, b'E', b'L', b'F', ..] => "is a native program or library".into(),
        _ => format!("begins with `{}`", bytes[..bytes.len().min(8)].escape_ascii()),
    }
}

/// The number of bytes of a file that show that it is not a component.
const BEGINNING: u64 = 64;

/// Bytes of the largest component. Compiled it is several times as large, and all of it is in memory meanwhile.
pub(super) const LARGEST: u64 = 1 << 30;

/// The layer field of a component; a core module has 0 there.
const COMPONENT_LAYER: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_component_is_refused_by_what_it_is() {
        let cases: &[(&[u8], &str)] = &[
            (b"", "`x` is not WebAssembly: it is empty"),
            (
                b"\0asm",
                "`x` is not WebAssembly: it is cut short, or of an unknown version",
            ),
            (
                b"\0asm\x02\0\0\0",
                "`x` is not WebAssembly: it is cut short, or of an unknown version",
            ),
            (b" (module)", "`x` is WebAssembly text, not a component"),
            (b"(component)", "`x` is WebAssembly text, not a component"),
            (
                b"\x7fELF\x02\x01\x01",
                "`x` is not WebAssembly: it is a native program or library",
            ),
            (
                b"#!/bin/sh\n",
                "`x` is not WebAssembly: it begins with `#!/bin/s`",
            ),
            (b"\x1b[31m", "`x` is not WebAssembly: it begins with `\\x1b[31m`"),
        ];
        for (bytes, message) in cases {
            let error = examine(Path::new("x"), bytes).expect_err("it is not a component");
            assert_eq!(error.to_string(), *message);
        }
        examine(Path::new("x"), b"\0asm\x0d\0\x01\0").expect("an empty component");
        examine(Path::new("x"), b"\0asm\x01\0\0\0").expect("an empty module");
    }
}
