//! The interfaces by which a guest reads its variables.
//!
//! | interface | a name that cannot be | a variable that is not there |
//! | --- | --- | --- |
//! | `fermyon:spin/config` without a version | `invalid-key` | `provider`, as in Spin |
//! | `fermyon:spin/variables@2.0.0` | `invalid-name` | `undefined` |
//! | `spin:variables/variables@3.0.0` (asynchronous) | `invalid-name` | `undefined` |
//! | `wasi:config/store`, the versions of [`CONFIG`] | no value | no value |
//!
//! The versions of `wasi:config/store` that are in use differ in nothing but their names.

use wasmtime::component::{Accessor, HasData, Linker};

use super::{GuestVariables, NoVariable};

mod bindings {
    #![allow(missing_docs, reason = "the macro's output has no documentation of its own")]

    wasmtime::component::bindgen!({
        path: "wit",
        world: "outport:runtime/variables",
        exports: { default: async },
    });
}

mod bindings_v1 {
    #![allow(missing_docs, reason = "the macro's output has no documentation of its own")]

    wasmtime::component::bindgen!({
        path: "wit-v1",
        world: "fermyon:spin/first-variables",
    });
}

pub(crate) use bindings::fermyon::spin::variables as spin_v2;
pub(crate) use bindings::spin::variables::variables as spin_v3;
pub(crate) use bindings::wasi::config::store;
pub(crate) use bindings_v1::fermyon::spin::config as spin_v1;

/// The names of the interfaces in the version that the bindings do not name.
const CONFIG: [&str; 2] = [
    "wasi:config/store@0.2.0-draft",
    "wasi:config/store@0.2.0-draft-2024-09-27",
];

/// Data of a store that has the variables of a guest.
pub(crate) trait VariablesView: Send + 'static {
    fn variables(&mut self) -> &GuestVariables;
}

/// Adds the interfaces.
pub(crate) fn add_to_linker<T: VariablesView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    spin_v1::add_to_linker::<T, Read>(linker, T::variables)?;
    spin_v2::add_to_linker::<T, Read>(linker, T::variables)?;
    spin_v3::add_to_linker::<T, Read>(linker, T::variables)?;
    store::add_to_linker::<T, Read>(linker, T::variables)?;
    for name in CONFIG {
        let mut interface = linker.instance(name)?;
        interface.func_wrap("get", |mut data, (key,): (String,)| {
            Ok((store::Host::get(&mut data.data_mut().variables(), key),))
        })?;
        interface.func_wrap("get-all", |mut data, (): ()| {
            Ok((store::Host::get_all(&mut data.data_mut().variables()),))
        })?;
    }
    Ok(())
}

/// Says to `wasmtime` that the interfaces only read.
struct Read;

impl HasData for Read {
    type Data<'a> = &'a GuestVariables;
}

impl spin_v1::Host for &GuestVariables {
    fn get_config(&mut self, key: String) -> Result<String, spin_v1::Error> {
        GuestVariables::get(self, &key)
            .map(str::to_owned)
            .map_err(|none| match none {
                NoVariable::NotAName(_) => spin_v1::Error::InvalidKey(none.to_string()),
                NoVariable::Undefined(_) => spin_v1::Error::Provider(none.to_string()),
            })
    }
}

impl spin_v2::Host for &GuestVariables {
    fn get(&mut self, name: String) -> Result<String, spin_v2::Error> {
        GuestVariables::get(self, &name)
            .map(str::to_owned)
            .map_err(|none| match none {
                NoVariable::NotAName(_) => spin_v2::Error::InvalidName(none.to_string()),
                NoVariable::Undefined(_) => spin_v2::Error::Undefined(none.to_string()),
            })
    }
}

impl spin_v3::Host for &GuestVariables {}

impl<T: VariablesView> spin_v3::HostWithStore<T> for Read {
    async fn get(data: &Accessor<T, Self>, name: String) -> Result<String, spin_v3::Error> {
        data.with(|mut data| data.get().get(&name).map(str::to_owned))
            .map_err(|none| match none {
                NoVariable::NotAName(_) => spin_v3::Error::InvalidName(none.to_string()),
                NoVariable::Undefined(_) => spin_v3::Error::Undefined(none.to_string()),
            })
    }
}

impl store::Host for &GuestVariables {
    fn get(&mut self, key: String) -> Result<Option<String>, store::Error> {
        Ok(GuestVariables::get(self, &key).map(str::to_owned).ok())
    }

    fn get_all(&mut self) -> Result<Vec<(String, String)>, store::Error> {
        let all = self.iter();
        Ok(all
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::variables::tests::variables;

    #[test]
    fn spins_interface_tells_a_wrong_name_from_a_missing_variable() {
        let mut variables = &variables();
        let mut get = |name: &str| spin_v2::Host::get(&mut variables, name.to_owned());
        assert_eq!(get("plain").unwrap(), "as it is");
        let wrong = get("no-name").expect_err("it has a hyphen");
        assert!(matches!(wrong, spin_v2::Error::InvalidName(_)), "{wrong:?}");
        let missing = get("host").expect_err("it is the app's, not the component's");
        assert!(matches!(missing, spin_v2::Error::Undefined(_)), "{missing:?}");
    }

    #[test]
    fn spins_first_interface_tells_the_same_in_its_own_words() {
        let mut variables = &variables();
        let mut get = |key: &str| spin_v1::Host::get_config(&mut variables, key.to_owned());
        assert_eq!(get("plain").unwrap(), "as it is");
        let wrong = get("no-name").expect_err("it has a hyphen");
        assert!(matches!(wrong, spin_v1::Error::InvalidKey(_)), "{wrong:?}");
        let missing = get("host").expect_err("it is the app's, not the component's");
        assert!(matches!(missing, spin_v1::Error::Provider(_)), "{missing:?}");
    }

    #[test]
    fn the_store_of_wasi_config_has_no_value_for_either() {
        let mut variables = &variables();
        let mut get = |key: &str| store::Host::get(&mut variables, key.to_owned()).unwrap();
        assert_eq!(get("plain").as_deref(), Some("as it is"));
        assert_eq!(get("no-name"), None);
        assert_eq!(get("host"), None);
        let all = store::Host::get_all(&mut variables).unwrap();
        assert_eq!(all.len(), 2);
    }
}
