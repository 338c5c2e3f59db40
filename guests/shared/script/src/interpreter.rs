//! Performs actions on a [`World`] and keeps what they made.

use std::collections::HashMap;
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::Duration;

use crate::action::{Action, Show, SocketRef};
use crate::text::escape;
use crate::world::{
    Code, Datagram, Family, HttpAnswer, HttpRequest, Lookup, Received, TcpSocket, UdpSocket, World,
};

/// Performs actions, one after the other, and keeps sockets and look-ups by name between them.
pub struct Interpreter<W: World> {
    pub(crate) world: W,
    tcp: HashMap<String, W::Tcp>,
    udp: HashMap<String, W::Udp>,
    lookups: HashMap<String, W::Lookup>,
    allocations: Vec<Vec<u8>>,
}

/// The most bytes that are sent or received at once.
pub(crate) const CHUNK: usize = 64 * 1024;

/// The result of a statement as text: what it got, or the code or remark that it got instead.
pub(crate) type Outcome = Result<String, String>;

impl<W: World> Interpreter<W> {
    /// An interpreter that has nothing yet.
    pub fn new(world: W) -> Self {
        Self {
            world,
            tcp: HashMap::new(),
            udp: HashMap::new(),
            lookups: HashMap::new(),
            allocations: Vec::new(),
        }
    }

    /// Performs an action and tells its result in one line.
    pub async fn perform(&mut self, action: &Action) -> String {
        self.outcome(action).await.unwrap_or_else(|remark| remark)
    }

    async fn outcome(&mut self, action: &Action) -> Outcome {
        match action {
            Action::TcpCreate(family, which) => {
                let socket = self.take_tcp(*family, which)?;
                self.put_tcp(socket, which, Ok(()))
            }
            Action::TcpBind(local, which) => {
                let mut socket = self.take_tcp(Family::of(*local), which)?;
                let result = socket.bind(*local).await;
                self.put_tcp(socket, which, result)
            }
            Action::TcpConnect(remote, which) => {
                let mut socket = self.take_tcp(Family::of(*remote), which)?;
                let result = socket.connect(*remote).await;
                self.put_tcp(socket, which, result)
            }
            Action::TcpListen(family, which) => {
                let mut socket = self.take_tcp(*family, which)?;
                let result = socket.listen().await;
                self.put_tcp(socket, which, result)
            }
            Action::TcpAccept(listener, name) => {
                let accepted = self.tcp(listener)?.accept().await.map_err(text)?;
                self.put_tcp(accepted, &SocketRef::Fresh(name.clone()), Ok(()))
            }
            Action::TcpSend(name, bytes) => done(self.tcp(name)?.send(bytes).await),
            Action::TcpReceive(name, within) => self.receive(name, *within).await,
            Action::TcpShutdown(name, direction) => done(self.tcp(name)?.shutdown(*direction).await),
            Action::TcpPing(name, rounds) => self.ping(name, *rounds).await,
            Action::TcpUpload(name, bytes) => self.upload(name, *bytes).await,
            Action::TcpDownload(name) => self.download(name).await,
            Action::Local(name) => self.local(name),
            Action::Remote(name) => address_text(self.tcp(name)?.remote()),
            Action::UdpCreate(family, which) => {
                let socket = self.take_udp(*family, which)?;
                self.put_udp(socket, which, Ok(()))
            }
            Action::UdpBind(local, which) => {
                let mut socket = self.take_udp(Family::of(*local), which)?;
                let result = socket.bind(*local).await;
                self.put_udp(socket, which, result)
            }
            Action::UdpConnect(remote, which) => {
                let mut socket = self.take_udp(Family::of(*remote), which)?;
                let result = socket.connect(*remote).await;
                self.put_udp(socket, which, result)
            }
            Action::UdpSend(name, to, data) => done(self.udp(name)?.send(data, *to).await),
            Action::UdpReceive(name, within) => {
                datagrams(&self.udp(name)?.receive(*within).await.map_err(text)?)
            }
            Action::UdpPing(name, rounds) => self.ping_by_datagrams(name, *rounds).await,
            Action::UdpCollect(name, time) => self.collect(name, *time).await,
            Action::Lookup(name) => {
                let mut lookup = self.world.start_lookup(name).await.map_err(text)?;
                addresses(&mut lookup).await
            }
            Action::LookupStart(name, kept) => {
                let lookup = self.world.start_lookup(name).await.map_err(text)?;
                self.lookups.insert(kept.clone(), lookup);
                Ok("started".to_owned())
            }
            Action::LookupNext(name) => match self.lookup(name)?.next().await.map_err(text)? {
                Some(address) => Ok(address.to_string()),
                None => Ok("no more".to_owned()),
            },
            Action::LookupRead(name) => addresses(self.lookup(name)?).await,
            Action::Drop(name) => self.drop(name),
            Action::Http(request, show) => self.http(request, *show).await,
            Action::FileRead(path) => {
                let content = self.world.read_file(path).await.map_err(text)?;
                Ok(escape(&content))
            }
            Action::FileWrite(path, content) => done(self.world.write_file(path, content).await),
            Action::Wait(time) => {
                self.world.sleep(*time).await;
                ok()
            }
            Action::Spin(time) => {
                let end = self.world.now() + *time;
                while self.world.now() < end {
                    (0..10_000_u32).for_each(|n| _ = black_box(n));
                }
                ok()
            }
            Action::Allocate(bytes) => self.allocate(*bytes),
            Action::Environment(name) => self.environment(name.as_deref()),
            Action::Arguments => Ok(escape(self.world.arguments().join(" ").as_bytes())),
            Action::Print(text) => Ok(text.clone()),
            Action::Trap => trap(),
            Action::Exit(code) => self.world.exit(*code),
            Action::Timed(action) => Ok(self.timed(action).await),
            Action::Repeat(actions) => Ok(self.repeat(actions).await),
            Action::Median(actions) => Ok(self.median(actions).await),
        }
    }

