//! Where a file comes from that cannot run, by what it wants: so that its author is told what to rebuild it with.

use crate::AdaptError;

/// Refuses versions of WASI whose functions differ from all that are provided.
pub(crate) fn check_versions<'n>(names: impl Iterator<Item = &'n str>) -> Result<(), AdaptError> {
    for name in names {
        let Some((interface, version)) = name.strip_prefix("wasi:").and_then(|name| name.split_once('@'))
        else {
            continue;
        };
        // Others have candidates of their own, which trap when they are called.
        if !PACKAGES.contains(&interface.split('/').next().unwrap_or_default()) {
            continue;
        }
        let advice = match version {
            "0.3.0-rc-2025-09-16" | "0.3.0-rc-2026-01-06" => {
                "rebuild with spin-sdk 6 or newer, or another SDK of WASI 0.2 or 0.3.0; it is what spin-sdk 5 for Rust made \
                 behind `wasip3-unstable`"
            }
            _ if PROVIDED.contains(&version) => continue,
            _ if version.starts_with("0.2.0-rc-") => "rebuild with an SDK of WASI 0.2.0 or newer",
            _ if version.starts_with("0.3.0-rc-") => "rebuild with an SDK of WASI 0.2 or 0.3.0",
            _ => continue,
        };
        return Err(AdaptError::Candidate {
            name: name.to_owned(),
            advice,
        });
    }
    Ok(())
}

/// Refuses a module that imports any of these.
pub(crate) fn check_imports<'n>(imports: impl Iterator<Item = (&'n str, &'n str)>) -> Result<(), AdaptError> {
    let imports: Vec<_> = imports.collect();
    let any = |is: &dyn Fn(&str, &str) -> bool| imports.iter().find(|(module, name)| is(module, name));
    if any(&|module, _| matches!(module, "gojs" | "go")).is_some() {
        return Err(AdaptError::JavaScript {
            by: "Go, for `GOOS=js`",
            advice: "build with `GOOS=wasip1 GOARCH=wasm`",
        });
    }
    let is_bindgen = |module: &str| module == "wbg" || module.starts_with("__wbindgen");
    if any(&|module, name| {
        is_bindgen(module) || name.starts_with("__wbg_") || name.starts_with("__wbindgen_")
    })
    .is_some()
    {
        return Err(AdaptError::JavaScript {
            by: "Rust, with wasm-bindgen",
            advice: "build for `--target wasm32-wasip2`, without crates that want a browser",
        });
    }
    let is_emscripten = |name: &str| {
        let begins = [
            "emscripten_",
            "_emscripten_",
            "__emscripten",
            "__syscall_",
            "invoke_",
            "_embind_",
        ];
        begins.iter().any(|begin| name.starts_with(begin)) || name == "_abort_js"
    };
    if any(&|module, name| module == "env" && is_emscripten(name)).is_some() {
        return Err(AdaptError::JavaScript {
            by: "Emscripten",
            advice: "build with wasi-sdk, or with `-sSTANDALONE_WASM` if the program wants nothing but files and output",
        });
    }
    if any(&|module, _| module == "wasi_unstable").is_some() {
        return Err(AdaptError::Preview0);
    }
    match imports.first() {
        Some((module, name)) => Err(AdaptError::UnknownImport {
            module: (*module).to_owned(),
            name: (*name).to_owned(),
        }),
        None => Ok(()),
    }
}

/// Refuses what was linked with a wasi-libc whose `malloc` takes memory that the adapter was given.
///
/// It was mended in the wasi-sdk before the one whose clang is 15.0.7 (WebAssembly/wasi-libc#377), and the version of clang
/// is all that a module tells. A version that cannot be read is no reason.
pub(crate) fn check_clang(version: Option<&str>) -> Result<(), AdaptError> {
    let Some(version) = version else { return Ok(()) };
    let number = version.split(' ').next().unwrap_or_default();
    let mut parts = number.split('.').map(|part| part.parse::<u32>().ok());
    let (Some(Some(major)), Some(Some(minor)), Some(Some(patch))) =
        (parts.next(), parts.next(), parts.next())
    else {
        return Ok(());
    };
    if (major, minor, patch) >= (15, 0, 7) {
        return Ok(());
    }
    Err(AdaptError::OldClang {
        version: number.to_owned(),
    })
}

/// The packages that make WASI 0.2 and 0.3.
const PACKAGES: [&str; 7] = ["cli", "clocks", "filesystem", "http", "io", "random", "sockets"];

/// The candidates that are mapped or served.
const PROVIDED: [&str; 3] = [
    "0.2.0-rc-2023-10-18",
    "0.2.0-rc-2023-11-10",
    "0.3.0-rc-2026-03-15",
];
