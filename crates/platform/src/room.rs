//! The memory that the result of a statement may take.

/// Bytes of one result: 128 MiB.
pub(crate) const MOST_IN_A_RESULT: usize = 128 << 20;

/// How much may still be taken, in bytes. What a guest gets may be many times larger than what was sent: a null, or a
/// number with a long row of zeros.
pub(crate) struct Room(usize);

/// There is less than is wanted.
#[derive(Debug)]
pub(crate) struct NoRoom;

impl Room {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(bytes)
    }

    /// Takes so much of it.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), NoRoom> {
        self.0 = self.0.checked_sub(bytes).ok_or(NoRoom)?;
        Ok(())
    }
}
