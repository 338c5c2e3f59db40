//! Where guests wait until a test lets them go on, and where the test sees that they came.
//!
//! ```no_run
//! use outport_e2e::{outport::Outport, turnstile::Turnstile};
//!
//! let turnstile = Turnstile::closed();
//! let run = Outport::script_guest().allow(turnstile.entry()).args([turnstile.wait()]).start();
//! turnstile.has(1);
//! // … whatever should happen while it waits …
//! turnstile.open();
//! run.finish().expect_code(0);
//! ```

use crate::tcp::{Manner, TcpPeer};

/// A peer who says nothing, and ends the connections of those who wait when it opens.
#[derive(Debug)]
pub struct Turnstile(TcpPeer);

impl Turnstile {
    /// Nobody gets through yet.
    pub fn closed() -> Self {
        Self(TcpPeer::start(Manner::Stall))
    }

    /// The entry that permits a guest to come here.
    pub fn entry(&self) -> String {
        format!("*://{}", self.0.address())
    }

    /// Two statements of the script guest, by which it comes here and waits: `ok` and, when this opens, `eof`. They take
    /// a socket.
    pub fn wait(&self) -> String {
        format!(
            "tcp.connect {} as turnstile; tcp.recv turnstile 120000",
            self.0.address()
        )
    }

    /// Waits until so many came, in all.
    ///
    /// # Panics
    ///
    /// If they do not within [`PATIENCE`](crate::until::PATIENCE).
    #[track_caller]
    pub fn has(&self, guests: usize) {
        self.0.wait_for(guests);
    }

    /// How many came so far.
    pub fn guests(&self) -> usize {
        self.0.accepted()
    }

    /// Lets all go on.
    pub fn open(self) {
        drop(self);
    }
}
