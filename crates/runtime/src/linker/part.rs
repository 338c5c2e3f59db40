//! The interfaces by which hosts are reached, for a part of a component that reaches only some of the component's.
//!
//! They are the same as for the component, under a name that only the part imports, and behind the gate in the part's
//! [slot](crate::guest::MOST_NARROWED). A component with a part that imports what cannot be had in this way is not put
//! together.

use outport_egress::PartViews;
use wasmtime::component::LinkerInstance;

use super::provided::is_provided;
use crate::guest::{Guest, SLOTS};
use crate::wasi_2023::OCTOBER;

/// True if an interface of those that lead to hosts can be had behind a gate of a part's own.
pub(crate) fn is_narrowed(import: &str) -> bool {
    let (_, version) = split(import);
    // Its requests are sent by functions that know one gate.
    is_provided(import) && version != OCTOBER
}

/// Defines all of `import` behind the gate in `slot`.
pub(super) fn define(
    instance: &mut LinkerInstance<'_, Guest>,
    import: &str,
    slot: Option<usize>,
) -> wasmtime::Result<()> {
    let Some(views) = slot.and_then(|slot| SLOTS.get(slot)) else {
        return Err(wasmtime::format_err!(
            "there is no gate for the part that imports `{import}`"
        ));
    };
    let network = PartViews {
        gate: views.gate,
        http: views.http,
    };
    let interface = split(import);
    if outport_egress::add_for_part(instance, interface, &network)?
        || outport_platform::add_for_part(instance, interface, views.platform)?
    {
        return Ok(());
    }
    Err(wasmtime::format_err!(
        "`{import}` cannot be had behind a gate of its own"
    ))
}

fn split(import: &str) -> (&str, &str) {
    import.split_once('@').unwrap_or((import, ""))
}

#[cfg(test)]
mod tests {
    use wasmtime::component::Linker;

    use super::*;
    use crate::engine::{Allocation, Engine};

    #[test]
    fn whatever_leads_to_hosts_can_be_had_behind_a_gate_of_its_own() {
        let engine = Engine::new(Allocation::Single).expect("this machine can run wasm");
        let imports = super::super::provided::everything_that_leads_to_hosts();
        assert!(imports.len() > 10, "{imports:?}");
        for import in imports {
            let mut linker = Linker::<Guest>::new(engine.wasmtime());
            let name = format!("narrowed-d0-{import}");
            let mut instance = linker.instance(&name).expect("a name of an import");
            assert_eq!(
                define(&mut instance, &import, Some(0)).is_ok(),
                is_narrowed(&import),
                "{import}"
            );
        }
    }
}
