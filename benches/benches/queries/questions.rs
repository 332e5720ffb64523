//! The questions, in the words of each engine.

use meetnet_benches::city_year::CityYear;

/// Limit of a daily mean. No mean of tenths lies so near to it that the order of a sum decides on which side it is.
pub(crate) const LIMIT: f64 = 31.0003;

/// One question.
pub(crate) struct Question {
    pub(crate) name: &'static str,
    /// For meetnet.
    pub(crate) sql: String,
    duckdb: String,
    chdb: String,
    /// Whether the answer is timed as a CSV file.
    pub(crate) as_csv: bool,
}

impl Question {
    /// Everybody understands the same words.
    fn same(name: &'static str, sql: impl Into<String>) -> Self {
        let sql = sql.into();
        Self::new(name, sql.clone(), sql.clone(), sql)
    }

    /// Ours is answered from what is made of the rows, theirs from the rows.
    pub(crate) fn made(
        name: &'static str,
        ours: impl Into<String>,
        theirs: impl Into<String>,
    ) -> Self {
        let theirs = theirs.into();
        Self::new(name, ours, theirs.clone(), theirs)
    }

    fn new(
        name: &'static str,
        sql: impl Into<String>,
        duckdb: impl Into<String>,
        chdb: impl Into<String>,
    ) -> Self {
        Self {
            name,
            sql: sql.into(),
            duckdb: duckdb.into(),
            chdb: chdb.into(),
            as_csv: false,
        }
    }

    /// Returns the statement for an engine.
    pub(crate) fn of(&self, engine: &str) -> &str {
        match engine {
            "DuckDB" => &self.duckdb,
            _ => &self.chdb,
        }
    }
}

