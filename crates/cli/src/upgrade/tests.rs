use std::fs;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::thread;

use tempfile::TempDir;
use tokio::runtime::Builder;

use super::message::{self, ADMIN, Deadline, HELLO, HTTP, READY, REFUSED, STOPPED, UPGRADE};
use super::offer::TakenOver;
use super::socket::connect_to;
use super::*;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("shop.upgrade");
    (folder, path)
}

fn quiet() -> Terminal {
    Terminal::new(true, false)
}

fn listener() -> TcpListener {
    TcpListener::bind(("127.0.0.1", 0)).unwrap()
}

/// A process that runs, with so many sockets for clients.
fn running(path: &Path, http: usize) -> (Offer, Vec<SocketAddr>) {
    let mut upgrade = Upgrade::meet(path).unwrap();
    upgrade.listen(path).unwrap();
    let http: Vec<_> = (0..http).map(|_| listener()).collect();
    let addresses = http.iter().map(|socket| socket.local_addr().unwrap()).collect();
    let (offer, before) = upgrade
        .prepare(http, Some(listener()))
        .take_over(quiet())
        .unwrap();
    assert_eq!(before, None);
    (offer, addresses)
}

fn wait(offer: &mut Offer) -> TakenOver {
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(offer.taken_over())
}

fn soon() -> Deadline {
    Deadline::after(std::time::Duration::from_secs(60))
}

fn hello(path: &Path) -> OwnedFd {
    let (socket, process) = connect_to(path, soon()).unwrap().expect("somebody is there");
    assert_eq!(process, std::process::id());
    message::wait_at_most(&socket, std::time::Duration::from_secs(60)).unwrap();
    message::send(&socket, HELLO, &[]).unwrap();
    socket
}

#[test]
fn the_next_process_gets_every_socket_and_its_path() {
    let (_folder, path) = folder();
    // More than fit into one message.
    let (mut first, addresses) = running(&path, 70);
    let mut upgrade = Upgrade::meet(&path).unwrap();
    upgrade.listen(&path).unwrap();
    let predecessor = upgrade.predecessor.as_mut().unwrap();
    let http = std::mem::take(&mut predecessor.http);
    let taken: Vec<_> = http.iter().map(|socket| socket.local_addr().unwrap()).collect();
    assert_eq!(taken, addresses);
    assert!(predecessor.admin.is_some());
    let next = thread::spawn(move || upgrade.prepare(http, None).take_over(quiet()).unwrap());
    let by = wait(&mut first);
    assert_eq!(by.process, std::process::id());
    by.stopped();
    let (mut second, before) = next.join().unwrap();
    assert_eq!(before, Some(std::process::id()));
    // By the same path the one after that comes.
    let third = Upgrade::meet(&path).unwrap();
    let next = thread::spawn(move || third.prepare(Vec::new(), None).take_over(quiet()).map(|_| ()));
    wait(&mut second).stopped();
    next.join().unwrap().unwrap();
}

#[test]
fn who_ends_before_it_is_ready_changes_nothing() {
    let (_folder, path) = folder();
    let (mut offer, _) = running(&path, 1);
    for words in [
        &[HELLO] as &[&str],
        &["outport-upgrade 0"],
        &["GET / HTTP/1.1"],
        &[HELLO, "nonsense"],
        &[],
    ] {
        let (socket, _) = connect_to(&path, soon()).unwrap().expect("somebody is there");
        for word in words {
            message::send(&socket, word, &[]).unwrap();
        }
    }
    let upgrade = Upgrade::meet(&path).unwrap();
    let next = thread::spawn(move || upgrade.prepare(Vec::new(), None).take_over(quiet()).map(|_| ()));
    wait(&mut offer).stopped();
    next.join().unwrap().unwrap();
}

