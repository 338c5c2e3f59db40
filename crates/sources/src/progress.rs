//! Telling how far a transfer is.

/// Somebody who is told of transfers. The methods are called often and should be quick.
pub trait Progress: Send + Sync {
    /// A transfer begins: of what, and of how many bytes if that is known.
    fn begin(&self, name: &str, total: Option<u64>) -> Box<dyn Transfer>;

    /// Another process fetches the same, and is waited for.
    fn wait(&self, name: &str);
}

/// A transfer that somebody is told of. It ends when this is dropped.
pub trait Transfer: Send {
    /// So many more bytes are there.
    fn advance(&mut self, bytes: u64);
}

/// Nobody is told.
#[derive(Debug, Clone, Copy, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn begin(&self, _: &str, _: Option<u64>) -> Box<dyn Transfer> {
        Box::new(Self)
    }

    fn wait(&self, _: &str) {}
}

impl Transfer for Quiet {
    fn advance(&mut self, _: u64) {}
}
