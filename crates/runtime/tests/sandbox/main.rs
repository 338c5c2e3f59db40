//! What the kernel still refuses when a guest has found a hole.
//!
//! The hole is made on purpose: a guest's import runs system calls of its choice in this process. This program runs
//! itself twice, once without the sandbox, where most attempts must succeed (else they prove nothing), and once
//! inside. It has a `main` of its own since the sandbox is entered by a process of one thread.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]
#![allow(clippy::print_stdout, reason = "the program reports to itself")]
#![allow(clippy::disallowed_methods, reason = "the program tries what a hole would")]

#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
fn main() {
    println!("SKIPPED: there is no sandbox for this system");
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
fn main() {
    linux::main();
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
#[path = "calls.rs"]
mod calls;

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod linux {
    use std::collections::BTreeMap;
    use std::fs::{self, File};
    use std::io;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::thread;

    use outport_runtime::cache::CompiledCode;
    use outport_runtime::compiler::{CompileLimits, Confinement};
    use outport_runtime::component::Component;
    use outport_runtime::engine::{Allocation, Engine};
    use outport_runtime::sandbox::{Demand, FileTimes, Sandbox, SandboxError};
    use wasmtime::{Instance, Module, Store};

    use super::calls;

    /// What an attempt finds around it.
    pub(super) struct World {
        listener: TcpListener,
        inside: PathBuf,
        pub(super) outside: PathBuf,
        /// Where compiled code is kept.
        code: PathBuf,
    }

    pub(super) struct Attempt {
        pub(super) name: &'static str,
        /// The error number without the sandbox; none where the attempt is not made, or anything may come of it.
        without: Option<i32>,
        within: i32,
        act: fn(&World) -> i32,
    }

    pub(super) const fn row(
        name: &'static str,
        without: Option<i32>,
        within: i32,
        act: fn(&World) -> i32,
    ) -> Attempt {
        Attempt {
            name,
            without,
            within,
            act,
        }
    }

    pub(super) const OK: Option<i32> = Some(0);

    /// Attempts that are made inside only, since they would change the machine or this process.
    pub(super) const INSIDE_ONLY: Option<i32> = None;

    const ATTEMPTS: &[Attempt] = &[
        row("listen on a new socket", OK, libc::EACCES, |_| {
            let socket = socket(libc::AF_INET, libc::SOCK_STREAM, 0);
            call(libc::SYS_listen, [socket.into(), 1, 0, 0])
        }),
        row("listen on a bound socket", OK, libc::EACCES, |_| {
            errno(TcpListener::bind("127.0.0.1:0"))
        }),
        row("listen over IPv6", OK, libc::EACCES, |_| {
            let socket = socket(libc::AF_INET6, libc::SOCK_STREAM, 0);
            call(libc::SYS_listen, [socket.into(), 1, 0, 0])
        }),
        row("bind TCP to a chosen port", OK, libc::EACCES, |world| {
            let port = world.listener.local_addr().unwrap().port();
            bind_tcp([127, 0, 0, 77], port)
        }),
        row("connect, and accept on the operator's listener", OK, 0, |world| {
            let connected = TcpStream::connect(world.listener.local_addr().unwrap());
            match world.listener.accept() {
                Ok(_) => errno(connected),
                refused => errno(refused),
            }
        }),
        row("bind TCP to any port", OK, 0, |_| bind_tcp([0, 0, 0, 0], 0)),
        row("UDP", OK, 0, |_| errno(UdpSocket::bind("0.0.0.0:0"))),
        row("a Unix socket", OK, libc::EACCES, |_| {
            -socket(libc::AF_UNIX, libc::SOCK_STREAM, 0).min(0)
        }),
        row("a netlink socket", OK, libc::EACCES, |_| {
            -socket(libc::AF_NETLINK, libc::SOCK_RAW, 0).min(0)
        }),
        row("a pair of Unix sockets", OK, libc::EPERM, |_| {
            errno(std::os::unix::net::UnixStream::pair())
        }),
        row("a raw socket", INSIDE_ONLY, libc::EACCES, |_| {
            -socket(libc::AF_INET, libc::SOCK_RAW, libc::IPPROTO_ICMP)
        }),
        row("a raw socket with flags", INSIDE_ONLY, libc::EACCES, |_| {
            -socket(
                libc::AF_INET6,
                libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK,
                libc::IPPROTO_ICMPV6,
            )
        }),
        row("a ping socket", INSIDE_ONLY, libc::EACCES, |_| {
            -socket(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_ICMP)
        }),
        row("a packet socket", INSIDE_ONLY, libc::EACCES, |_| {
            -socket(libc::AF_PACKET, libc::SOCK_RAW, 0)
        }),
        row("a socket to the hypervisor", INSIDE_ONLY, libc::EACCES, |_| {
            -socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0)
        }),
        row(
            "a socket to the kernel's ciphers",
            INSIDE_ONLY,
            libc::EACCES,
            |_| -socket(libc::AF_ALG, libc::SOCK_SEQPACKET, 0),
        ),
        row("multipath TCP", INSIDE_ONLY, libc::EACCES, |_| {
            -socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP)
        }),
        row("SCTP", INSIDE_ONLY, libc::EACCES, |_| {
            -socket(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_SCTP)
        }),
        row("UDP-Lite", INSIDE_ONLY, libc::EACCES, |_| {
            -socket(libc::AF_INET, libc::SOCK_DGRAM, libc::IPPROTO_UDPLITE)
        }),
        row("a ring of io_uring", INSIDE_ONLY, libc::EPERM, |_| {
            let mut parameters = [0u64; 15];
            call(
                libc::SYS_io_uring_setup,
                [1, parameters.as_mut_ptr() as i64, 0, 0],
            )
        }),
        row("a program", OK, libc::EPERM, |_| {
            errno(Command::new("/bin/true").status())
        }),
        row("a program in place of this one", INSIDE_ONLY, libc::EPERM, |_| {
            call(libc::SYS_execve, [c"/bin/true".as_ptr() as i64, 0, 0, 0])
        }),
        row("a program by its descriptor", INSIDE_ONLY, libc::EPERM, |_| {
            call(libc::SYS_execveat, [-100, c"/bin/true".as_ptr() as i64, 0, 0])
        }),
        row("a new process", INSIDE_ONLY, libc::EPERM, |_| {
            call(libc::SYS_clone, [libc::SIGCHLD.into(), 0, 0, 0])
        }),
        row("a new thread", OK, 0, |_| thread::spawn(|| 0).join().unwrap()),
        row("tracing", INSIDE_ONLY, libc::EPERM, |_| {
            call(libc::SYS_ptrace, [0, 0, 0, 0])
        }),
        row("the memory of another process", INSIDE_ONLY, libc::EPERM, |_| {
            call(libc::SYS_process_vm_readv, [parent(), 0, 0, 0])
        }),
        row("a signal to another process", OK, libc::EPERM, |_| {
            call(libc::SYS_kill, [parent(), 0, 0, 0])
        }),
        row("a signal to all processes", INSIDE_ONLY, libc::EPERM, |_| {
            call(libc::SYS_kill, [-1, 0, 0, 0])
        }),
        row("a signal to itself", OK, 0, |_| {
            call(libc::SYS_kill, [own(), 0, 0, 0])
        }),
        row("a handle of another process", OK, libc::EPERM, |_| {
            call(libc::SYS_pidfd_open, [parent(), 0, 0, 0])
        }),
        row("a handle of itself", OK, libc::EPERM, |_| {
            call(libc::SYS_pidfd_open, [own(), 0, 0, 0])
        }),
        row("limits of another process", OK, libc::EPERM, |_| {
            call(
                libc::SYS_prlimit64,
                [parent(), i64::from(libc::RLIMIT_NOFILE), 0, 0],
            )
        }),
        row("limits of itself", OK, 0, |_| {
            call(libc::SYS_prlimit64, [0, i64::from(libc::RLIMIT_NOFILE), 0, 0])
        }),
        row("a namespace", INSIDE_ONLY, libc::EPERM, |_| {
            call(libc::SYS_unshare, [libc::CLONE_NEWUSER.into(), 0, 0, 0])
        }),
        row("a mount", INSIDE_ONLY, libc::EPERM, |_| {
            call(libc::SYS_mount, [0, 0, 0, 0])
        }),
        row("another root", INSIDE_ONLY, libc::EPERM, |_| {
            call(libc::SYS_chroot, [c"/".as_ptr() as i64, 0, 0, 0])
        }),
        row("a program in the kernel", INSIDE_ONLY, libc::EPERM, |_| {
            call(libc::SYS_bpf, [0, 0, 0, 0])
        }),
        row("typing into the terminal", INSIDE_ONLY, libc::EPERM, |_| {
            call(libc::SYS_ioctl, [0, 0x5412, c"x".as_ptr() as i64, 0])
        }),
        #[cfg(target_arch = "x86_64")]
        row("listen by its x32 number", INSIDE_ONLY, libc::ENOSYS, |_| {
            let socket = socket(libc::AF_INET, libc::SOCK_STREAM, 0);
            call(libc::SYS_listen + 0x4000_0000, [socket.into(), 1, 0, 0])
        }),
        row("read a file elsewhere", OK, 0, |world| {
            errno(fs::read(world.outside.join("file")))
        }),
        row("write a file where it may", OK, 0, |world| {
            errno(fs::write(world.inside.join("new"), "x"))
        }),
        row("make and remove where it may", OK, 0, |world| {
            let (one, other) = (world.inside.join("one"), world.inside.join("other"));
            errno(
                fs::create_dir(&one)
                    .and_then(|()| fs::rename(&one, &other))
                    .and_then(|()| fs::remove_dir(other)),
            )
        }),
        row("leave code for the next start", OK, libc::EACCES, |world| {
            errno(fs::write(world.code.join("0.cwasm"), "x"))
        }),
        row("change code that is kept", OK, libc::EACCES, |world| {
            let kept = fs::read_dir(&world.code).unwrap().next().unwrap().unwrap();
            errno(File::options().append(true).open(kept.path()))
        }),
        row("remove code that is kept", OK, libc::EACCES, |world| {
            let kept = fs::read_dir(&world.code).unwrap().next().unwrap().unwrap();
            errno(fs::remove_file(kept.path()))
        }),
        row("write a new file elsewhere", OK, libc::EACCES, |world| {
            errno(fs::write(world.outside.join("new"), "x"))
        }),
        row("append to a file elsewhere", OK, libc::EACCES, |world| {
            errno(File::options().append(true).open(world.outside.join("file")))
        }),
        row("cut off a file elsewhere", OK, libc::EACCES, |world| {
            let path =
                std::ffi::CString::new(world.outside.join("file").into_os_string().into_encoded_bytes())
                    .unwrap();
            call(libc::SYS_truncate, [path.as_ptr() as i64, 1, 0, 0])
        }),
        row("make a directory elsewhere", OK, libc::EACCES, |world| {
            errno(fs::create_dir(world.outside.join("directory")))
        }),
        row("make a link elsewhere", OK, libc::EACCES, |world| {
            errno(symlink("/etc", world.outside.join("link")))
        }),
        row("write through a link where it may", OK, libc::EACCES, |world| {
            errno(fs::write(world.inside.join("out/through"), "x"))
        }),
        row("remove a file elsewhere", OK, libc::EACCES, |world| {
            errno(fs::remove_file(world.outside.join("file")))
        }),
    ];

    const CHILD: &str = "OUTPORT_TEST_SANDBOX";

    pub(super) fn main() {
        match std::env::var(CHILD).as_deref() {
            Ok("without") => attempt_all(|attempt| attempt.without.is_some()),
            Ok("within") => within(FileTimes::Keep, |_| true),
            Ok("blocked") => blocked(),
            Ok("times") => within(FileTimes::Set, |attempt| attempt.name == calls::TIMES.name),
            _ => compare(),
        }
    }

    fn compare() {
        let without = run("without");
        let within = run("within");
        if within.contains_key("SKIPPED") {
            println!("SKIPPED: this kernel does not have all of the sandbox");
            assert!(
                std::env::var("OUTPORT_REQUIRE_SANDBOX").as_deref() != Ok("1"),
                "{within:?}"
            );
            return;
        }
        for attempt in all() {
            let got = within.get(attempt.name).copied();
            assert_eq!(got, Some(attempt.within), "inside: {}", attempt.name);
            let got = without.get(attempt.name).copied();
            assert_eq!(got, attempt.without, "without: {}", attempt.name);
        }
        assert_eq!(run("blocked").get("blocked"), Some(&0));
        let times = run("times");
        assert_eq!(
            times.get(calls::TIMES.name),
            Some(&0),
            "a guest with a directory: {times:?}"
        );
        println!(
            "{} attempts by a hole in a guest, each refused or permitted as it must be",
            all().count()
        );
    }

    fn all() -> impl Iterator<Item = &'static Attempt> {
        // The last of those here remove what the others need.
        calls::ATTEMPTS
            .iter()
            .chain([&calls::TIMES])
            .chain(calls::REFUSED.iter())
            .chain(ATTEMPTS)
    }

    fn run(how: &str) -> BTreeMap<String, i32> {
        let folder = tempfile::tempdir().unwrap();
        for name in ["inside", "outside"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        fs::write(folder.path().join("outside/file"), "text").unwrap();
        fs::write(folder.path().join("empty.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
        symlink(folder.path().join("outside"), folder.path().join("inside/out")).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .env(CHILD, how)
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(
            child.status.success(),
            "{how}: {said}\n{}",
            String::from_utf8_lossy(&child.stderr)
        );
        let lines = said.lines().filter_map(|line| line.rsplit_once(": "));
        lines
            .map(|(name, number)| (name.to_owned(), number.parse().unwrap()))
            .collect()
    }

    fn within(times: FileTimes, wanted: fn(&Attempt) -> bool) {
        let world = world();
        let code = compiled_apart(&world);
        let sandbox = Sandbox::new()
            .writable(&world.inside)
            .writable("no/such/directory");
        let enforced = match sandbox.enter(Demand::Everything) {
            Ok(enforced) => enforced,
            Err(SandboxError::Missing { missing }) => return println!("{missing}\nSKIPPED: 1"),
            Err(error) => panic!("{error}"),
        };
        assert!(
            enforced.is_everything() && enforced.gaps.is_empty(),
            "{enforced:?}"
        );
        // What only a start needs.
        assert!(std::os::unix::net::UnixStream::pair().is_ok());
        let datagrams = calls::pair(libc::SOCK_DGRAM);
        assert_eq!(datagrams, libc::EACCES, "before the start is over");
        assert_eq!(calls::pair(libc::SOCK_SEQPACKET), libc::EACCES);
        compile(code);
        assert!(
            fs::read_dir(&world.code).unwrap().next().is_some(),
            "code is kept"
        );
        let second = thread::spawn(|| Sandbox::new().enter(Demand::WhatThereIs))
            .join()
            .unwrap();
        assert!(matches!(second, Err(SandboxError::Threads { .. })), "{second:?}");
        enforced.seal(times).unwrap();
        attempt_by_guest(world, wanted);
    }

    /// As in a container whose filter refuses Landlock: the rest is held, and it is said what is not and why.
    fn blocked() {
        use seccompiler::{SeccompAction, SeccompFilter, apply_filter};
        let refuse = SeccompAction::Errno(libc::EPERM.unsigned_abs());
        let calls = [(libc::SYS_landlock_create_ruleset, Vec::new())].into();
        let architecture = std::env::consts::ARCH.try_into().unwrap();
        let filter = SeccompFilter::new(calls, SeccompAction::Allow, refuse, architecture).unwrap();
        let program: seccompiler::BpfProgram = filter.try_into().unwrap();
        apply_filter(&program).unwrap();
        let required = Sandbox::new().enter(Demand::Everything);
        assert!(
            matches!(required, Err(SandboxError::Missing { .. })),
            "{required:?}"
        );
        let enforced = Sandbox::new().enter(Demand::WhatThereIs).unwrap();
        assert_eq!(enforced.to_string(), "system calls");
        assert_eq!(enforced.missing(), "files and ports");
        let [gap] = enforced.gaps.as_slice() else {
            panic!("{enforced:?}");
        };
        assert!(gap.why.contains("a container's filter"), "{gap:?}");
        assert_eq!(calls::pair(libc::SOCK_DGRAM), libc::EACCES);
        println!("blocked: 0");
    }

    fn attempt_all(wanted: fn(&Attempt) -> bool) {
        let world = world();
        compile(compiled_apart(&world));
        attempt_by_guest(world, wanted);
    }

    /// To be asked before the sandbox is entered.
    fn compiled_apart(world: &World) -> CompiledCode {
        let code = CompiledCode::in_directory(&world.code).unwrap();
        code.compiled_apart(CompileLimits::default(), Confinement::Kernel)
    }

    /// `(component)`, by the processes that compile.
    fn compile(code: CompiledCode) {
        let engine = Engine::new(Allocation::Single).unwrap().with_code(code);
        Component::load(Path::new("empty.wasm"), &engine).unwrap();
    }

    fn world() -> World {
        World {
            listener: TcpListener::bind("127.0.0.1:0").unwrap(),
            inside: Path::new("inside").to_owned(),
            outside: Path::new("outside").to_owned(),
            code: Path::new("code").to_owned(),
        }
    }

    /// The guest passes on what its export is called with: `(func (export "run") local.get 0 call $reach)`.
    const GUEST: &[u8] = b"\0asm\x01\0\0\0\x01\x06\x01\x60\x01\x7f\x01\x7f\x02\x0e\x01\x04hole\x05reach\0\0\
        \x03\x02\x01\0\x07\x07\x01\x03run\0\x01\x0a\x08\x01\x06\0\x20\0\x10\0\x0b";

    /// On a thread that was started inside, as guests are.
    fn attempt_by_guest(world: World, wanted: fn(&Attempt) -> bool) {
        let guest = move || {
            let engine = Engine::new(Allocation::Single).unwrap();
            let module = Module::new(engine.wasmtime(), GUEST).unwrap();
            let mut store = Store::new(engine.wasmtime(), world);
            store.set_epoch_deadline(1_000_000);
            let hole =
                wasmtime::Func::wrap(&mut store, |caller: wasmtime::Caller<'_, World>, number: i32| {
                    all()
                        .nth(number as usize)
                        .map_or(-1, |attempt| (attempt.act)(caller.data()))
                });
            let instance = Instance::new(&mut store, &module, &[hole.into()]).unwrap();
            let run = instance.get_typed_func::<i32, i32>(&mut store, "run").unwrap();
            for (number, attempt) in all().enumerate().filter(|(_, attempt)| wanted(attempt)) {
                let result = run.call(&mut store, number as i32).unwrap();
                println!("{}: {result}", attempt.name);
            }
        };
        thread::spawn(guest).join().unwrap();
    }

    pub(super) fn errno<T>(result: io::Result<T>) -> i32 {
        result.err().map_or(0, |error| error.raw_os_error().unwrap_or(-1))
    }

    /// Answers an error number, or 0.
    #[allow(unsafe_code, reason = "a hole is what this program is about")]
    pub(super) fn call(number: libc::c_long, [a, b, c, d]: [i64; 4]) -> i32 {
        // SAFETY: the arguments are numbers, or point to what lives until the call returns.
        match unsafe { libc::syscall(number, a, b, c, d, 0, 0) } {
            -1 => errno::<()>(Err(io::Error::last_os_error())),
            _ => 0,
        }
    }

    /// Answers a descriptor, which is left open, or an error number below 0.
    #[allow(unsafe_code, reason = "a hole is what this program is about")]
    pub(super) fn socket(domain: i32, kind: i32, protocol: i32) -> i32 {
        // SAFETY: the arguments are numbers.
        match unsafe { libc::socket(domain, kind, protocol) } {
            -1 => -errno::<()>(Err(io::Error::last_os_error())),
            descriptor => descriptor,
        }
    }

    fn bind_tcp(address: [u8; 4], port: u16) -> i32 {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        assert!(socket.as_raw_fd() > 0);
        errno(socket.bind(&std::net::SocketAddr::from((address, port)).into()))
    }

    pub(super) fn parent() -> i64 {
        i64::from(std::os::unix::process::parent_id())
    }

    pub(super) fn own() -> i64 {
        i64::from(std::process::id())
    }
}
