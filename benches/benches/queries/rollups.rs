//! The questions that a dataset made of others answers. Values that have failed do not count in it, so the other engines
//! leave those out.

use meetnet_benches::city_year::CityYear;

use super::questions::{LIMIT, Question, gap_filled};

/// A mean of hours, each as often as it has readings.
const MEAN: &str = "sum(mean * observations) / sum(observations)";

/// Returns the questions, and the dataset that answers each.
pub(crate) fn rollups(year: &CityYear) -> Vec<(Question, &'static str)> {
    let sensor = CityYear::sensor_id(year.sensors / 2);
    let hourly = |further: &str| {
        let of = format!("sensor_id = '{sensor}' AND property = 'pm10'{further}");
        let ours =
            format!("SELECT time AS hour, mean FROM air_hourly WHERE {of} AND observations > 0");
        let theirs = format!(
            "SELECT date_trunc('hour', time) AS hour, avg(value) AS mean FROM air \
             WHERE {of} AND quality <> 4 GROUP BY 1"
        );
        (ours, theirs)
    };
    let year_hourly = hourly("");
    let june = hourly(" AND time >= '2025-06-01 00:00:00' AND time < '2025-07-01 00:00:00'");
    let exceedances = |mean: &str, from: &str| {
        format!(
            "SELECT sensor_id, count(*) AS days FROM ( \
             SELECT sensor_id, date_trunc('day', time) AS day, {mean} AS mean FROM {from} \
             AND property = 'pm10' GROUP BY 1, 2) AS daily WHERE mean > {LIMIT} \
             GROUP BY 1 ORDER BY days DESC, sensor_id LIMIT 10"
        )
    };
    let join = |measured: &str| {
        format!(
            "SELECT counted.hour AS hour, car, pm10 FROM ( \
             SELECT date_trunc('hour', time) AS hour, sum(car) AS car FROM traffic GROUP BY 1) AS counted \
             JOIN ({measured}) AS measured ON measured.hour = counted.hour ORDER BY 1"
        )
    };
    let split = |week: &str, from: &str| {
        format!(
            "SELECT date_trunc('week', {week}) AS week, \
             sum(bike) / sum(car + heavy + bike + pedestrian) AS bike_share, \
             sum(pedestrian) / sum(car + heavy + bike + pedestrian) AS pedestrian_share \
             FROM {from} GROUP BY 1 ORDER BY 1"
        )
    };
    let distinct = |from: &str| {
        format!(
            "SELECT date_trunc('day', time) AS day, count(DISTINCT sensor_id) AS sensors FROM {from} \
             GROUP BY 1 ORDER BY 1"
        )
    };
    let daily = |mean: &str, count: &str, from: &str| {
        format!(
            "SELECT sensor_id, property, date_trunc('day', time) AS day, {mean} AS mean, {count} AS readings \
             FROM {from} GROUP BY 1, 2, 3"
        )
    };
    let (hours, rows) = (
        "air_hourly WHERE observations > 0",
        "air WHERE quality <> 4",
    );
    vec![
        (
            Question::made(
                "sensor-year-hourly",
                format!("{} ORDER BY 1", year_hourly.0),
                format!("{} ORDER BY 1", year_hourly.1),
            ),
            "air_hourly",
        ),
        (
            Question::made(
                "exceedances",
                exceedances(MEAN, hours),
                exceedances("avg(value)", rows),
            ),
            "air_hourly",
        ),
        (
            Question::made(
                "flags",
                "SELECT 1 AS quality, passed AS readings FROM data_quality WHERE dataset = 'air' AND period = 'all' \
                 UNION ALL SELECT 3, suspect FROM data_quality WHERE dataset = 'air' AND period = 'all' \
                 UNION ALL SELECT 4, failed FROM data_quality WHERE dataset = 'air' AND period = 'all'",
                "SELECT quality, count(*) AS readings FROM air GROUP BY quality",
            ),
            "data_quality",
        ),
        (
            Question::made(
                "modal-split",
                // Days begin at local midnight, an hour or two before that of UTC; nobody counts at night.
                split("time + INTERVAL '2 hours'", "traffic_daily"),
                split("time", "traffic WHERE uptime >= 0.5 AND quality <= 2"),
            ),
            "traffic_daily",
        ),
        (
            Question::made(
                "join",
                join(&format!(
                    "SELECT time AS hour, {MEAN} AS pm10 FROM {hours} AND property = 'pm10' GROUP BY 1"
                )),
                join(&format!(
                    "SELECT date_trunc('hour', time) AS hour, avg(value) AS pm10 FROM {rows} \
                     AND property = 'pm10' GROUP BY 1"
                )),
            ),
            "air_hourly",
        ),
        (gap_filled(&june.0, &june.1), "air_hourly"),
        (
            Question::made("distinct", distinct(hours), distinct(rows)),
            "air_hourly",
        ),
        (
            Question::made(
                "daily-means",
                daily(MEAN, "sum(observations)", hours),
                daily("avg(value)", "count(*)", rows),
            ),
            "air_hourly",
        ),
    ]
}
