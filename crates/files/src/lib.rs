//! Opening what lies on the disk of an operator: files that somebody names ([`regular_file`]), and directories that are this
//! user's own ([`private_directory`]).
//!
//! What a name leads to may be another thing in the next moment, so what counts is examined by the open handle. Nothing here
//! waits for the other end of a pipe. What is in a file is not looked at.

pub mod private_directory;
pub mod regular_file;
