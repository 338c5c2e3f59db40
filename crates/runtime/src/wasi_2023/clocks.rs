//! `wasi:clocks/monotonic-clock` of October 2023, whose one function to wait knows points in time and durations.

use wasmtime::component::Linker;
use wasmtime_wasi::clocks::WasiClocksView;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::Host;

use crate::guest::Guest;

pub(super) fn add_to_linker(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    let mut clock = linker.instance("wasi:clocks/monotonic-clock@0.2.0-rc-2023-10-18")?;
    pass_on!(clock, clocks, {
        answer "now"() => Host::now;
        answer "resolution"() => Host::resolution;
    });
    clock.func_wrap("subscribe", |mut store, (when, absolute): (u64, bool)| {
        let mut clocks = store.data_mut().clocks();
        let pollable = if absolute {
            Host::subscribe_instant(&mut clocks, when)
        } else {
            Host::subscribe_duration(&mut clocks, when)
        };
        Ok((pollable?,))
    })
}