#[test]
fn another_one_is_told_that_somebody_was_first_and_a_process_that_stops_gives_nothing() {
    let (_folder, path) = folder();
    let (offer, _) = running(&path, 1);
    let first = hello(&path);
    for expected in [HTTP, ADMIN, UPGRADE] {
        let (word, descriptors) = message::receive(&first).unwrap();
        assert_eq!((word.as_str(), descriptors.len()), (expected, 1));
    }
    let busy = Upgrade::meet(&path).err().expect("it is busy").to_string();
    assert!(busy.contains("is taking over already"), "{busy}");
    drop(first);
    offer.withdraw();
    let stops = Upgrade::meet(&path).err().expect("it stops").to_string();
    assert!(stops.contains("hands nothing over: it stops"), "{stops}");
}

#[test]
fn only_sockets_at_the_address_that_is_asked_for_are_taken() {
    let (_folder, path) = folder();
    let (_offer, addresses) = running(&path, 1);
    let mut upgrade = Upgrade::meet(&path).unwrap();
    let other: SocketAddr = (std::net::Ipv4Addr::UNSPECIFIED, addresses[0].port()).into();
    assert!(upgrade.http(other).is_none());
    assert!(upgrade.admin(addresses[0]).is_none());
    assert_eq!(upgrade.http(addresses[0]).map(|sockets| sockets.len()), Some(1));
    assert!(upgrade.http(addresses[0]).is_none(), "they are taken");
}

#[test]
fn the_socket_of_a_process_that_is_gone_is_replaced_and_nothing_else_is() {
    let (_folder, path) = folder();
    let open = |path: &Path| {
        let mut upgrade = Upgrade::meet(path)?;
        upgrade.listen(path)?;
        Ok::<_, UpgradeError>(upgrade)
    };
    // Nothing is there, and then what the one before has left.
    for _ in 0..2 {
        drop(open(&path).unwrap());
        use std::os::unix::fs::{FileTypeExt, PermissionsExt};
        let left = fs::metadata(&path).unwrap();
        assert!(left.file_type().is_socket());
        assert_eq!(left.permissions().mode() & 0o777, 0o600);
    }
    type Make = fn(&Path);
    let rows: [(&str, Make, &str); 4] = [
        (
            "a file",
            |path| fs::write(path, "kept").unwrap(),
            "is not a socket",
        ),
        (
            "a directory",
            |path| fs::create_dir(path).unwrap(),
            "is not a socket",
        ),
        (
            "a socket of another kind",
            |path| std::mem::forget(std::os::unix::net::UnixListener::bind(path).unwrap()),
            "cannot be used",
        ),
        (
            "a link to a file",
            |path| std::os::unix::fs::symlink("/etc/passwd", path).unwrap(),
            "is not a socket",
        ),
    ];
    for (name, make, part) in rows {
        let (_folder, path) = folder();
        make(&path);
        let error = open(&path).err().expect(name);
        assert!(error.to_string().contains(part), "{name}: {error}");
        assert!(!error.advice().is_empty());
        assert!(fs::symlink_metadata(&path).is_ok(), "{name} is gone");
    }
    for path in [
        "/nowhere/shop.upgrade".to_owned(),
        format!("/tmp/{}", "x".repeat(120)),
    ] {
        let error = open(Path::new(&path)).err().expect(&path);
        assert!(error.to_string().contains("cannot be used"), "{path}: {error}");
    }
}

