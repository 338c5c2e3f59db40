//! Does what its client asks for by the WASI snapshot of October 2023, as Spin's Rust SDK 2 does behind its back: the
//! path says what, the query with what.

use wit::exports::outport::callee::interpreter;
use wit::exports::wasi::cli::run;
use wit::exports::wasi::http::incoming_handler;
use wit::wasi::cli::{environment, stdout};
use wit::wasi::clocks::{monotonic_clock, wall_clock};
use wit::wasi::filesystem::types::{
    AccessType, Descriptor, DescriptorFlags, ErrorCode, Modes, OpenFlags, PathFlags,
};
use wit::wasi::filesystem::{preopens, types as files};
use wit::wasi::http::outgoing_handler;
use wit::wasi::http::types::{
    Error, Fields, IncomingBody, IncomingRequest, IncomingResponse, Method, OutgoingBody, OutgoingRequest,
    OutgoingResponse, RequestOptions, ResponseOutparam, Scheme,
};
use wit::wasi::io::poll::{poll_list, poll_one};
use wit::wasi::io::streams::{InputStream, OutputStream, StreamError};
use wit::wasi::random::random;
use wit::wasi::sockets::network::IpAddressFamily;
use wit::wasi::sockets::{instance_network, ip_name_lookup, tcp_create_socket, udp_create_socket};

mod wit {
    wit_bindgen::generate!({ world: "guest", path: "wit", generate_all, sync: true });
}

struct Guest;

wit::export!(Guest with_types_in wit);

impl run::Guest for Guest {
    fn run() -> Result<(), ()> {
        let told = environment::get_arguments().join(" ");
        let out = stdout::get_stdout();
        out.blocking_write_and_flush(format!("ran with {told}\n").as_bytes())
            .map_err(drop)
    }
}

impl incoming_handler::Guest for Guest {
    fn handle(request: IncomingRequest, outparam: ResponseOutparam) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        match path {
            "/echo" => echo(&request, outparam),
            "/forward" => forward(&request, outparam),
            "/send" => send(query, outparam),
            "/endless" => endless(outparam),
            "/unfinished" => unfinished(outparam),
            "/error" => ResponseOutparam::set(outparam, Err(Error::UnexpectedError(query.to_owned()))),
            "/bad-field" => drop(Fields::new(&[("no field".to_owned(), Vec::new())])),
            _ => {
                let text = match path {
                    "/read" => read(query),
                    "/list" => list(query),
                    "/open" => open_many(query),
                    "/files" => of_files(query),
                    "/sockets" => sockets(),
                    "/wait" => wait(),
                    _ => "unknown".to_owned(),
                };
                respond(outparam, 200, text.as_bytes());
            }
        }
    }
}

/// As a dependency it does the same for the component that calls it.
impl interpreter::Guest for Guest {
    fn perform(script: String) -> String {
        let (what, with) = script.split_once(' ').unwrap_or((&script, ""));
        let told = match what {
            "send" => sent(with).map_or_else(|error| error, |response| response.status().to_string()),
            "sockets" => sockets(),
            "read" => read(with),
            "environment" => format!(
                "{:?} {:?}",
                environment::get_environment(),
                environment::get_arguments()
            ),
            _ => "unknown".to_owned(),
        };
        format!("1 {script} => {told}\n")
    }
}

/// Begins a response whose body has the headers `headers`.
fn begin(outparam: ResponseOutparam, status: u16, headers: &[(&str, &str)]) -> OutgoingBody {
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect();
    let response = OutgoingResponse::new(status, &Fields::new(&headers));
    let body = response.write().expect("it is the first time");
    ResponseOutparam::set(outparam, Ok(response));
    body
}

fn respond(outparam: ResponseOutparam, status: u16, bytes: &[u8]) {
    let body = begin(outparam, status, &[("content-type", "text/plain")]);
    let stream = body.write().expect("it is the first time");
    // That nobody reads on is the client's choice.
    let _ = write(&stream, bytes);
    drop(stream);
    OutgoingBody::finish(body, None);
}

fn write(stream: &OutputStream, mut bytes: &[u8]) -> Result<(), StreamError> {
    let ready = stream.subscribe();
    while !bytes.is_empty() {
        poll_one(&ready);
        let room = usize::try_from(stream.check_write()?).unwrap_or(usize::MAX);
        let (now, rest) = bytes.split_at(room.min(bytes.len()));
        stream.write(now)?;
        bytes = rest;
    }
    stream.flush()?;
    poll_one(&ready);
    stream.check_write().map(drop)
}

