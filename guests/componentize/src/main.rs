//! `componentize CORE.wasm COMPONENT.wasm`: makes a component of a core module.
//!
//! The bindings that a guest is compiled with leave a description of its world in the module's custom
//! sections. `wit-component` reads it, drops the imports that the guest never calls, and writes the
//! component around the module. The result is validated before it is written.

use std::env;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use wit_component::ComponentEncoder;

fn main() -> Result<()> {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [core, component] = arguments.as_slice() else {
        bail!("usage: componentize CORE.wasm COMPONENT.wasm");
    };
    let module = fs::read(core).with_context(|| format!("cannot read `{}`", core.display()))?;
    let bytes = ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|encoder| encoder.encode())
        .with_context(|| format!("cannot make a component of `{}`", core.display()))?;
    fs::write(component, bytes).with_context(|| format!("cannot write `{}`", component.display()))
}
