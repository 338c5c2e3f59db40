//! Does what its client asks for by the WASI snapshot of November 2023: mostly what differs from WASI 0.2.

use wit::exports::wasi::cli::run;
use wit::exports::wasi::http::incoming_handler;
use wit::wasi::cli::stdout;
use wit::wasi::clocks::monotonic_clock;
use wit::wasi::filesystem::preopens;
use wit::wasi::filesystem::types::{DescriptorFlags, OpenFlags, PathFlags};
use wit::wasi::http::outgoing_handler;
use wit::wasi::http::types::{
    Fields, IncomingBody, IncomingRequest, OutgoingBody, OutgoingRequest, OutgoingResponse, RequestOptions,
    ResponseOutparam, Scheme,
};
use wit::wasi::io::poll::poll;
use wit::wasi::sockets::network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress};
use wit::wasi::sockets::{instance_network, tcp_create_socket, udp_create_socket};

mod wit {
    wit_bindgen::generate!({ world: "guest", path: "wit", generate_all });
}

struct Guest;

wit::export!(Guest with_types_in wit);

impl run::Guest for Guest {
    fn run() -> Result<(), ()> {
        stdout::get_stdout()
            .blocking_write_and_flush(b"ran\n")
            .map_err(drop)
    }
}

impl incoming_handler::Guest for Guest {
    fn handle(request: IncomingRequest, outparam: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let text = match path {
            "/echo" => echo(&request),
            "/send" => send(query),
            "/read" => read(query),
            "/connect" => connect(query),
            "/sockets" => sockets(),
            "/wait" => {
                poll(&[&monotonic_clock::subscribe_duration(1_000_000)]);
                "waited".to_owned()
            }
            _ => "unknown".to_owned(),
        };
        let response = OutgoingResponse::new(Fields::new());
        response.set_status_code(203).expect("it is a status");
        let body = response.body().expect("it is the first time");
        ResponseOutparam::set(outparam, Ok(response));
        let stream = body.write().expect("it is the first time");
        let _ = stream.blocking_write_and_flush(text.as_bytes());
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}

fn body_of(incoming: IncomingBody) -> String {
    let from = incoming.stream().expect("it is the first time");
    let mut bytes = Vec::new();
    while let Ok(more) = from.blocking_read(1024) {
        bytes.extend(more);
    }
    drop(from);
    let trailers = IncomingBody::finish(incoming);
    trailers.subscribe().block();
    let told = trailers
        .get()
        .map(|trailers| trailers.map(|trailers| trailers.is_some()));
    let again = trailers.get().map(|trailers| trailers.is_err());
    format!("{} {told:?} {again:?}", String::from_utf8_lossy(&bytes))
}

fn echo(request: &IncomingRequest) -> String {
    let body = request.consume().expect("it is the first time");
    format!("{:?} {}", request.method(), body_of(body))
}

/// `GET /send?127.0.0.1:1234`.
fn send(authority: &str) -> String {
    let field = Fields::from_list(&[("no field".to_owned(), Vec::new())]).err();
    let request = OutgoingRequest::new(Fields::new());
    request.set_scheme(Some(&Scheme::Http)).expect("it is a scheme");
    if request.set_authority(Some(authority)).is_err() {
        return "no authority".to_owned();
    }
    let options = RequestOptions::new();
    let _ = options.set_first_byte_timeout_ms(Some(1_000));
    let times = (
        options.connect_timeout_ms(),
        options.first_byte_timeout_ms(),
        options.between_bytes_timeout_ms(),
    );
    let coming = match outgoing_handler::handle(request, Some(options)) {
        Ok(coming) => coming,
        Err(error) => return format!("{error:?}"),
    };
    coming.subscribe().block();
    let told = match coming.get() {
        Some(Ok(Ok(response))) => {
            let body = response.consume().expect("it is the first time");
            format!("{} {}", response.status(), body_of(body))
        }
        other => format!("{other:?}"),
    };
    format!("{field:?} {times:?} {told}")
}

fn read(name: &str) -> String {
    let Some((folder, _)) = preopens::get_directories().into_iter().next() else {
        return "no folder".to_owned();
    };
    let file = folder.open_at(
        PathFlags::empty(),
        name,
        OpenFlags::empty(),
        DescriptorFlags::READ,
    );
    match file.and_then(|file| file.read(1024, 0)) {
        Ok((bytes, _)) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) => format!("{error:?}"),
    }
}

fn connect(port: &str) -> String {
    let network = instance_network::instance_network();
    let Ok(socket) = tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4) else {
        return "no socket".to_owned();
    };
    let remote = IpSocketAddress::Ipv4(Ipv4SocketAddress {
        port: port.parse().unwrap_or(0),
        address: (127, 0, 0, 1),
    });
    if let Err(error) = socket.start_connect(&network, remote) {
        return format!("{error:?}");
    }
    socket.subscribe().block();
    format!("{:?}", socket.finish_connect().map(drop))
}

fn sockets() -> String {
    let mut told = Vec::new();
    for family in [IpAddressFamily::Ipv4, IpAddressFamily::Ipv6] {
        let tcp = tcp_create_socket::create_tcp_socket(family).expect("a socket");
        let udp = udp_create_socket::create_udp_socket(family).expect("a socket");
        told.push(format!(
            "{:?} {:?} {:?} {:?} {:?} {:?}",
            tcp.ipv6_only(),
            tcp.set_ipv6_only(true),
            tcp.set_ipv6_only(false),
            udp.ipv6_only(),
            udp.set_ipv6_only(true),
            udp.set_ipv6_only(false)
        ));
    }
    told.join("; ")
}
