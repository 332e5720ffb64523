//! IRCEL-CELINE: hourly means of the official air quality stations.
//!
//! The 52°North REST API gives one time series for any span (`timeseries/{id}/getData?timespan=FROM/TO`, `{"values":
//! [{"timestamp": ms, "value": v}]}`). The WFS gives a layer with the newest values of all stations as GeoJSON whose
//! places are Belgian Lambert 72; layers are asked for as they are, since they only know the last 48 hours. Once a week
//! `timeseries/{id}` says of a series of each station where that is.

use std::collections::BTreeSet;

use meetnet_model::calendar::{DAY_US, SECOND_US};
use meetnet_model::time::format_rfc3339;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::fetch::{Answer, Request};
use super::options::{IrcelOptions, Layer, PollOptions, PollOptionsError, WindowsOfApi};
use super::plan::{HOUR_US, Target, Window};
use super::series;
use super::verdict::{Access, Verdict, broken, by_status};

#[cfg(test)]
mod tests;

/// Begins the target names of layers.
const LAYER: &str = "layer:";

pub(super) fn check(of: &IrcelOptions) -> Result<(), PollOptionsError> {
    if of.series.is_empty() && of.layers.is_empty() {
        return Err(PollOptionsError::NothingToPoll(
            "time series, series = [{ id = \"10744\", sensor = \"42R803\", property = \"pm2_5\" }], or layers",
        ));
    }
    for of in &of.series {
        if of.id.is_empty() || !of.id.bytes().all(|byte| byte.is_ascii_digit()) {
            let message = format!("`{}` is no time series; write its number", of.id);
            return Err(PollOptionsError::Value(message));
        }
    }
    for (at, Layer { id, .. }) in of.layers.iter().enumerate() {
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if id.is_empty() || !id.bytes().all(is_name) {
            let message = format!("`{id}` is no layer; write its name without the workspace");
            return Err(PollOptionsError::Value(message));
        }
        if of.layers[..at].iter().any(|other| other.id == *id) {
            let message = format!("the layer `{id}` is named twice; remove one");
            return Err(PollOptionsError::Value(message));
        }
    }
    series::check(&of.series)
}

pub(super) fn targets(of: &IrcelOptions, options: &PollOptions) -> Vec<Target> {
    let interval = Some(PollOptions::micros(options.interval));
    let rule = options.windows(WindowsOfApi {
        align: HOUR_US,
        // The newest hour appears within half an hour of its end.
        closed_after: 1_800 * SECOND_US,
        overlap: 6 * HOUR_US,
        chunk_max: 90 * DAY_US,
    });
    let series = of.series.iter().map(|of| Target {
        name: of.id.clone(),
        interval,
        windows: Some(rule),
    });
    let layers = of.layers.iter().map(|layer| Target {
        name: format!("{LAYER}{}", layer.id),
        interval,
        windows: None,
    });
    let mut known = BTreeSet::new();
    let places = of.series.iter().filter(|of| known.insert(&of.sensor));
    let places = places.map(|of| series::station_target(&of.id));
    series.chain(layers).chain(places).collect()
}

pub(super) fn request(options: &PollOptions, target: &Target, window: Option<Window>) -> Request {
    let mut url;
    if let Some(layer) = target.name.strip_prefix(LAYER) {
        // Beside the REST API, at the same host.
        url = options.url.clone();
        url.set_path("/wfs");
        url.query_pairs_mut()
            .append_pair("service", "WFS")
            .append_pair("version", "2.0.0")
            .append_pair("request", "GetFeature")
            .append_pair("typeName", &format!("realtime:{layer}"))
            .append_pair("outputFormat", "application/json");
    } else if let Some(id) = series::station_of(target) {
        url = options.endpoint(&format!("/timeseries/{id}"));
    } else {
        url = options.endpoint(&format!("/timeseries/{}/getData", target.name));
        let Window { from, to } = window.unwrap_or(Window { from: 0, to: 0 });
        let timespan = format!("{}/{}", format_rfc3339(from), format_rfc3339(to));
        url.query_pairs_mut().append_pair("timespan", &timespan);
    }
    Request { url, json: None }
}

pub(super) fn meta(of: &IrcelOptions, target: &Target) -> Vec<(&'static str, String)> {
    if let Some(id) = series::station_of(target) {
        return series::station_meta(of.series.iter().filter(|of| of.id == id));
    }
    let Some(id) = target.name.strip_prefix(LAYER) else {
        return series::meta(&of.series, target);
    };
    let Some(layer) = of.layers.iter().find(|layer| layer.id == id) else {
        return Vec::new();
    };
    let mut meta = vec![("property", layer.property.clone())];
    meta.extend(layer.unit.clone().map(|unit| ("unit", unit)));
    meta.extend(
        layer
            .interval_s
            .map(|seconds| ("interval-s", seconds.to_string())),
    );
    meta
}

#[derive(Deserialize)]
struct Values {
    values: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
struct Features {
    features: Vec<IgnoredAny>,
}

pub(super) fn read(target: &Target, answer: &Answer) -> Verdict {
    if series::station_of(target).is_some() {
        return series::read_station(answer);
    }
    if let Some(verdict) = by_status(answer, Access::Open) {
        return verdict;
    }
    let (items, what) = if target.windows.is_some() {
        let body = serde_json::from_slice(&answer.body).map(|body: Values| body.values.len());
        (body, "list of `values`")
    } else {
        // GeoServer explains its errors as XML, with status 200.
        let body = serde_json::from_slice(&answer.body).map(|body: Features| body.features.len());
        (body, "GeoJSON layer")
    };
    match items {
        Ok(items) => Verdict::Take {
            items: items as u64,
        },
        Err(error) => broken(what, &error),
    }
}