    fn take_tcp(&mut self, family: Family, which: &SocketRef) -> Result<W::Tcp, String> {
        match which {
            SocketRef::Fresh(_) => self.world.create_tcp(family).map_err(text),
            SocketRef::Kept(name) => self.tcp.remove(name).ok_or_else(|| nothing(name)),
        }
    }

    fn put_tcp(&mut self, socket: W::Tcp, which: &SocketRef, result: Result<(), Code>) -> Outcome {
        if let Some(name) = kept_as(which, &result) {
            self.tcp.insert(name, socket);
        }
        done(result)
    }

    fn take_udp(&mut self, family: Family, which: &SocketRef) -> Result<W::Udp, String> {
        match which {
            SocketRef::Fresh(_) => self.world.create_udp(family).map_err(text),
            SocketRef::Kept(name) => self.udp.remove(name).ok_or_else(|| nothing(name)),
        }
    }

    fn put_udp(&mut self, socket: W::Udp, which: &SocketRef, result: Result<(), Code>) -> Outcome {
        if let Some(name) = kept_as(which, &result) {
            self.udp.insert(name, socket);
        }
        done(result)
    }

    pub(crate) fn tcp(&mut self, name: &str) -> Result<&mut W::Tcp, String> {
        self.tcp.get_mut(name).ok_or_else(|| nothing(name))
    }

    pub(crate) fn udp(&mut self, name: &str) -> Result<&mut W::Udp, String> {
        self.udp.get_mut(name).ok_or_else(|| nothing(name))
    }

    fn lookup(&mut self, name: &str) -> Result<&mut W::Lookup, String> {
        self.lookups.get_mut(name).ok_or_else(|| nothing(name))
    }

    fn local(&self, name: &str) -> Outcome {
        let tcp = self.tcp.get(name).map(TcpSocket::local);
        tcp.or_else(|| self.udp.get(name).map(UdpSocket::local))
            .ok_or_else(|| nothing(name))
            .and_then(address_text)
    }

