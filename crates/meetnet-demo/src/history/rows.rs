//! Filling one chunk of history: the loops over sensors and hours.

use meetnet_model::rows::RowsBuilder;

use super::columns::{LongColumns, TrafficColumns};
use super::{HOUR_S, History, HistoryChunk, US_PER_S};
use crate::messages::coarse_speeds;
use crate::sensors::{AirReading, Site, WeatherReading};
use crate::sources::DemoSource;
use crate::traffic::{Hardware, Mode, QUARTER_S, QuarterCount, Segment, round10};
use crate::weather::Sky;

/// Why a row is never refused.
const COMPLETE: &str = "the columns were checked: every required one has a value of its type";

/// One property of a long dataset, and how a reading shows it.
type Property<R> = (&'static str, fn(&R) -> Option<f64>);

/// What an air sensor's readings become, in key order. Its BME280's climate is left to the live feed: the past has
/// weather stations for that, and rows for nothing else would double the demo's start.
const AIR: [Property<AirReading>; 2] = [("pm10", |r| Some(r.pm10)), ("pm2_5", |r| Some(r.pm2_5))];

/// What a weather station's readings become, in key order.
const HEAT: [Property<WeatherReading>; 4] = [
    ("air_temperature", |r| Some(r.temperature)),
    ("rain_rate", |r| r.rain_rate),
    ("relative_humidity", |r| Some(r.humidity)),
    ("wind_speed", |r| r.wind_speed),
];

impl History {
    pub(super) fn traffic_chunk(&self, from_s: i64, to_s: i64) -> HistoryChunk {
        let columns = &self.traffic;
        let mut rows = RowsBuilder::new(columns.declaration.clone());
        // Ids ascend, so this is key order.
        for segment in &self.city().segments {
            let installed = self.installed_s(segment.joined);
            for hour in (from_s.max(installed)..to_s).step_by(HOUR_S as usize) {
                let mut count = segment.quarter(self.sky(hour));
                for quarter in 1..HOUR_S / QUARTER_S {
                    count.merge(&segment.quarter(self.sky(hour + quarter * QUARTER_S)));
                }
                fill_traffic(columns, &mut rows, segment, hour, &count);
            }
        }
        HistoryChunk::new(DemoSource::Telraam, rows)
    }

    pub(super) fn air_chunk(&self, from_s: i64, to_s: i64) -> HistoryChunk {
        let mut rows = RowsBuilder::new(self.air.declaration.clone());
        let mut readings = Vec::new();
        for (name, at) in &self.names.air {
            let sensor = &self.city().air_sensors[*at];
            self.read_hours(
                &sensor.site,
                from_s,
                to_s,
                |sky| sensor.read(sky),
                &mut readings,
            );
            fill_long(&self.air, &mut rows, name, &AIR, &readings);
        }
        HistoryChunk::new(DemoSource::Airrohr, rows)
    }

    pub(super) fn heat_chunk(
        &self,
        source: DemoSource,
        names: &[(String, usize)],
        from_s: i64,
        to_s: i64,
    ) -> HistoryChunk {
        let mut rows = RowsBuilder::new(self.heat.declaration.clone());
        let mut readings = Vec::new();
        for (name, at) in names {
            let station = &self.city().stations[*at];
            self.read_hours(
                &station.site,
                from_s,
                to_s,
                |sky| station.read(sky),
                &mut readings,
            );
            fill_long(&self.heat, &mut rows, name, &HEAT, &readings);
        }
        HistoryChunk::new(source, rows)
    }

    /// Takes a sensor's reading at each full hour of `from_s..to_s` that it was there and up. It stands for its hour, as the
    /// hourly values of archives do: without an interval an hour with one value would lack the others.
    fn read_hours<R>(
        &self,
        site: &Site,
        from_s: i64,
        to_s: i64,
        read: impl Fn(&Sky) -> R,
        readings: &mut Vec<(i64, R)>,
    ) {
        readings.clear();
        let installed = self.installed_s(site.joined);
        let hours = (from_s.max(installed)..to_s).step_by(HOUR_S as usize);
        readings.extend(
            hours
                .filter(|hour| site.is_up(*hour))
                .map(|hour| (hour, read(self.sky(hour)))),
        );
    }
}

fn fill_long<R>(
    columns: &LongColumns,
    rows: &mut RowsBuilder,
    sensor_id: &str,
    properties: &[Property<R>],
    readings: &[(i64, R)],
) {
    for (property, value_of) in properties {
        for (second, reading) in readings {
            let Some(value) = value_of(reading) else {
                continue;
            };
            rows.set_text(columns.sensor_id, sensor_id);
            rows.set_text(columns.property, property);
            rows.set_int(columns.time, second * US_PER_S);
            rows.set_int(columns.interval_s, HOUR_S);
            rows.set_float(columns.value, value);
            rows.finish_row(0).expect(COMPLETE);
        }
    }
}

fn fill_traffic(
    columns: &TrafficColumns,
    rows: &mut RowsBuilder,
    segment: &Segment,
    start_s: i64,
    count: &QuarterCount,
) {
    rows.set_int(columns.segment_id, segment.id);
    rows.set_int(columns.interval_s, count.interval_s);
    rows.set_int(columns.time, start_s * US_PER_S);
    rows.set_float(columns.uptime, count.uptime());
    // A counter that was never up saw nothing: the counts are missing, not 0.
    if count.seconds_up > 0 {
        for (mode, [both, left, right]) in Mode::ALL.into_iter().zip(columns.counts) {
            if mode == Mode::Night && segment.hardware == Hardware::V1 {
                continue;
            }
            let [lft, rgt] = count.extrapolated(mode);
            rows.set_float(both, round10(lft + rgt));
            rows.set_float(left, lft);
            rows.set_float(right, rgt);
        }
    }
    if let (Some(v85), Some(speeds)) = (segment.v85(count), segment.speeds(count)) {
        rows.set_float(columns.v85, v85);
        rows.set_list(columns.speed_hist, &coarse_speeds(speeds));
        rows.set_list(columns.speed_hist_fine, speeds);
    }
    rows.finish_row(0).expect(COMPLETE);
}
