//! Patterns of `files` that no file matches: the guest starts without what it was to have.

use outport_check::{Code, Diagnostic};
use outport_manifest::SourceFile;
use outport_policy::text;
use outport_runtime::files::FileTree;

/// One for each pattern.
pub(crate) fn findings<'f>(
    files: impl IntoIterator<Item = &'f FileTree>,
    manifest: &SourceFile,
) -> impl Iterator<Item = Diagnostic> {
    let unmatched = files.into_iter().flat_map(FileTree::unmatched);
    unmatched.map(|pattern| {
        let message = format!("no file matches `{}`", text::excerpt(&pattern.value));
        let finding = Diagnostic::new(Code::NoFiles, manifest.location(&pattern.span), message);
        finding.helped_by("paths are those below the directory of the manifest")
    })
}
