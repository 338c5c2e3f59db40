//! Who sends: the resource of OpenTelemetry, the same for all signals.

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use rand::random;

use super::settings::Settings;

/// The resource: what the operator says, and what is missing in that.
pub(super) fn resource(settings: &Settings, service: &str) -> Resource {
    let service = settings.service_name.as_deref().unwrap_or(service);
    let own = [
        ("service.name", service.to_owned()),
        // Counts of two processes are not each other's.
        ("service.instance.id", instance_id()),
        ("telemetry.sdk.language", "rust".to_owned()),
        ("telemetry.sdk.name", "outport".to_owned()),
        ("telemetry.sdk.version", env!("CARGO_PKG_VERSION").to_owned()),
    ];
    let is_given = |name: &str| settings.resource.iter().any(|(given, _)| given == name);
    let own = own.into_iter().filter(|(name, _)| !is_given(name));
    let given = settings
        .resource
        .iter()
        .map(|(name, value)| attribute(name, value.clone()));
    Resource {
        attributes: own
            .map(|(name, value)| attribute(name, value))
            .chain(given)
            .collect(),
        ..Resource::default()
    }
}

/// An attribute that is text.
pub(super) fn attribute(name: &str, text: impl Into<String>) -> KeyValue {
    attribute_of(name, Value::StringValue(text.into()))
}

/// An attribute.
pub(super) fn attribute_of(name: &str, value: Value) -> KeyValue {
    KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

/// The scope of all that Outport tells.
pub(super) fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "outport".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

/// A number in the form of a UUID of version 4.
fn instance_id() -> String {
    let number: u128 = random::<u128>() & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let digits = format!("{number:032x}");
    let parts = [
        &digits[..8],
        &digits[8..12],
        &digits[12..16],
        &digits[16..20],
        &digits[20..],
    ];
    parts.join("-")
}
