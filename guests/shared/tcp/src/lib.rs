//! Blocking TCP and look-ups over `wasi:sockets` 0.2.
//!
//! A guest built for the target `wasm32-wasip2` has `std::net` for this, which makes the same calls. Here
//! they are in the open, for two reasons: the error codes stay those of WASI (`std::io::ErrorKind` has fewer),
//! and the reader sees what the host is asked, step by step:
//!
//! 1. [`lookup`] asks `ip-name-lookup` for the addresses of a name;
//! 2. [`Connection::open`] creates a socket of the address's family, starts to connect, and waits;
//! 3. a [`Connection`] is an [`io::Read`] and an [`io::Write`].

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use wasip2::io::streams::{InputStream, OutputStream};
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress,
};
use wasip2::sockets::tcp::TcpSocket;
use wasip2::sockets::tcp_create_socket::create_tcp_socket;

/// The addresses of a name, in the order in which the host gives them. A literal address answers itself.
///
/// # Errors
///
/// The code of `resolve-addresses`: `access-denied` where the policy does not permit the name.
pub fn lookup(name: &str) -> Result<Vec<IpAddr>, ErrorCode> {
    let answers = resolve_addresses(&instance_network(), name)?;
    let ready = answers.subscribe();
    let mut addresses = Vec::new();
    loop {
        match answers.resolve_next_address() {
            Ok(Some(address)) => addresses.push(ip_addr(address)),
            Ok(None) => return Ok(addresses),
            Err(ErrorCode::WouldBlock) => ready.block(),
            Err(code) => return Err(code),
        }
    }
}

/// An open TCP connection. Dropping it closes it.
pub struct Connection {
    // The streams are children of the socket, so they go first: fields drop in the order of declaration.
    input: InputStream,
    output: OutputStream,
    _socket: TcpSocket,
}

impl Connection {
    /// Connects and waits until that is done.
    ///
    /// # Errors
    ///
    /// The code of `create-tcp-socket`, `start-connect` or `finish-connect`: `access-denied` where the policy
    /// does not permit the destination, `connection-refused` where nobody listens.
    pub fn open(remote: SocketAddr) -> Result<Self, ErrorCode> {
        let family = if remote.is_ipv4() {
            IpAddressFamily::Ipv4
        } else {
            IpAddressFamily::Ipv6
        };
        let socket = create_tcp_socket(family)?;
        socket.start_connect(&instance_network(), ip_socket_address(remote))?;
        let ready = socket.subscribe();
        loop {
            match socket.finish_connect() {
                Ok((input, output)) => {
                    drop(ready);
                    return Ok(Self {
                        input,
                        output,
                        _socket: socket,
                    });
                }
                Err(ErrorCode::WouldBlock) => ready.block(),
                Err(code) => return Err(code),
            }
        }
    }
}

impl io::Read for Connection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        io::Read::read(&mut self.input, buffer)
    }
}

impl io::Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut self.output, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::Write::flush(&mut self.output)
    }
}

fn ip_socket_address(address: SocketAddr) -> IpSocketAddress {
    match address {
        SocketAddr::V4(v4) => {
            let [a, b, c, d] = v4.ip().octets();
            IpSocketAddress::Ipv4(Ipv4SocketAddress {
                port: v4.port(),
                address: (a, b, c, d),
            })
        }
        SocketAddr::V6(v6) => {
            let [a, b, c, d, e, f, g, h] = v6.ip().segments();
            IpSocketAddress::Ipv6(Ipv6SocketAddress {
                port: v6.port(),
                flow_info: v6.flowinfo(),
                address: (a, b, c, d, e, f, g, h),
                scope_id: v6.scope_id(),
            })
        }
    }
}

fn ip_addr(address: IpAddress) -> IpAddr {
    match address {
        IpAddress::Ipv4((a, b, c, d)) => Ipv4Addr::new(a, b, c, d).into(),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => Ipv6Addr::new(a, b, c, d, e, f, g, h).into(),
    }
}
