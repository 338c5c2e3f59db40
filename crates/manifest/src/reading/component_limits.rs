//! `[component.ID]`: what the operator says of one component of the app.

use std::collections::BTreeMap;

use outport_policy::NameLimits;

use crate::reading::byte_budget::{ByteLimits, read_byte_limits};
use crate::reading::dependency::component_id;
use crate::reading::fields::{Fields, Node};
use crate::report::findings::Findings;
use crate::source::Located;
use crate::values::identifier::ComponentId;

/// What is written of one component. A key that is not written is `None`.
#[derive(Debug, Clone)]
pub struct ComponentLimits {
    /// The component.
    pub component: Located<ComponentId>,
    /// Look-ups that servers are asked for in a minute (BUD-1).
    pub max_lookups_per_minute: Option<Located<u32>>,
    /// Names below one wildcard in an hour (BUD-2).
    pub max_names_per_wildcard: Option<Located<u32>>,
    /// Its bytes (BUD-3).
    pub bytes: ByteLimits,
}

impl ComponentLimits {
    /// The budgets of names of all that something is written of, by their ids.
    pub fn names(all: &[Self]) -> BTreeMap<Box<str>, NameLimits> {
        let number = |limit: &Option<Located<u32>>| limit.as_ref().map(|limit| limit.value);
        let names = all.iter().map(|own| {
            let limits = NameLimits {
                lookups_per_minute: number(&own.max_lookups_per_minute),
                names_per_wildcard: number(&own.max_names_per_wildcard),
            };
            (own.component.value.to_string().into_boxed_str(), limits)
        });
        names.collect()
    }
}

/// The largest bound of look-ups and of names, which is that of the options: for each something is remembered for as long as it
/// counts.
pub const MOST_NAMES: u32 = 1_000_000;

/// `[component.ID]`, each.
pub(crate) fn read_components(found: &mut Findings, node: Node<'_>) -> Vec<ComponentLimits> {
    let named = node.named(found);
    let read = named.into_iter().filter_map(|(id, node)| {
        let title = format!("`[component.{}]`", id.value);
        let component = component_id(found, id);
        let mut fields = node.table(found, title)?;
        let limit = |found: &mut Findings, fields: &mut Fields<'_>, key| {
            fields.get(key).and_then(|node| node.count_to(found, MOST_NAMES))
        };
        let (lookups, names) = (
            limit(found, &mut fields, "max_lookups_per_minute"),
            limit(found, &mut fields, "max_names_per_wildcard"),
        );
        let bytes = read_byte_limits(found, &mut fields);
        fields.finish(found);
        Some(ComponentLimits {
            component: component?,
            max_lookups_per_minute: lookups,
            max_names_per_wildcard: names,
            bytes,
        })
    });
    read.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RuntimeConfig, SourceFile};

    // proves: BUD-1, BUD-2
    #[test]
    fn a_component_has_its_own_keys_and_no_others() {
        let read = |text: &str| RuntimeConfig::parse(&SourceFile::new("runtime.toml", text.to_owned()));
        let text =
            "[component.web]\nmax_names_per_wildcard = 5\n[component.api]\nmax_lookups_per_minute = 0\n";
        let (config, notes) = read(text).complete().unwrap();
        assert!(notes.is_empty());
        let limits = |lookups_per_minute, names_per_wildcard| NameLimits {
            lookups_per_minute,
            names_per_wildcard,
        };
        let expected = [
            ("api".into(), limits(Some(0), None)),
            ("web".into(), limits(None, Some(5))),
        ];
        assert_eq!(ComponentLimits::names(&config.components), expected.into());
        for wrong in [
            "[component.web]\nmax_names = 5\n",
            "[component]\nweb = 5\n",
            "[component.web]\nmax_names_per_wildcard = -1\n",
            "[component.web]\nmax_names_per_wildcard = 1000001\n",
            "[component.web]\nmax_lookups_per_minute = \"many\"\n",
        ] {
            assert_eq!(read(wrong).problems().len(), 1, "{wrong}");
        }
    }
}
