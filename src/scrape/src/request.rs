//! What a scrape tells as an export request of OTLP.
//!
//! # Invariants
//! - The resource says only the exporter's name; what more is said of the host is the codec's.

use candor_model::UnixNanos;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

use crate::PROVIDER;
use crate::series::{Buckets, Labels, Told, Value};

/// Most points of one message: a metric with more becomes several of the same name, as OTLP allows.
const MAX_POINTS: usize = 200;

/// The request in protobuf.
pub(crate) fn encode(exporter: &str, metrics: &[Told]) -> Vec<u8> {
    let resource =
        Resource { attributes: vec![text("service.name", exporter)], ..Resource::default() };
    let scope =
        InstrumentationScope { name: PROVIDER.to_owned(), ..InstrumentationScope::default() };
    let metrics = metrics.iter().flat_map(|told| {
        told.points.chunks(MAX_POINTS).map(|points| Metric {
            name: told.name.clone(),
            data: data(points, (told.start.unwrap_or_default(), told.time)),
            ..Metric::default()
        })
    });
    let scope_metrics =
        ScopeMetrics { scope: Some(scope), metrics: metrics.collect(), ..ScopeMetrics::default() };
    let resource_metrics = ResourceMetrics {
        resource: Some(resource),
        scope_metrics: vec![scope_metrics],
        ..ResourceMetrics::default()
    };
    ExportMetricsServiceRequest { resource_metrics: vec![resource_metrics] }.encode_to_vec()
}

/// The points of one metric are of one kind.
fn data(points: &[(Labels, Value)], times: (UnixNanos, UnixNanos)) -> Option<Data> {
    let delta = AggregationTemporality::Delta.into();
    Some(match points.first()?.1 {
        Value::Added(_) => Data::Sum(Sum {
            data_points: points.iter().filter_map(|point| number(point, times)).collect(),
            aggregation_temporality: delta,
            is_monotonic: true,
        }),
        Value::Gauge(_) => {
            let data_points = points.iter().filter_map(|point| number(point, times)).collect();
            Data::Gauge(Gauge { data_points })
        }
        Value::Histogram(_) => Data::Histogram(Histogram {
            data_points: points.iter().filter_map(|point| histogram(point, times)).collect(),
            aggregation_temporality: delta,
        }),
        Value::Summary { .. } => {
            let data_points = points.iter().filter_map(|point| summary(point, times)).collect();
            Data::Summary(Summary { data_points })
        }
    })
}

type Point = (Labels, Value);
type Times = (UnixNanos, UnixNanos);

fn number((labels, value): &Point, (start, time): Times) -> Option<NumberDataPoint> {
    let (Value::Added(number) | Value::Gauge(number)) = value else { return None };
    Some(NumberDataPoint {
        attributes: attributes(labels),
        start_time_unix_nano: start.0,
        time_unix_nano: time.0,
        value: Some(number_data_point::Value::AsDouble(*number)),
        ..NumberDataPoint::default()
    })
}

fn histogram((labels, value): &Point, (start, time): Times) -> Option<HistogramDataPoint> {
    let Value::Histogram(Buckets { bounds, counts, sum }) = value else { return None };
    Some(HistogramDataPoint {
        attributes: attributes(labels),
        start_time_unix_nano: start.0,
        time_unix_nano: time.0,
        count: counts.iter().sum(),
        sum: Some(*sum),
        bucket_counts: counts.clone(),
        explicit_bounds: bounds.clone(),
        ..HistogramDataPoint::default()
    })
}

fn summary((labels, value): &Point, (_, time): Times) -> Option<SummaryDataPoint> {
    let Value::Summary { count, sum, quantiles } = value else { return None };
    let quantile = |&(quantile, value): &(f64, f64)| ValueAtQuantile { quantile, value };
    Some(SummaryDataPoint {
        attributes: attributes(labels),
        time_unix_nano: time.0,
        count: *count,
        sum: *sum,
        quantile_values: quantiles.iter().map(quantile).collect(),
        ..SummaryDataPoint::default()
    })
}

fn attributes(labels: &Labels) -> Vec<KeyValue> {
    labels.iter().map(|(name, value)| text(name, value)).collect()
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = Some(any_value::Value::StringValue(value.to_owned()));
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value }), ..KeyValue::default() }
}
