//! Placeholder crate docs.
mod address;
mod entry;
mod entry_error;
mod host_pattern;
mod name;
mod place;
mod ports;
mod scheme;

pub use address::{Address, Endpoint};
pub use entry::{Entry, EntryPorts, EntryScheme, PortSpec};
pub use entry_error::{EntryError, EntryProblem};
pub use host_pattern::HostPattern;
pub use name::{Host, Name, NameError};
pub use place::Place;
pub use ports::{PortRange, PortSet, PortsError};
pub use scheme::{Protocol, Scheme, Transport};
