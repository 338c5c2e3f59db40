//! Labels of stores, databases and models against what the code imports (HI-5).
//!
//! | granted | imported | then |
//! | --- | --- | --- |
//! | yes | and not provided | a call ends the guest |
//! | yes | no | nothing uses it |
//! | no | yes | every use of one is refused; a note where an SDK brings its whole platform |
//!
//! What is granted and served by nobody has a note already where the manifest was read.

use outport_manifest::{Service, Severity};
use outport_policy::{Label, LabelKind, text};

use crate::code::Code;
use crate::diagnostic::Diagnostic;
use crate::subject::{Interfaces, Subject};

pub(super) fn findings(subject: &Subject<'_>) -> Vec<Diagnostic> {
    let Some(interfaces) = subject.interfaces else {
        return Vec::new();
    };
    let mut findings = Vec::new();
    let mut refused = Vec::new();
    for kind in LabelKind::ALL {
        let service = Service::of_label(kind);
        let first = subject.granted.iter().find(|label| label.kind() == kind);
        match (first, interfaces.lacks(service), interfaces.uses(service)) {
            (Some(label), Some(import), _) => findings.push(unserved(subject, label, import)),
            (Some(label), None, None) if service.is_served() => findings.push(unused(subject, label)),
            (None, None, Some(import)) => refused.push((service, import)),
            _ => {}
        }
    }
    findings.extend(none_granted(subject, interfaces, &refused));
    findings
}

fn unserved(subject: &Subject<'_>, label: &Label, import: &str) -> Diagnostic {
    let message = format!(
        "`{}` is granted `{}` of `{}` and imports `{}`, which Outport does not provide: a call ends it",
        text::excerpt(subject.id),
        text::excerpt(label.as_str()),
        label.kind().list(),
        text::excerpt(import)
    );
    Diagnostic::new(Code::UnservedGrant, label.location().clone(), message)
}

fn unused(subject: &Subject<'_>, label: &Label) -> Diagnostic {
    let message = format!(
        "`{}` is granted `{}` of `{}` and does not import `{}`, so nothing uses it",
        text::excerpt(subject.id),
        text::excerpt(label.as_str()),
        label.kind().list(),
        Service::of_label(label.kind()).interface()
    );
    let finding = Diagnostic::new(Code::UnusedGrant, label.location().clone(), message);
    finding.helped_by(format!(
        "take `{}` out, or check that this is the right component",
        label.kind().list()
    ))
}

fn none_granted(
    subject: &Subject<'_>,
    interfaces: &Interfaces,
    refused: &[(Service, &str)],
) -> Vec<Diagnostic> {
    let id = text::excerpt(subject.id);
    let finding = |message| Diagnostic::new(Code::NoGrant, subject.location.clone(), message);
    if interfaces.brings_whole_platform() && !refused.is_empty() {
        let names: Vec<&str> = refused.iter().map(|(service, _)| service.name()).collect();
        let message = format!(
            "`{id}` is granted none of the {} that its SDK imports, and every use of one is refused",
            names.join(" and ")
        );
        let finding = finding(message).with_severity(Severity::Note);
        return vec![
            finding.helped_by("nothing is missing if the code uses none; a denial would say what to add"),
        ];
    }
    let each = refused.iter().map(|(service, import)| {
        let list = service.labels().map_or("", LabelKind::list);
        let what = match service {
            Service::Models => "use of one",
            _ => "`open`",
        };
        let message = format!(
            "`{id}` imports `{}` and is granted none of the {}: every {what} is refused",
            text::excerpt(import),
            service.name()
        );
        finding(message).helped_by(match service {
            Service::Models => format!("add `{list} = [\"MODEL\"]` with the models that it needs"),
            _ => format!("add `{list} = [\"default\"]`, or the labels that it needs"),
        })
    });
    each.collect()
}
