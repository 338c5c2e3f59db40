//! The variables of one component, as its guest reads them.
//!
//! A guest sees what `[component.ID.variables]` gives it, templates filled in, and nothing else: neither the app's
//! variables nor those of other components. A secret reaches the guest that it was written for, and no message.
//!
//! Four interfaces lead here; [`interfaces`] has them.

mod interfaces;

use std::collections::BTreeMap;
use std::sync::Arc;

use outport_manifest::{Component, TemplateError, VariableName, VariableNameError, VariableText, Variables};

pub(crate) use self::interfaces::{VariablesView, add_to_linker, spin_v1, spin_v2, spin_v3, store};

/// The variables that the guest of one component can read. Cheap to clone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuestVariables {
    values: Arc<BTreeMap<VariableName, VariableText>>,
}

/// The reason why a guest gets no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoVariable {
    /// No variable can be called so.
    #[error("this is not the name of a variable: {0}")]
    NotAName(VariableNameError),
    /// The component has none of that name.
    #[error("the component has no variable `{0}`")]
    Undefined(VariableName),
}

impl GuestVariables {
    /// The variables of `component`, filled in from those of the app.
    ///
    /// # Errors
    ///
    /// A template uses a variable that the app does not have.
    pub fn of(component: &Component, app: &Variables) -> Result<Self, TemplateError> {
        let filled = component
            .variables
            .iter()
            .map(|(name, template)| Ok((name.value.clone(), template.value.resolve(app)?)));
        Ok(Self {
            values: Arc::new(filled.collect::<Result<_, _>>()?),
        })
    }

    /// The value that the guest asks for by `name`.
    pub(crate) fn get(&self, name: &str) -> Result<&str, NoVariable> {
        let name = VariableName::parse(name).map_err(NoVariable::NotAName)?;
        match self.values.get(&name) {
            Some(value) => Ok(value.expose()),
            None => Err(NoVariable::Undefined(name)),
        }
    }

    /// All names and values, for the guest.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values
            .iter()
            .map(|(name, value)| (name.as_str(), value.expose()))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use outport_manifest::{GivenVariables, Manifest, SourceFile};

    use super::*;

    /// The variables of the component `one`, whose app has a secret and another component.
    pub(crate) fn variables() -> GuestVariables {
        let file = SourceFile::new(
            "spin.toml",
            r#"
            spin_manifest_version = 2
            application.name = "shop"

            [variables]
            host = { default = "db.example.com" }
            token = { required = true, secret = true }

            [[trigger.command]]
            component = "one"

            [component.one]
            source = "one.wasm"
            [component.one.variables]
            database = "postgres://{{ host }}:{{ token }}@5432"
            plain = "as it is"

            [component.two]
            source = "two.wasm"
            [component.two.variables]
            other = "{{ host }}"
            "#,
        );
        let (manifest, _) = Manifest::parse(&file).complete().unwrap();
        let mut given = GivenVariables::default();
        given.set("token", "hunter2");
        let (app, _) = Variables::resolve(&manifest.variables, &given, &file)
            .complete()
            .unwrap();
        GuestVariables::of(&manifest.components[0], &app).unwrap()
    }

    #[test]
    fn a_guest_sees_the_variables_of_its_component_and_no_others() {
        let variables = variables();
        let undefined = |name| Err(NoVariable::Undefined(VariableName::parse(name).unwrap()));
        let rows = [
            ("database", Ok("postgres://db.example.com:hunter2@5432")),
            ("plain", Ok("as it is")),
            ("host", undefined("host")),
            ("token", undefined("token")),
            ("other", undefined("other")),
            ("", Err(NoVariable::NotAName(VariableNameError::Empty))),
            (
                "Plain",
                Err(NoVariable::NotAName(VariableNameError::Character('P'))),
            ),
        ];
        for (name, value) in rows {
            assert_eq!(variables.get(name), value, "{name:?}");
        }
        let names: Vec<_> = variables.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["database", "plain"]);
    }

    #[test]
    fn a_value_with_a_secret_in_it_is_not_shown() {
        let shown = format!("{:?}", variables());
        assert!(!shown.contains("hunter2"), "{shown}");
        assert!(shown.contains("as it is"), "{shown}");
    }
}
