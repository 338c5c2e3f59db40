//! Real guests behind the gate: the script player on WASI 0.2 and on WASI 0.3, from the same tables.

mod http;
mod player;
mod servers;
mod sockets;
mod world;
