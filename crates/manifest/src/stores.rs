//! Which store or database each label leads to (HI-5).
//!
//! ```text
//! labels that components list, or options name ─────┐
//! [key_value_store.LABEL], [sqlite_database.LABEL] ─┼─► Stores, or a mistake for each label that nothing defines
//! the state directory, for the label `default` ─────┘
//! ```
//!
//! What is defined and asked for by nobody is left out: it is never opened. Nothing is opened here, either.

use std::collections::{HashMap, HashSet};

use outport_policy::{Label, LabelKind, Location};

use crate::reading::definitions::{Definition, KeyValueBackend, ModelServer, SqliteBackend};
use crate::report::mistake::Mistake;
use crate::report::problem::{Area, Problem, Reading};
use crate::report::spelling::candidates;
use crate::runtime_config::RuntimeConfig;
use crate::state_dir::StateDir;

/// The label that is always there.
pub const DEFAULT_LABEL: &str = "default";

/// The store, database or model that each label leads to which is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stores {
    /// Key-value stores, each label once, in the order in which they were asked for.
    pub key_value: Vec<Store<KeyValueBackend>>,
    /// Databases, likewise.
    pub sqlite: Vec<Store<SqliteBackend>>,
    /// Models, all of one server; none where nobody asks for one.
    pub models: Option<Models>,
}

/// Models that are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Models {
    /// Their names, each once, in the order in which they were asked for.
    pub names: Vec<String>,
    /// Who runs them.
    pub server: ModelServer,
    /// Where the operator defines him.
    pub defined: Location,
}

/// The end of the way from one label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store<B> {
    /// The label.
    pub label: String,
    /// The backend that keeps what it names.
    pub backend: B,
    /// The location where the operator defines it; none for a `default` that he leaves to Outport.
    pub defined: Option<Location>,
}

impl Stores {
    /// Finds what each label leads to. A label that nothing defines is a problem, told once. Models have no definition of
    /// their own: all of them are those of one server, which alone knows what it runs.
    pub fn resolve(wanted: &[Label], config: Option<&RuntimeConfig>, state: &StateDir) -> Reading<Self> {
        let mut problems = Vec::new();
        let key_value = Defined {
            kind: LabelKind::KeyValueStore,
            config,
            definitions: config.map_or(&[], |config| &config.key_value_stores),
            default: state.default_key_value_store(),
        };
        let sqlite = Defined {
            kind: LabelKind::SqliteDatabase,
            config,
            definitions: config.map_or(&[], |config| &config.sqlite_databases),
            default: state.default_sqlite_database(),
        };
        let stores = Self {
            key_value: key_value.resolve(wanted, &mut problems),
            sqlite: sqlite.resolve(wanted, &mut problems),
            models: Models::resolve(wanted, config, &mut problems),
        };
        Reading::new(stores, problems, Vec::new())
    }
}

impl Models {
    fn resolve(
        wanted: &[Label],
        config: Option<&RuntimeConfig>,
        problems: &mut Vec<Problem>,
    ) -> Option<Self> {
        let mut asked = HashSet::new();
        let mut wanted: Vec<&Label> = wanted
            .iter()
            .filter(|label| label.kind() == LabelKind::AiModel)
            .collect();
        wanted.retain(|label| asked.insert(label.as_str()));
        let server = config.and_then(|config| Some((config.model_server.as_ref()?, &config.source)));
        let Some((server, source)) = server else {
            // Where `[llm_compute]` has a mistake, that is the one to tell.
            let is_told =
                |label: &str| config.is_some_and(|config| config.may_define(LabelKind::AiModel, label));
            wanted.retain(|label| !is_told(label.as_str()));
            problems.extend(wanted.into_iter().map(|label| Problem {
                area: Area::Manifest,
                mistake: Mistake::UndefinedLabel {
                    label: label.as_str().to_owned(),
                    kind: LabelKind::AiModel,
                    meant: None,
                    known: Vec::new(),
                },
                location: label.location().clone(),
            }));
            return None;
        };
        let names: Vec<String> = wanted
            .into_iter()
            .map(|label| label.as_str().to_owned())
            .collect();
        (!names.is_empty()).then(|| Self {
            names,
            server: server.clone(),
            defined: source.location(&server.span),
        })
    }
}

/// All there is of one kind.
struct Defined<'c, B> {
    kind: LabelKind,
    config: Option<&'c RuntimeConfig>,
    definitions: &'c [Definition<B>],
    /// The one that the label `default` leads to if there is no definition of it.
    default: B,
}