    fn drop(&mut self, name: &str) -> Outcome {
        let dropped = [
            self.tcp.remove(name).is_some(),
            self.udp.remove(name).is_some(),
            self.lookups.remove(name).is_some(),
        ];
        if dropped.contains(&true) {
            ok()
        } else {
            Err(nothing(name))
        }
    }

    async fn receive(&mut self, name: &str, within: Duration) -> Outcome {
        match self.tcp(name)?.receive(CHUNK, Some(within)).await.map_err(text)? {
            Received::Bytes(bytes) => Ok(escape(&bytes)),
            Received::End => Ok("eof".to_owned()),
            Received::Timeout => Err("timeout".to_owned()),
        }
    }

    async fn collect(&mut self, name: &str, time: Duration) -> Outcome {
        let end = self.world.now() + time;
        let mut all = Vec::new();
        while let Some(left) = end.checked_sub(self.world.now()).filter(|left| !left.is_zero()) {
            all.extend(self.udp(name)?.receive(left).await.map_err(text)?);
        }
        datagrams(&all)
    }

    async fn http(&mut self, request: &HttpRequest, show: Show) -> Outcome {
        let HttpAnswer {
            status,
            start,
            length,
        } = self.world.fetch(request).await.map_err(text)?;
        Ok(match show {
            Show::Status => status.to_string(),
            Show::Text => format!("{status} {}", escape(&start)),
            Show::Length => format!("{status} {length} bytes"),
        })
    }

    fn allocate(&mut self, bytes: usize) -> Outcome {
        let mut allocation = Vec::new();
        allocation
            .try_reserve_exact(bytes)
            .map_err(|_| "out-of-memory".to_owned())?;
        allocation.resize(bytes, 1);
        self.allocations.push(allocation);
        ok()
    }

    fn environment(&self, name: Option<&str>) -> Outcome {
        let variables = self.world.environment();
        match name {
            None => {
                let all: Vec<_> = variables
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                Ok(escape(all.join(" ").as_bytes()))
            }
            Some(name) => match variables.iter().find(|(other, _)| other == name) {
                Some((_, value)) => Ok(escape(value.as_bytes())),
                None => Err("unset".to_owned()),
            },
        }
    }
}

/// The name to keep a socket by: a fresh one only if its statement succeeded, an older one in any case.
fn kept_as(which: &SocketRef, result: &Result<(), Code>) -> Option<String> {
    match which {
        SocketRef::Fresh(name) if result.is_ok() => name.clone(),
        SocketRef::Fresh(_) => None,
        SocketRef::Kept(name) => Some(name.clone()),
    }
}

async fn addresses(lookup: &mut impl Lookup) -> Outcome {
    let mut addresses = Vec::new();
    while let Some(address) = lookup.next().await.map_err(text)? {
        addresses.push(address.to_string());
    }
    if addresses.is_empty() {
        Err("no more".to_owned())
    } else {
        Ok(addresses.join(","))
    }
}

/// `TEXT from ADDRESS` of each, comma separated, or `timeout` if there is none.
fn datagrams(datagrams: &[Datagram]) -> Outcome {
    if datagrams.is_empty() {
        return Err("timeout".to_owned());
    }
    let lines: Vec<_> = datagrams
        .iter()
        .map(|d| format!("{} from {}", escape(&d.data), d.from))
        .collect();
    Ok(lines.join(", "))
}

fn ok() -> Outcome {
    Ok("ok".to_owned())
}

fn done(result: Result<(), Code>) -> Outcome {
    result.map_err(text).and_then(|()| ok())
}

fn address_text(result: Result<SocketAddr, Code>) -> Outcome {
    result.map(|address| address.to_string()).map_err(text)
}

pub(crate) fn text(code: Code) -> String {
    code.to_string()
}

fn nothing(name: &str) -> String {
    format!("no `{name}`")
}

fn trap() -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    panic!("only a guest can trap");
}
