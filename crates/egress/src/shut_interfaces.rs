//! Functions that lead to the network and that this build has no gate for, since it is one without the features `http` or
//! `p3`. Somebody may have linked wasmtime's own all the same, whose hooks and contexts may let anything through: their
//! place is taken.
//!
//! | called as | what comes of it |
//! | --- | --- |
//! | `func` | a trap that says why, when the guest calls it |
//! | `async func` | the component is not instantiated: a function that is none of that kind is there |

use wasmtime::component::Linker;

/// An interface with its functions that lead out.
pub(crate) type Shut = [(&'static str, &'static [&'static str])];

/// Outgoing HTTP of WASI 0.2.
#[cfg(any(test, not(feature = "http")))]
pub(crate) const HTTP_OF_0_2: &Shut = &[("wasi:http/outgoing-handler@0.2.12", &["handle"])];

/// Outgoing HTTP of WASI 0.3.
#[cfg(any(test, all(feature = "p3", not(feature = "http"))))]
pub(crate) const HTTP_OF_0_3: &Shut = &[("wasi:http/client@0.3.0", &["send"])];

/// Everything of WASI 0.3.
#[cfg(any(test, not(feature = "p3")))]
pub(crate) const OF_0_3: &Shut = &[
    ("wasi:http/client@0.3.0", &["send"]),
    ("wasi:sockets/ip-name-lookup@0.3.0", &["resolve-addresses"]),
    (
        "wasi:sockets/types@0.3.0",
        &["[static]tcp-socket.create", "[static]udp-socket.create"],
    ),
];

/// Takes the places of these functions. The linker has to allow shadowing.
pub(crate) fn shut<T: 'static>(linker: &mut Linker<T>, interfaces: &'static Shut) -> wasmtime::Result<()> {
    for (interface, functions) in interfaces {
        for function in *functions {
            linker
                .instance(interface)?
                .func_new(function, move |_, _, _, _| {
                Err(wasmtime::format_err!(
                    "`{interface}` is shut: the host's build of outport-egress has no gate for it, which its features `http` \
                     and `p3` are for"
                ))
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use wasmtime::component::Component;
    use wasmtime::{Config, Engine, Store};
    use wasmtime_wasi::WasiCtx;
    use wasmtime_wasi::p2::bindings::Command;
    use wasmtime_wasi::p2::pipe::MemoryOutputPipe;

    use super::*;
    use crate::linking::{add_wasi_to_linker, shadowing};
    use crate::state::WasiState;
    use crate::testing::{Script, World, allow};

    fn linker(shut_too: &'static Shut) -> Linker<WasiState> {
        let mut config = Config::new();
        config.wasm_component_model_async(true);
        let mut linker = Linker::new(&Engine::new(&config).unwrap());
        add_wasi_to_linker(&mut linker).unwrap();
        shadowing(&mut linker, |linker| shut(linker, shut_too)).unwrap();
        linker
    }

    fn guest(linker: &Linker<WasiState>, file: &str) -> Component {
        let path = format!("{}/../../guests/wasm/{file}", env!("CARGO_MANIFEST_DIR"));
        Component::from_file(linker.engine(), path).unwrap()
    }

    // proves: ORD-4
    #[tokio::test]
    async fn a_guest_that_sends_by_what_is_shut_ends_there_and_has_everything_else() {
        let linker = linker(HTTP_OF_0_2);
        let gate = World::new(Script::new())
            .egress()
            .gate("web", allow(&["*://*:*"]));
        let output = MemoryOutputPipe::new(4096);
        let mut wasi = WasiCtx::builder();
        wasi.stdout(output.clone());
        wasi.args(&["guest", "tcp.create ipv4", "http GET http://192.0.2.1/"]);
        let mut store = Store::new(linker.engine(), gate.open().with_wasi(wasi.build()));
        let command =
            Command::instantiate_async(&mut store, &guest(&linker, "script-guest.wasm"), &linker).await;
        let trap = command
            .unwrap()
            .wasi_cli_run()
            .call_run(&mut store)
            .await
            .unwrap_err();
        let trap = format!("{trap:#}");
        assert!(
            trap.contains("`wasi:http/outgoing-handler@0.2.12` is shut"),
            "{trap}"
        );
        assert_eq!(output.contents(), "1 tcp.create ipv4 => ok\n");
    }

    // proves: ORD-4
    #[test]
    fn a_component_that_waits_for_what_is_shut_is_not_instantiated() {
        for shut in [HTTP_OF_0_3, OF_0_3] {
            let linker = linker(shut);
            let refused = linker.instantiate_pre(&guest(&linker, "script-guest-p3.wasm"));
            let refused = format!("{:#}", refused.err().unwrap());
            // Which of them it names first is the guest's affair; versions of it and the linker may differ.
            let is_named = shut.iter().any(|(interface, functions)| {
                let name = interface.split('@').next().unwrap();
                refused.contains(&format!("`{name}@0.3"))
                    && functions
                        .iter()
                        .any(|function| refused.contains(&format!("`{function}`")))
            });
            assert!(is_named, "{refused}");
            // Those of WASI 0.2 have nothing to do with it.
            linker
                .instantiate_pre(&guest(&linker, "script-guest.wasm"))
                .unwrap();
        }
    }
}
