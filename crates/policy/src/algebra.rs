//! Sets of destinations, and what can be done with them.
//!
//! A [`Destination`] is one point: a protocol, a host and a port. A [`Region`] is a set of them that is a product,
//! protocols × hosts × ports. An entry is a few regions; what an operator keeps out of it is a few more.
//!
//! | part | is | intersection and difference |
//! | --- | --- | --- |
//! | [`Protocols`] | TCP, UDP, and URL schemes: some, or all but some | exact, [`Protocols`] again |
//! | hosts | a [`HostPattern`](crate::HostPattern), or the IPv6 addresses that embed IPv4 addresses of a network | patterns nest or are apart |
//! | ports | a [`PortSet`](crate::PortSet) | exact, a [`PortSet`](crate::PortSet) again |
//!
//! Names and addresses never meet in here: a name covers no address, whatever it resolves to. The one exception
//! is `localhost`, whose addresses are known without asking anybody (DNS-10).

mod destination;
mod embedding;
mod protocols;
mod region;

pub use destination::{Channel, Destination};
pub use embedding::Embedding;
pub(crate) use embedding::{Certainty, samples};
pub use protocols::Protocols;
pub use region::{Hosts, Region};
