//! A component of the app, compiled, before a trigger makes something of it: alone, and behind the middleware of each
//! trigger that has some.

use outport_egress::Gate;
use outport_manifest::{HttpTrigger, Manifest};

use super::AppProblem;
use super::sources::{Code, Compiled, FetchedCode};
use crate::component::Component;
use crate::files::FileTree;

/// A component of the app, compiled, before a trigger makes something of it.
pub(super) struct Part<'a> {
    pub(super) written: &'a outport_manifest::Component,
    /// Its code, never empty: alone, and behind the middleware of each trigger that has some, by the trigger's id.
    pub(super) compiled: Vec<(Option<&'a str>, Component)>,
    pub(super) gate: Gate,
    pub(super) files: Option<FileTree>,
}

impl Part<'_> {
    /// The code behind the middleware of a trigger.
    pub(super) fn compiled(&self, trigger: Option<&str>) -> &Component {
        let wanted = self.compiled.iter().find(|(behind, _)| *behind == trigger);
        let (_, code) = wanted.unwrap_or(&self.compiled[0]);
        code
    }

    /// The code without middleware, or where nothing starts that with the first trigger's.
    pub(super) fn alone(&self) -> &Component {
        self.compiled(None)
    }
}

/// The code of a component for each of its triggers that has middleware, by the trigger's id, and for all others.
pub(super) type Codes<'m> = Vec<(Option<&'m str>, Code)>;

pub(super) fn codes_of<'m>(
    written: &'m outport_manifest::Component,
    manifest: &'m Manifest,
    fetched: &FetchedCode,
) -> Result<Codes<'m>, Vec<AppProblem>> {
    let id = &written.id.value;
    let alone = (!manifest.is_behind_middleware(id)).then_some((None, &[][..]));
    let triggers = manifest.http_triggers.iter();
    let with_middleware = triggers
        .filter(|trigger| trigger.component().is_some_and(|own| own.value == *id))
        .filter_map(|trigger| Some((Some(behind(trigger)?), trigger.middleware.as_slice())));
    let mut codes = Vec::new();
    let mut problems: Vec<AppProblem> = Vec::new();
    for (trigger, middleware) in alone.into_iter().chain(with_middleware) {
        match Code::of((written, middleware), manifest, fetched) {
            Ok(code) => codes.push((trigger, code)),
            Err(found) => add_new(&mut problems, found),
        }
    }
    if problems.is_empty() {
        Ok(codes)
    } else {
        Err(problems)
    }
}

/// What each of these was compiled to.
pub(super) fn compiled_of<'m>(
    written: &outport_manifest::Component,
    codes: &Codes<'m>,
    compiled: &Compiled,
    manifest: &Manifest,
) -> Result<Vec<(Option<&'m str>, Component)>, Vec<AppProblem>> {
    let mut components = Vec::new();
    let mut problems = Vec::new();
    for (trigger, code) in codes {
        match compiled.component(code, &written.source.span, manifest) {
            Ok(component) => components.push((*trigger, component)),
            Err(found) => add_new(&mut problems, found),
        }
    }
    if problems.is_empty() {
        Ok(components)
    } else {
        Err(problems)
    }
}

/// What is wrong with a component is so behind any middleware, and is told once.
fn add_new(problems: &mut Vec<AppProblem>, found: Vec<AppProblem>) {
    for problem in found {
        if !problems.iter().any(|known| known.is_like(&problem)) {
            problems.push(problem);
        }
    }
}

/// The id of a trigger with middleware, for which a component is another one than without.
pub(super) fn behind(trigger: &HttpTrigger) -> Option<&str> {
    (!trigger.middleware.is_empty()).then_some(trigger.id.as_str())
}
