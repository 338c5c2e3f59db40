//! A compiler: one component, in a process that can do nothing but compile it and say what came of it.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use rustix::process::{Resource, Rlimit, setrlimit};

use super::confinement::Confinement;
use super::limits::CompileLimits;
use super::{message, process, usage};

/// Compiles `bytes`, and says the code, or what is wrong with them.
pub(super) fn run(
    engine: &wasmtime::Engine,
    bytes: &[u8],
    mut to: &UnixStream,
    limits: CompileLimits,
    confinement: Confinement,
) -> io::Result<()> {
    process::detach_again(&[to.as_fd()])?;
    bound(limits, bytes.len() as u64)?;
    confinement.of_compiler();
    match engine.precompile_component(bytes) {
        Ok(code) => {
            to.write_all(&[message::CODE])?;
            to.write_all(&code)
        }
        Err(error) => {
            to.write_all(&[message::INVALID])?;
            to.write_all(format!("{error:#}").as_bytes())
        }
    }
}

/// Sets the bound that the kernel itself holds the compiler to, whether or not anybody looks. The keeper looks more
/// closely.
fn bound(limits: CompileLimits, size: u64) -> io::Result<()> {
    let set = |resource, current: u64, maximum: u64| {
        let limit = Rlimit {
            current: Some(current),
            maximum: Some(maximum),
        };
        setrlimit(resource, limit)
    };
    set(Resource::Core, 0, 0)?;
    set(Resource::Fsize, 0, 0)?;
    if let Some(time) = limits.time_for(size) {
        let seconds = time.as_secs().saturating_add(1);
        set(Resource::Cpu, seconds, seconds.saturating_add(1))?;
    }
    if let Some(memory) = limits.memory_for(size) {
        // The allocator reserves more than it uses, and what was reserved before counts, too.
        let reserved = usage::own_data().unwrap_or(0).saturating_add(RESERVED);
        let data = memory.saturating_mul(2).saturating_add(reserved);
        set(Resource::Data, data, data)?;
    }
    Ok(())
}

/// Bytes that an allocator and the stacks of threads reserve without use.
const RESERVED: u64 = 1 << 30;