/// Method, target and headers, then the body as it comes.
fn echo(request: &IncomingRequest, outparam: ResponseOutparam) {
    let body = begin(outparam, 201, &[("x-first", "1"), ("x-second", "2")]);
    let to = body.write().expect("it is the first time");
    let mut head = format!(
        "{:?} {} {:?} {}\n",
        request.method(),
        request.path_with_query().unwrap_or_default(),
        request.scheme(),
        request.authority().unwrap_or_default()
    );
    for (name, value) in request.headers().entries() {
        head.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(&value)));
    }
    if write(&to, head.as_bytes()).is_err() {
        return;
    }
    let incoming = request.consume().expect("it is the first time");
    let from = incoming.stream().expect("it is the first time");
    while let Ok(bytes) = from.blocking_read(16 * 1024) {
        if write(&to, &bytes).is_err() {
            return;
        }
    }
    drop(from);
    let trailers = IncomingBody::finish(incoming);
    poll_one(&trailers.subscribe());
    let told = match trailers.get() {
        None => "late".to_owned(),
        Some(Ok(fields)) => format!("{} trailers", fields.entries().len()),
        Some(Err(error)) => format!("{error:?}"),
    };
    let again = trailers.get().map(|again| again.is_ok());
    let _ = write(&to, format!("\n{told}, again {again:?}").as_bytes());
    drop(to);
    OutgoingBody::finish(body, None);
}

fn forward(request: &IncomingRequest, outparam: ResponseOutparam) {
    let body = begin(outparam, 200, &[]);
    let to = body.write().expect("it is the first time");
    let incoming = request.consume().expect("it is the first time");
    let from = incoming.stream().expect("it is the first time");
    let told = match to.forward(from) {
        Ok(length) => format!("\nforwarded {length}"),
        Err(error) => format!("\n{error:?}"),
    };
    let _ = write(&to, told.as_bytes());
    drop(to);
    OutgoingBody::finish(body, None);
}

/// `GET /send?http://127.0.0.1:1234/path`, or a path alone.
fn send(url: &str, outparam: ResponseOutparam) {
    let response = match sent(url) {
        Ok(response) => response,
        Err(error) => return respond(outparam, 502, error.as_bytes()),
    };
    let incoming = response.consume().expect("it is the first time");
    let from = incoming.stream().expect("it is the first time");
    let back = begin(outparam, response.status(), &[]);
    let to = back.write().expect("it is the first time");
    while let Ok(bytes) = from.blocking_read(16 * 1024) {
        if write(&to, &bytes).is_err() {
            return;
        }
    }
    drop(to);
    OutgoingBody::finish(back, None);
}

fn sent(url: &str) -> Result<IncomingResponse, String> {
    let (scheme, authority, path) = match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            let scheme = match scheme {
                "http" => Scheme::Http,
                "https" => Scheme::Https,
                other => Scheme::Other(other.to_owned()),
            };
            (Some(scheme), Some(authority), path)
        }
        None => (None, None, url),
    };
    let headers = Fields::new(&[("x-from".to_owned(), b"the guest".to_vec())]);
    let path = (!path.is_empty()).then_some(path);
    let request = OutgoingRequest::new(&Method::Post, path, scheme.as_ref(), authority, &headers);
    let body = request.write().expect("it is the first time");
    let options = RequestOptions {
        connect_timeout_ms: Some(5_000),
        first_byte_timeout_ms: Some(1_000),
        between_bytes_timeout_ms: None,
    };
    let coming = outgoing_handler::handle(request, Some(options)).map_err(|error| format!("{error:?}"))?;
    let stream = body.write().expect("it is the first time");
    let _ = write(&stream, b"sent by the guest");
    drop(stream);
    OutgoingBody::finish(body, None);
    poll_list(&[&coming.subscribe()]);
    match coming.get() {
        Some(Ok(Ok(response))) => Ok(response),
        Some(Ok(Err(error))) => Err(format!("{error:?}")),
        other => Err(format!("{other:?}")),
    }
}

fn endless(outparam: ResponseOutparam) {
    let body = begin(outparam, 200, &[]);
    let to = body.write().expect("it is the first time");
    while write(&to, &[b'x'; 64 * 1024]).is_ok() {}
}

fn unfinished(outparam: ResponseOutparam) {
    let body = begin(outparam, 200, &[]);
    let to = body.write().expect("it is the first time");
    let _ = write(&to, b"half of it");
}

