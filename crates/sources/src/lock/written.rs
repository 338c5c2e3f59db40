//! What is written in a lock file: TOML, read with the place of whatever is wrong in it.

use outport_manifest::{Digest, SourceFile};
use outport_policy::text;
use semver::{Version, VersionReq};
use serde::Deserialize;
use toml::Spanned;

use super::{Entry, LockError, Pin};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: Spanned<u32>,
    #[serde(default, rename = "package")]
    packages: Vec<WrittenPackage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPackage {
    name: Spanned<String>,
    registry: Spanned<String>,
    ranges: Vec<Spanned<String>>,
    version: Spanned<String>,
    digest: Spanned<String>,
}

pub(super) fn parse(file: &SourceFile) -> Result<Vec<Entry>, LockError> {
    let written: Written = toml::from_str(file.text()).map_err(|error| LockError::Damaged {
        reason: text::message(error.message()).to_string(),
        location: file.location(&error.span().unwrap_or(0..0)),
    })?;
    if *written.version.get_ref() != 1 {
        return Err(LockError::Newer {
            version: *written.version.get_ref(),
            location: file.location(&written.version.span()),
        });
    }
    let entry = |written: WrittenPackage| entry_of(file, written);
    written.packages.into_iter().map(entry).collect()
}

fn entry_of(file: &SourceFile, written: WrittenPackage) -> Result<Entry, LockError> {
    let damaged = |wrong: &Spanned<String>, what: &str| LockError::Damaged {
        reason: format!("`{}` {what}", text::quote(wrong.get_ref())),
        location: file.location(&wrong.span()),
    };
    let version = Version::parse(written.version.get_ref())
        .map_err(|_| damaged(&written.version, "is not a version"))?;
    let digest =
        Digest::parse(written.digest.get_ref()).map_err(|_| damaged(&written.digest, "is not a digest"))?;
    for range in &written.ranges {
        let parsed =
            VersionReq::parse(range.get_ref()).map_err(|_| damaged(range, "is not a range of versions"))?;
        if !parsed.matches(&version) {
            return Err(damaged(range, "does not hold the version that it came to"));
        }
    }
    Ok(Entry {
        name: written.name.into_inner(),
        ranges: written.ranges.into_iter().map(Spanned::into_inner).collect(),
        pin: Pin {
            registry: written.registry.into_inner(),
            version,
            digest,
        },
    })
}

/// The text of a file with these entries.
pub(super) fn written(entries: &[Entry]) -> String {
    let mut text = "# What the packages of the manifest came to. Keep it beside the manifest; `outport update` takes newer\n\
                    # versions.\nversion = 1\n"
        .to_owned();
    for entry in sorted(entries) {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let ranges: Vec<String> = entry.ranges.iter().map(|range| quoted(range)).collect();
        text += &format!(
            "\n[[package]]\nname = {}\nregistry = {}\nranges = [{}]\nversion = {}\ndigest = {}\n",
            quoted(&entry.name),
            quoted(&entry.pin.registry),
            ranges.join(", "),
            quoted(&entry.pin.version.to_string()),
            quoted(&entry.pin.digest.to_string()),
        );
    }
    text
}

/// The entries in the order in which they are written, whoever came first.
pub(super) fn sorted(entries: &[Entry]) -> Vec<Entry> {
    let mut sorted = entries.to_vec();
    sorted.iter_mut().for_each(|entry| entry.ranges.sort());
    sorted.sort_by(|a, b| {
        (&a.name, &a.pin.version, &a.pin.registry).cmp(&(&b.name, &b.pin.version, &b.pin.registry))
    });
    sorted
}

#[cfg(test)]
mod tests {
    use super::super::LockFile;

    #[test]
    fn what_is_damaged_has_its_place() {
        let whole = "version = 1\n[[package]]\nname = \"a:b\"\nregistry = \"r\"\nranges = [\"^1.0\"]\n\
                     version = \"1.0.0\"\n";
        let digest = format!("digest = \"sha256:{}\"\n", "ab".repeat(32));
        let rows = [
            ("version = 2\n".to_owned(), ":1:11"),
            ("version = 1\n[[package\n".to_owned(), ":2:"),
            (whole.to_owned(), ":2:1"),
            (format!("{whole}digest = \"sha256:../x\"\n"), ":7:10"),
            (
                format!("{}{digest}", whole.replace("\"1.0.0\"", "\"1\"")),
                ":6:11",
            ),
            (format!("{}{digest}", whole.replace("1.0.0", "2.0.0")), ":5:11"),
            (format!("{whole}{digest}other = 1\n"), ":8:1"),
        ];
        for (text, place) in rows {
            let directory = tempfile::tempdir().unwrap();
            std::fs::write(directory.path().join("outport.lock"), &text).unwrap();
            let error = LockFile::beside(&directory.path().join("spin.toml")).unwrap_err();
            let location = error.location().unwrap().to_string();
            assert!(location.contains(place), "{text}\n{location}: {error}");
        }
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("outport.lock"), whole.to_owned() + &digest).unwrap();
        assert!(LockFile::beside(&directory.path().join("spin.toml")).is_ok());
    }
}
