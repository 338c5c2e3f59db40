//! A snapshot of the registry as a message of OTLP: cumulative, with the names that Prometheus sees.

use std::time::{SystemTime, UNIX_EPOCH};

use metrics::Label;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::resource::{attribute, scope};
use crate::registry::{Family, FamilyKind, Series, Snapshot, Value};

/// The message that tells a snapshot.
pub(super) fn message(snapshot: Snapshot, resource: Resource) -> ExportMetricsServiceRequest {
    let times = (nanoseconds(snapshot.since), nanoseconds(snapshot.at));
    let metrics = snapshot.families.into_iter().map(|family| metric(family, times));
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope()),
                metrics: metrics.collect(),
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

/// The number of values in a message.
pub(super) fn points(message: &ExportMetricsServiceRequest) -> u64 {
    let scopes = message
        .resource_metrics
        .iter()
        .flat_map(|resource| &resource.scope_metrics);
    let data = scopes
        .flat_map(|scope| &scope.metrics)
        .filter_map(|metric| metric.data.as_ref());
    let points = data.map(|data| match data {
        Data::Gauge(gauge) => gauge.data_points.len(),
        Data::Sum(sum) => sum.data_points.len(),
        Data::Histogram(histogram) => histogram.data_points.len(),
        Data::ExponentialHistogram(_) | Data::Summary(_) => 0,
    });
    points.sum::<usize>() as u64
}

fn metric(family: Family, times: (u64, u64)) -> Metric {
    let numbers = |series: Vec<Series>| {
        series
            .into_iter()
            .filter_map(|series| number(series, times))
            .collect()
    };
    let cumulative = AggregationTemporality::Cumulative.into();
    let data = match family.kind {
        FamilyKind::Counter => Data::Sum(Sum {
            data_points: numbers(family.series),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        FamilyKind::Gauge => Data::Gauge(Gauge {
            data_points: numbers(family.series),
        }),
        FamilyKind::Histogram => Data::Histogram(Histogram {
            data_points: family
                .series
                .into_iter()
                .filter_map(|series| distribution(series, times))
                .collect(),
            aggregation_temporality: cumulative,
        }),
    };
    Metric {
        name: family.name,
        description: family.help.into_owned(),
        // Those of the crate are UCUM's, but for its words for counts.
        unit: family.unit.map_or_else(String::new, |unit| match unit {
            metrics::Unit::Count => "1".to_owned(),
            unit => unit.as_canonical_label().to_owned(),
        }),
        data: Some(data),
        ..Metric::default()
    }
}

fn number(series: Series, (since, at): (u64, u64)) -> Option<NumberDataPoint> {
    let value = match series.value {
        Value::Count(count) => Number::AsInt(i64::try_from(count).unwrap_or(i64::MAX)),
        Value::Amount(amount) => Number::AsDouble(amount),
        Value::Distribution { .. } => return None,
    };
    Some(NumberDataPoint {
        attributes: attributes(&series.labels),
        start_time_unix_nano: since,
        time_unix_nano: at,
        value: Some(value),
        ..NumberDataPoint::default()
    })
}

fn distribution(series: Series, (since, at): (u64, u64)) -> Option<HistogramDataPoint> {
    let Value::Distribution { bounds, buckets, sum } = series.value else {
        return None;
    };
    Some(HistogramDataPoint {
        attributes: attributes(&series.labels),
        start_time_unix_nano: since,
        time_unix_nano: at,
        count: buckets.iter().sum(),
        sum: Some(sum),
        bucket_counts: buckets,
        explicit_bounds: bounds.to_vec(),
        ..HistogramDataPoint::default()
    })
}

fn attributes(labels: &[Label]) -> Vec<KeyValue> {
    labels
        .iter()
        .map(|label| attribute(label.key(), label.value()))
        .collect()
}

/// A time as OTLP has it.
pub(super) fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