/// Returns all questions.
pub(crate) fn questions(year: &CityYear) -> Vec<Question> {
    let sensor = CityYear::sensor_id(year.sensors / 2);
    let day = "time >= '2025-06-15 00:00:00' AND time < '2025-06-16 00:00:00'";
    let hourly = |of: &str| {
        format!(
            "SELECT date_trunc('hour', time) AS hour, avg(value) AS mean FROM air \
             WHERE sensor_id = '{sensor}' AND property = 'pm10'{of} GROUP BY 1"
        )
    };
    let june = "2025-06-01 00:00:00";
    let july = "2025-07-01 00:00:00";
    let in_june = format!("property = 'pm10' AND time >= '{june}' AND time < '{july}'");
    let per_sensor = |from: &str| {
        format!(
            "SELECT sensor_id, count(*) AS readings, avg(value) AS mean, sum(revision) AS revisions \
             FROM {from} {in_june} GROUP BY sensor_id"
        )
    };
    let known = |least: &str| {
        let recorded = "coalesce(recorded_at, received_at)";
        format!(
            "air_all WHERE {recorded} <= {least} AND (superseded_at IS NULL OR superseded_at > {least}) AND"
        )
    };
    let p95 = |percentile: &str| {
        format!(
            "SELECT sensor_id, {percentile} AS p95 FROM air WHERE property = 'pm2_5' GROUP BY sensor_id"
        )
    };
    let latest = |last: &str| {
        format!(
            "SELECT sensor_id, property, max(time) AS at, {last}(value, time) AS reading \
             FROM air GROUP BY sensor_id, property"
        )
    };
    let mut csv = Question::same(
        "csv",
        format!(
            "SELECT sensor_id, property, time, value, quality FROM air WHERE sensor_id = '{sensor}' \
             ORDER BY property, time"
        ),
    );
    csv.as_csv = true;
    vec![
        Question::new(
            "latest",
            latest("last"),
            latest("arg_max"),
            latest("argMax"),
        ),
        Question::same(
            "sensor-day",
            format!(
                "SELECT property, time, value, quality FROM air WHERE sensor_id = '{sensor}' AND {day} \
                 ORDER BY property, time"
            ),
        ),
        Question::same("sensor-year-hourly", format!("{} ORDER BY 1", hourly(""))),
        Question::same(
            "all-sensors-day",
            format!(
                "SELECT sensor_id, property, time, value FROM air WHERE {day} ORDER BY 1, 2, 3"
            ),
        ),
        Question::new(
            "p95",
            p95("percentile_cont(0.95) WITHIN GROUP (ORDER BY value)"),
            p95("quantile_cont(value, 0.95)"),
            p95("quantileExactInclusive(0.95)(value)"),
        ),
        Question::same(
            "exceedances",
            format!(
                "SELECT sensor_id, count(*) AS days FROM ( \
                 SELECT sensor_id, date_trunc('day', time) AS day, avg(value) AS mean FROM air \
                 WHERE property = 'pm10' GROUP BY 1, 2) AS daily WHERE mean > {LIMIT} \
                 GROUP BY 1 ORDER BY days DESC, sensor_id LIMIT 10"
            ),
        ),
        Question::same(
            "flags",
            "SELECT quality, count(*) AS readings FROM air GROUP BY quality ORDER BY quality",
        ),
        Question::same(
            "filtered-counts",
            "SELECT sensor_id, count(*) FILTER (WHERE value > 45) AS high, \
             count(*) FILTER (WHERE quality = 1 AND value > 25) AS raised, count(*) AS readings \
             FROM air GROUP BY sensor_id",
        ),
        Question::same(
            "modal-split",
            "SELECT date_trunc('week', time) AS week, \
             sum(bike) / sum(car + heavy + bike + pedestrian) AS bike_share, \
             sum(pedestrian) / sum(car + heavy + bike + pedestrian) AS pedestrian_share \
             FROM traffic GROUP BY 1 ORDER BY 1",
        ),
        Question::same(
            "join",
            "SELECT counted.hour AS hour, car, pm10 FROM ( \
             SELECT date_trunc('hour', time) AS hour, sum(car) AS car FROM traffic GROUP BY 1) AS counted \
             JOIN (SELECT date_trunc('hour', time) AS hour, avg(value) AS pm10 FROM air \
             WHERE property = 'pm10' GROUP BY 1) AS measured ON measured.hour = counted.hour ORDER BY 1",
        ),
        {
            let hourly = hourly(&format!(" AND time >= '{june}' AND time < '{july}'"));
            gap_filled(&hourly, &hourly)
        },
        Question::same(
            "distinct",
            "SELECT date_trunc('day', time) AS day, count(DISTINCT sensor_id) AS sensors \
             FROM air GROUP BY 1 ORDER BY 1",
        ),
        Question::same(
            "daily-means",
            "SELECT sensor_id, property, date_trunc('day', time) AS day, avg(value) AS mean, \
             count(*) AS readings FROM air GROUP BY 1, 2, 3",
        ),
        Question::new(
            "as-of",
            per_sensor(&format!("air_as_of(TIMESTAMP '{july}') WHERE")),
            per_sensor(&known(&format!("TIMESTAMPTZ '{july}'"))),
            per_sensor(&known(&format!("toDateTime64('{july}', 6, 'UTC')"))),
        ),
        csv,
        Question::same("count", "SELECT count(*) AS readings FROM air"),
    ]
}

/// A month of hours of one sensor, given as statements of ours and of the others; where it was silent, its last hour is
/// carried on.
pub(crate) fn gap_filled(ours: &str, theirs: &str) -> Question {
    let carried = |hourly: &str, grid: &str, locf: &str| {
        format!(
            "SELECT grid.time AS time, {locf} AS value FROM {grid} \
             LEFT JOIN ({hourly}) AS hourly ON hourly.hour = grid.time ORDER BY grid.time"
        )
    };
    Question::new(
        "gap-filled",
        carried(
            ours,
            "time_grid(INTERVAL '1 hour', '2025-06-01T00:00:00Z', '2025-07-01T00:00:00Z') AS grid",
            "locf(hourly.mean) OVER (ORDER BY grid.time)",
        ),
        carried(
            theirs,
            "(SELECT unnest(generate_series(TIMESTAMPTZ '2025-06-01', TIMESTAMPTZ '2025-06-30 23:00:00', \
             INTERVAL 1 HOUR)) AS time) AS grid",
            "last_value(hourly.mean IGNORE NULLS) OVER (ORDER BY grid.time)",
        ),
        format!(
            "SELECT hour AS time, mean AS value FROM ({theirs}) ORDER BY time WITH FILL \
             FROM toDateTime64('2025-06-01 00:00:00', 0, 'UTC') TO toDateTime64('2025-07-01 00:00:00', 0, 'UTC') \
             STEP INTERVAL 1 HOUR INTERPOLATE (value)"
        ),
    )
}
