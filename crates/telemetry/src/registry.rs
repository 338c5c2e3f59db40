//! The counts of the process, and how they are written down.
