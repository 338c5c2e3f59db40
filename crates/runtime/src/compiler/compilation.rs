//! A compiler: one file, in a process that can do nothing but make a component of it, compile that, and say what came of it.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use rustix::process::{Resource, Rlimit, setrlimit};

use super::confinement::Confinement;
use super::limits::CompileLimits;
use super::{message, process, usage};

/// What is done with a file.
#[derive(Clone, Copy)]
pub(super) enum Work<'e> {
    /// A component is made of it.
    Adapt,
    /// The component is compiled, too.
    Compile(&'e wasmtime::Engine),
}

impl Work<'_> {
    fn on(self, bytes: &[u8]) -> Result<Vec<u8>, String> {
        let component = outport_components::adapt(bytes).map_err(|error| error.to_string())?;
        match self {
            Self::Adapt => Ok(component.into_owned()),
            Self::Compile(engine) => engine
                .precompile_component(&component)
                .map_err(|error| format!("{error:#}")),
        }
    }
}

/// Works on `bytes`, and says what came of it, or what is wrong with them.
pub(super) fn run(
    work: Work<'_>,
    bytes: &[u8],
    mut to: &UnixStream,
    limits: CompileLimits,
    confinement: Confinement,
) -> io::Result<()> {
    process::detach_again(&[to.as_fd()])?;
    bound(limits, bytes.len() as u64)?;
    confinement.of_compiler();
    match work.on(bytes) {
        Ok(made) => {
            to.write_all(&[message::CODE])?;
            to.write_all(&made)
        }
        Err(reason) => {
            to.write_all(&[message::INVALID])?;
            to.write_all(reason.as_bytes())
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
