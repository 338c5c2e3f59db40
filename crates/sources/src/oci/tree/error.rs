//! The reasons why files from elsewhere are not written.

use std::io;

use super::{MOST_BYTES, MOST_ENTRIES, MOST_NAMES, MOST_RATIO};

/// The reason why files cannot be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TreeError {
    /// A name that is not one below a directory.
    #[error("it has a file with the name `{name}`, which {why}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A link out of the tree, or from link to link without end.
    #[error("it has a link `{name}` to `{target}`, which leads out of it or nowhere")]
    Link {
        /// The name of the link.
        name: String,
        /// What it leads to.
        target: String,
    },
    /// A device, a pipe, a socket, a sparse file.
    #[error("it has `{name}`, which is neither a file nor a directory nor a link")]
    Special {
        /// Its name.
        name: String,
    },
    /// One name for a file and for a directory, or for two files.
    #[error("it has two different things with the name `{name}`")]
    Twice {
        /// The name.
        name: String,
    },
    /// More files, links and directories than an app has.
    #[error("it has more than {MOST_ENTRIES} files and directories, or {} MiB of names", MOST_NAMES >> 20)]
    ManyEntries,
    /// More bytes than an app has.
    #[error("its files have more than {} GiB", MOST_BYTES >> 30)]
    ManyBytes,
    /// More bytes than so few can honestly stand for.
    #[error("it unpacks to more than {MOST_RATIO} times its size")]
    Bomb,
    /// The disk, or what is read.
    #[error("its files cannot be written: {0}")]
    Io(#[from] io::Error),
}