fn folder() -> Option<Descriptor> {
    preopens::get_directories()
        .into_iter()
        .next()
        .map(|(folder, _)| folder)
}

fn open(
    folder: &Descriptor,
    name: &str,
    how: OpenFlags,
    rights: DescriptorFlags,
) -> Result<Descriptor, ErrorCode> {
    folder.open_at(PathFlags::empty(), name, how, rights, Modes::READABLE)
}

fn read(name: &str) -> String {
    let Some(folder) = folder() else {
        return "no folder".to_owned();
    };
    let file = match open(&folder, name, OpenFlags::empty(), DescriptorFlags::READ) {
        Ok(file) => file,
        Err(error) => return format!("{error:?}"),
    };
    let stream: InputStream = match file.read_via_stream(0) {
        Ok(stream) => stream,
        Err(error) => return format!("{error:?}"),
    };
    let mut text = Vec::new();
    loop {
        match stream.blocking_read(1024) {
            Ok(bytes) => text.extend(bytes),
            Err(StreamError::Closed) => return String::from_utf8_lossy(&text).into_owned(),
            Err(StreamError::LastOperationFailed(error)) => {
                let code = files::filesystem_error_code(&error);
                return format!("{code:?} {}", error.to_debug_string());
            }
        }
    }
}

fn list(name: &str) -> String {
    let Some(folder) = folder() else {
        return "no folder".to_owned();
    };
    let listed = open(&folder, name, OpenFlags::DIRECTORY, DescriptorFlags::READ)
        .and_then(|directory| directory.read_directory());
    let entries = match listed {
        Ok(entries) => entries,
        Err(error) => return format!("{error:?}"),
    };
    // Of many only the number is kept, so that what they take is the host's.
    let (mut names, mut number) = (Vec::new(), 0);
    while let Ok(Some(entry)) = entries.read_directory_entry() {
        number += 1;
        if number <= 100 {
            names.push(entry.name);
        }
    }
    names.sort();
    if number > names.len() {
        format!("{number} entries")
    } else {
        names.join(" ")
    }
}

/// Opens a file until it may no more.
fn open_many(name: &str) -> String {
    let Some(folder) = folder() else {
        return "no folder".to_owned();
    };
    let mut opened = Vec::new();
    loop {
        match open(&folder, name, OpenFlags::empty(), DescriptorFlags::READ) {
            Ok(file) => opened.push(file),
            Err(error) => return format!("{} {error:?}", opened.len()),
        }
    }
}

/// What becomes of permissions and locks, and of what a file's text is not.
fn of_files(name: &str) -> String {
    let Some(folder) = folder() else {
        return "no folder".to_owned();
    };
    let Ok(file) = open(&folder, name, OpenFlags::empty(), DescriptorFlags::READ) else {
        return "no file".to_owned();
    };
    let follow = PathFlags::empty();
    let write = DescriptorFlags::WRITE;
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?} {:?}",
        file.stat().map(|stat| stat.size),
        folder.access_at(follow, name, AccessType::Exists),
        folder.access_at(follow, "nowhere", AccessType::Exists),
        folder.access_at(follow, name, AccessType::Access(Modes::WRITABLE)),
        folder.change_file_permissions_at(follow, name, Modes::WRITABLE),
        file.try_lock_exclusive(),
        open(&folder, "new.txt", OpenFlags::CREATE, write).map(drop),
    )
}

fn sockets() -> String {
    let network = instance_network::instance_network();
    format!(
        "{:?} {:?} {:?}",
        tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4).map(|socket| socket.address_family()),
        udp_create_socket::create_udp_socket(IpAddressFamily::Ipv6).map(|socket| socket.address_family()),
        ip_name_lookup::resolve_addresses(&network, "localhost", None, false)
            .map(|addresses| addresses.resolve_next_address().is_ok()),
    )
}

fn wait() -> String {
    let began = monotonic_clock::now();
    let (later, sooner) = (
        monotonic_clock::subscribe(began + 3_600_000_000_000, true),
        monotonic_clock::subscribe(20_000_000, false),
    );
    let ready = poll_list(&[&later, &sooner]);
    let waited = monotonic_clock::now() - began >= 20_000_000;
    let date = wall_clock::now().seconds > 1_700_000_000;
    let bytes = random::get_random_bytes(16);
    format!("{ready:?} {waited} {date} {}", bytes.len())
}