impl<B: Clone> Defined<'_, B> {
    fn resolve(&self, wanted: &[Label], problems: &mut Vec<Problem>) -> Vec<Store<B>> {
        let written = self.definitions.iter();
        let written = written.map(|own| (own.label.value.as_str(), own)).collect();
        let mut asked = HashSet::new();
        let mut stores = Vec::new();
        for label in wanted.iter().filter(|label| label.kind() == self.kind) {
            if !asked.insert(label.as_str()) {
                continue;
            }
            match self.find(label.as_str(), &written) {
                Some(store) => stores.push(store),
                None if self.may_be_defined(label.as_str()) => {}
                None => problems.push(Problem {
                    area: Area::Manifest,
                    mistake: self.undefined(label.as_str()),
                    location: label.location().clone(),
                }),
            }
        }
        stores
    }

    fn find(&self, label: &str, written: &HashMap<&str, &Definition<B>>) -> Option<Store<B>> {
        let (backend, defined) = match (written.get(label), self.config) {
            (Some(written), Some(config)) => {
                let location = config.source.location(&written.label.span);
                (written.backend.clone(), Some(location))
            }
            _ if label == DEFAULT_LABEL => (self.default.clone(), None),
            _ => return None,
        };
        Some(Store {
            label: label.to_owned(),
            backend,
            defined,
        })
    }

    /// Where its definition has a mistake, that is the one to tell.
    fn may_be_defined(&self, label: &str) -> bool {
        self.config
            .is_some_and(|config| config.may_define(self.kind, label))
    }

    fn undefined(&self, label: &str) -> Mistake {
        let written = self.definitions.iter().map(|own| own.label.value.as_str());
        let unclear = self.config.map_or(&[][..], |config| config.unclear(self.kind));
        let others = written.chain(unclear.iter().map(String::as_str));
        let others = others.filter(|label| *label != DEFAULT_LABEL);
        let (meant, known) = candidates(label, std::iter::once(DEFAULT_LABEL).chain(others));
        Mistake::UndefinedLabel {
            label: label.to_owned(),
            kind: self.kind,
            meant,
            known,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{Database, SourceFile};

    const CONFIG: &str = r#"
        [key_value_store.cache]
        type = "redis"
        url = "redis://:hunter2@cache.internal/1"

        [key_value_store.archive]
        type = "spin"
        path = "archive.db"

        [sqlite_database.default]
        type = "libsql"
        url = "https://db.example.com"
        token = "hunter2"

        [llm_compute]
        type = "remote_http"
        url = "https://models.internal/v1"
        auth_token = "hunter2"

        [sqlite_database.scratch]
        type = "spin"
    "#;

    fn labels(kind: LabelKind, labels: &[&str]) -> Vec<Label> {
        let labels = labels.iter().map(|label| Label::new(kind, label, Location::Code));
        labels.collect()
    }

    fn resolve(wanted: &[Label], config: Option<&str>) -> Reading<Stores> {
        let file = config.map(|text| SourceFile::new("etc/runtime.toml", text));
        let config = file.map(|file| RuntimeConfig::parse(&file).complete().expect("a config").0);
        let state = StateDir::beside(Path::new("spin.toml"));
        Stores::resolve(wanted, config.as_ref(), &state)
    }

    #[test]
    fn each_label_leads_to_its_definition_and_default_is_always_there() {
        let wanted = [
            labels(
                LabelKind::KeyValueStore,
                &["archive", "default", "cache", "archive"],
            ),
            labels(LabelKind::SqliteDatabase, &["default", "scratch"]),
            labels(LabelKind::AiModel, &["llama2-chat", "embedder", "llama2-chat"]),
        ]
        .concat();
        let (stores, _) = resolve(&wanted, Some(CONFIG))
            .complete()
            .expect("all are defined");
        let shown: Vec<String> = stores
            .key_value
            .iter()
            .map(|store| match &store.backend {
                KeyValueBackend::Local(Database::File(path)) => {
                    format!("{}: {}", store.label, path.display())
                }
                KeyValueBackend::Local(Database::Memory) => format!("{}: memory", store.label),
                KeyValueBackend::Redis(url) => format!("{}: {}", store.label, url),
            })
            .collect();
        let expected = [
            "archive: etc/archive.db",
            "default: .spin/sqlite_key_value.db",
            "cache: redis://cache.internal:6379",
        ];
        assert_eq!(shown, expected);
        let places: Vec<bool> = stores
            .key_value
            .iter()
            .map(|store| store.defined.is_some())
            .collect();
        assert_eq!(places, [true, false, true]);
        let [default, scratch] = stores.sqlite.as_slice() else {
            panic!("{stores:?}")
        };
        assert!(
            matches!(&default.backend, SqliteBackend::LibSql { token, .. } if token.expose() == "hunter2")
        );
        assert_eq!(scratch.backend, SqliteBackend::Local(Database::Memory));
        let models = stores.models.as_ref().expect("models");
        assert_eq!(models.names, ["llama2-chat", "embedder"]);
        assert_eq!(models.server.url.to_string(), "https://models.internal:443");
        assert!(!format!("{stores:?}").contains("hunter2"));
    }

    #[test]
    fn what_nobody_asks_for_is_left_out() {
        let (stores, _) = resolve(&[], Some(CONFIG)).complete().expect("nothing");
        assert_eq!(stores, Stores::default());
    }

    #[test]
    fn a_label_whose_definition_has_a_mistake_is_not_undefined_as_well() {
        // (the file, problems of a database of that label)
        for (text, other_kind) in [
            ("[key_value_store.sessions]\ntype = \"azure_cosmos\"", 1),
            ("[key_value_store.sessions]\ntype = \"redis\"", 1),
            ("[key_value_store]\nsessions = 5", 1),
            // Of which kind it is cannot be read.
            ("[key_value_store.sessions\ntype = \"spin\"", 0),
        ] {
            let file = SourceFile::new("runtime.toml", text);
            let reading = RuntimeConfig::parse(&file);
            assert_eq!(reading.problems().len(), 1, "{text}");
            for (kind, told) in [
                (LabelKind::KeyValueStore, 0),
                (LabelKind::SqliteDatabase, other_kind),
            ] {
                let wanted = labels(kind, &["sessions"]);
                let stores = Stores::resolve(&wanted, Some(reading.tentative()), &StateDir::None);
                assert_eq!(stores.problems().len(), told, "{text} {kind}");
            }
        }
    }

    #[test]
    fn models_whose_server_has_a_mistake_are_not_undefined_as_well() {
        for text in [
            "llm_compute = 5",
            "[llm_compute]\ntype = \"spin\"",
            "[llm_compute]\ntype = \"remote_http\"\nurl = \"https://models.internal\"",
            "[llm_compute\ntype = \"remote_http\"",
        ] {
            let reading = RuntimeConfig::parse(&SourceFile::new("runtime.toml", text));
            assert_eq!(reading.problems().len(), 1, "{text}");
            let wanted = labels(LabelKind::AiModel, &["llama2-chat"]);
            let stores = Stores::resolve(&wanted, Some(reading.tentative()), &StateDir::None);
            assert!(stores.problems().is_empty(), "{text}: {:?}", stores.problems());
            assert_eq!(stores.tentative().models, None, "{text}");
        }
    }

    #[test]
    fn a_label_may_be_meant_whose_definition_has_a_mistake() {
        let text = "[key_value_store.session]\ntype = \"azure_cosmos\"";
        let reading = RuntimeConfig::parse(&SourceFile::new("runtime.toml", text));
        let wanted = labels(LabelKind::KeyValueStore, &["sesion"]);
        let stores = Stores::resolve(&wanted, Some(reading.tentative()), &StateDir::None);
        let help: Vec<_> = stores.problems().iter().map(Problem::help).collect();
        assert_eq!(help, [Some("did you mean `session`?".to_owned())]);
    }

    // proves: HI-5
    #[test]
    fn a_label_that_nothing_defines_is_told_once_with_what_is_there() {
        // (label of a key-value store, help)
        for (label, help) in [
            ("cahce", "did you mean `cache`?"),
            (
                "sessions",
                "the labels are `default`, `cache`, `archive`: write one of them, or `[key_value_store.sessions]` \
                 with its `type` into the runtime config file",
            ),
            (
                "scratch",
                "the labels are `default`, `cache`, `archive`: write one of them, or `[key_value_store.scratch]` with its `type` into the runtime config file",
            ),
        ] {
            let wanted = labels(LabelKind::KeyValueStore, &[label, "default", label]);
            let reading = resolve(&wanted, Some(CONFIG));
            let [problem] = reading.problems() else {
                panic!("{label}: {:?}", reading.problems())
            };
            assert_eq!(problem.code().to_string(), "manifest.undefined-label");
            assert_eq!(problem.help().as_deref(), Some(help), "{label}");
            assert_eq!(reading.tentative().key_value.len(), 1, "{label}");
        }
    }

    // proves: HI-5
    #[test]
    fn models_without_a_server_are_told_one_by_one_with_what_to_write() {
        let config = CONFIG
            .replace("[llm_compute]", "[key_value_store.other]")
            .replace("remote_http", "redis");
        let config = config
            .replace("https://models.internal/v1", "redis://x")
            .replace("auth_token", "#");
        for config in [None, Some(config.as_str())] {
            let wanted = labels(LabelKind::AiModel, &["llama2-chat", "embedder", "llama2-chat"]);
            let reading = resolve(&wanted, config);
            assert_eq!(reading.problems().len(), 2, "{:?}", reading.problems());
            assert_eq!(reading.tentative().models, None);
            let help = reading.problems()[0].help();
            let help = help.as_deref().expect("what to write");
            assert!(help.starts_with("write `[llm_compute]` with "), "{help}");
        }
    }

    #[test]
    fn without_a_config_there_is_default_alone() {
        let wanted = labels(LabelKind::SqliteDatabase, &["default", "other"]);
        let reading = resolve(&wanted, None);
        let [problem] = reading.problems() else {
            panic!("{:?}", reading.problems())
        };
        let help = "`default` is the only label: write it, or `[sqlite_database.other]` with its `type` into the \
                    runtime config file";
        assert_eq!(problem.help().as_deref(), Some(help));
        assert_eq!(reading.tentative().sqlite.len(), 1);
    }
}