#[test]
fn a_predecessor_that_is_none_is_an_error() {
    let (_folder, path) = folder();
    let impostor = socket::UpgradeSocket::open(&path).unwrap();
    let file: OwnedFd = fs::File::open("/dev/null").unwrap().into();
    let stranger: OwnedFd = std::net::UdpSocket::bind(("127.0.0.1", 0)).unwrap().into();
    let (pipe, _writer) = std::io::pipe().unwrap();
    let pipe = OwnedFd::from(pipe);
    let other_kind =
        OwnedFd::from(std::os::unix::net::UnixListener::bind(path.with_extension("other")).unwrap());
    let deaf = {
        use rustix::net::{AddressFamily, SocketType, socket};
        socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap()
    };
    use std::os::fd::AsFd;
    type Messages<'a> = Vec<(&'a str, Vec<&'a OwnedFd>)>;
    let mut rows: Vec<(Messages<'_>, &str)> = vec![
        (vec![], "does not hand its listeners over"),
        (vec![("x", vec![])], "it says something else"),
        (vec![("refused a\u{1b}[2Jb", vec![])], r"a\u{1b}[2Jb"),
        (
            vec![(HTTP, vec![&file]), (UPGRADE, vec![])],
            "does not hand its listeners over",
        ),
        (
            vec![(HTTP, vec![&stranger]), (UPGRADE, vec![])],
            "does not hand its listeners over",
        ),
        (vec![(UPGRADE, vec![])], "is none that listens for processes"),
        (vec![(UPGRADE, vec![&file])], "does not hand its listeners over"),
        (vec![(UPGRADE, vec![&pipe])], "does not hand its listeners over"),
        (
            vec![(UPGRADE, vec![&other_kind])],
            "is none that listens for processes",
        ),
        (vec![(UPGRADE, vec![&deaf])], "is none that listens for processes"),
        (
            vec![(STOPPED, vec![]), (READY, vec![]), (REFUSED, vec![])],
            "it says something else",
        ),
    ];
    rows.push((vec![(HTTP, vec![]); 300], "does not hand its listeners over"));
    for (messages, part) in rows {
        let told = thread::scope(|scope| {
            let asks = scope.spawn(|| Upgrade::meet(&path).err().expect("it is none").to_string());
            let peer = rustix::net::accept(&impostor.0).unwrap();
            let _ = message::receive_word(&peer);
            for (word, descriptors) in &messages {
                let descriptors: Vec<_> = descriptors.iter().map(|fd| fd.as_fd()).collect();
                if message::send(&peer, word, &descriptors).is_err() {
                    break;
                }
            }
            drop(peer);
            asks.join().unwrap()
        });
        assert!(told.contains(part), "{messages:?}: {told}");
        assert!(!told.contains('\u{1b}'), "{told}");
    }
}

#[test]
fn one_that_hangs_is_waited_for_until_the_time_is_over_however_many_came_before() {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
    let (_folder, path) = folder();
    let _hangs = socket::UpgradeSocket::open(&path).unwrap();
    let time = std::time::Duration::from_millis(50);
    let meet = || {
        Predecessor::at_within(&path, time)
            .expect_err("it hangs")
            .to_string()
    };
    // It has let nobody in, and has room for this one.
    assert!(meet().ends_with("does not hand its listeners over: it does not answer"));
    let came_before = || {
        let kind = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let socket = socket_with(kind.0, kind.1, SocketFlags::NONBLOCK, None).unwrap();
        connect(&socket, &SocketAddrUnix::new(&path).unwrap())
            .is_ok()
            .then_some(socket)
    };
    let queue: Vec<OwnedFd> = std::iter::from_fn(came_before).collect();
    assert!(queue.len() < 16, "there is no end of the queue");
    assert!(meet().ends_with("does not hand its listeners over: it does not answer"));
}

#[test]
fn one_that_says_a_little_now_and_then_is_not_waited_for_longer() {
    let (_folder, path) = folder();
    let slow = socket::UpgradeSocket::open(&path).unwrap();
    let talks = thread::spawn(move || {
        let peer = rustix::net::accept(&slow.0).unwrap();
        // Until nobody listens any more.
        while message::send(&peer, HTTP, &[]).is_ok() {
            thread::sleep(std::time::Duration::from_millis(20));
        }
    });
    let error =
        Predecessor::at_within(&path, std::time::Duration::from_millis(200)).expect_err("it has no end");
    assert!(error.to_string().ends_with("it does not answer"), "{error}");
    talks.join().unwrap();
}
