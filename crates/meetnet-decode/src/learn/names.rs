//! What the names of values say: which property, which unit.

/// Words for properties, in the order in which they are tried: `(property, words)`. A word is a name without separators
/// and in lower case, or one of the parts of a name.
const PROPERTIES: &[(&str, &[&str])] = &[
    ("pm2_5", &["pm25", "pm2p5", "sdsp2", "sps30p2", "pmsp2"]),
    ("pm10", &["pm10", "pm100", "sdsp1", "sps30p1", "pmsp1"]),
    ("pm1", &["pm1", "pm010", "pm1p0", "pm01"]),
    ("pm4", &["pm4", "pm4p0", "pm40"]),
    ("no2", &["no2", "nitrogendioxide", "stikstofdioxide"]),
    ("no", &["no", "nitricoxide", "nitrogenmonoxide"]),
    ("o3", &["o3", "ozone", "ozon"]),
    ("so2", &["so2", "sulphurdioxide", "sulfurdioxide"]),
    ("black_carbon", &["bc", "blackcarbon", "soot"]),
    ("co2", &["co2", "eco2", "carbondioxide"]),
    ("co", &["co", "carbonmonoxide"]),
    ("voc_index", &["vocindex", "voc", "tvoc"]),
    (
        "dew_point",
        &["dewpoint", "dewpt", "dewptf", "dewptc", "dew", "dauwpunt"],
    ),
    (
        "globe_temperature",
        &[
            "globetemperature",
            "blackglobe",
            "globe",
            "bgt",
            "bgtf",
            "bgtc",
        ],
    ),
    ("wbgt", &["wbgt"]),
    (
        "air_temperature",
        &[
            "airtemperature",
            "temperature",
            "temp",
            "tempc",
            "tempf",
            "tc",
            "tf",
            "ta",
            "t2m",
            "temperatuur",
            "temperatur",
            "tempout",
            "outdoortemp",
            "airtemp",
            "t",
        ],
    ),
    (
        "relative_humidity",
        &[
            "relativehumidity",
            "humidity",
            "hum",
            "rh",
            "humid",
            "vochtigheid",
            "luftfeuchte",
            "luftfeuchtigkeit",
            "feuchte",
            "h",
            "relhum",
        ],
    ),
    (
        "sea_level_pressure",
        &[
            "sealevelpressure",
            "baromrel",
            "baromrelin",
            "mslp",
            "slp",
            "msl",
            "baromin",
            "pressuresealevel",
        ],
    ),
    (
        "air_pressure",
        &[
            "airpressure",
            "pressure",
            "press",
            "barometer",
            "baromabs",
            "baromabsin",
            "baro",
            "luchtdruk",
            "luftdruck",
            "p",
        ],
    ),
    (
        "wind_gust",
        &[
            "windgust",
            "gust",
            "windgustmph",
            "gustspeed",
            "windgustkmh",
        ],
    ),
    (
        "wind_direction",
        &["winddirection", "winddir", "wdir", "winddeg", "windangle"],
    ),
    (
        "wind_speed",
        &[
            "windspeed",
            "wind",
            "windspeedmph",
            "windspeedkmh",
            "ws",
            "windsnelheid",
        ],
    ),
    (
        "rain_rate",
        &[
            "rainrate",
            "rainratein",
            "precipitationrate",
            "rainintensity",
        ],
    ),
    (
        "rainfall",
        &[
            "rainfall",
            "rain",
            "rainin",
            "precipitation",
            "precip",
            "neerslag",
        ],
    ),
    (
        "solar_irradiance",
        &[
            "solarirradiance",
            "solarradiation",
            "solar",
            "radiation",
            "irradiance",
            "globalradiation",
            "ghi",
        ],
    ),
    ("uv_index", &["uvindex", "uv", "uvi"]),
    (
        "laeq",
        &[
            "laeq",
            "leq",
            "noiselaeq",
            "noise",
            "sound",
            "soundlevel",
            "db",
            "dba",
            "spl",
        ],
    ),
    ("lamin", &["lamin", "noiselamin", "lafmin"]),
    ("lamax", &["lamax", "noiselamax", "lafmax"]),
    ("la10", &["la10"]),
    ("la50", &["la50"]),
    ("la90", &["la90"]),
];

/// Words that say which unit a value has, at the end of its name.
const UNITS: &[(&str, &[&str])] = &[
    ("[degF]", &["f", "degf", "fahrenheit", "tempf"]),
    ("Cel", &["c", "degc", "celsius", "tempc"]),
    ("K", &["k", "kelvin"]),
    ("[in_i'Hg]", &["inhg"]),
    ("hPa", &["hpa"]),
    ("mbar", &["mbar", "mb"]),
    ("kPa", &["kpa"]),
    ("Pa", &["pa"]),
    ("[mi_i]/h", &["mph"]),
    ("km/h", &["kmh", "kph"]),
    ("m/s", &["ms", "mps"]),
    ("[kn_i]", &["knots", "kn", "kt"]),
    ("[in_i]", &["in", "inch", "inches"]),
    ("mm", &["mm"]),
    // Of a rate the hour is mostly left out.
    ("[in_i]/h", &["in", "inch", "inches", "inhr"]),
    ("mm/h", &["mm", "mmh", "mmhr"]),
    ("[ppb]", &["ppb"]),
    ("[ppm]", &["ppm"]),
    ("ug/m3", &["ugm3", "ug"]),
    ("mg/m3", &["mgm3", "mg"]),
];

/// Parts of names that say that a value is no reading, but a figure of a day or longer, or a sum since some moment.
const NO_READINGS: &[&str] = &[
    "24h",
    "24hr",
    "day",
    "daily",
    "today",
    "yesterday",
    "week",
    "weekly",
    "month",
    "monthly",
    "year",
    "yearly",
    "total",
    "std",
    "stddev",
];

/// Parts of a name itself that say that a value is of the device: how it is set, and how it is powered.
const OF_DEVICES: &[&str] = &[
    "setpoint",
    "target",
    "calibration",
    "offset",
    "threshold",
    "alarm",
    "batt",
    "battery",
    "unit",
];

/// Names of what stands beside a reading: the way to them says what the reading is, and not what they are.
const BESIDE_READINGS: &[&str] = &[
    "id",
    "idx",
    "index",
    "channel",
    "port",
    "count",
    "samples",
    "seq",
    "version",
    "ts",
    "time",
    "timestamp",
    "age",
    "interval",
    "rssi",
    "snr",
    "lat",
    "lon",
    "latitude",
    "longitude",
    "altitude",
];

/// Parts of names that say that a value is made of several readings. Of an interval it may be the value that is wanted.
const OF_SEVERAL: &[&str] = &[
    "avg", "average", "mean", "min", "minimum", "max", "maximum", "1h", "8h", "hourly",
];

/// How well a name says what a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fit {
    /// It is the name of the property, or a word for nothing else.
    Whole,
    /// One part of it is.
    Part,
    /// A single letter, or the way to the value.
    Hint,
}

/// Returns a name in lower case without separators: `Wind_Speed` is `windspeed`.
pub(super) fn plain(name: &str) -> String {
    let kept = name.chars().filter(|c| c.is_alphanumeric());
    kept.flat_map(char::to_lowercase).collect()
}

/// Returns the parts of a name: `BME280_tempC` is `bme280`, `temp`, `c`.
pub(super) fn tokens(name: &str) -> Vec<String> {
    let mut tokens = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        let starts = !c.is_alphanumeric() || (c.is_uppercase() && was_lower);
        if starts && tokens.last().is_some_and(|token| !token.is_empty()) {
            tokens.push(String::new());
        }
        was_lower = c.is_lowercase();
        if let Some(token) = tokens.last_mut().filter(|_| c.is_alphanumeric()) {
            token.extend(c.to_lowercase());
        }
    }
    tokens.retain(|token| !token.is_empty());
    tokens
}

/// Returns the properties that a name can be of, the likeliest first.
pub(super) fn properties(name: &str, path: &str) -> Vec<(&'static str, Fit)> {
    let whole = plain(name);
    let parts = tokens(name);
    let on_the_way: Vec<String> = tokens(path);
    let has = |parts: &[String], words: &[&str]| {
        let mut parts = parts.iter();
        parts.any(|part| words.contains(&part.as_str()))
    };
    let is_none = has(&parts, NO_READINGS) || has(&on_the_way, NO_READINGS);
    if is_none || has(&parts, OF_DEVICES) {
        return Vec::new();
    }
    let is_of_several = has(&parts, OF_SEVERAL);
    let is_beside = BESIDE_READINGS.contains(&whole.as_str());
    let mut found: Vec<(&'static str, Fit)> = PROPERTIES
        .iter()
        .filter_map(|(property, words)| {
            let is = |text: &String| words.contains(&text.as_str()) || *text == plain(property);
            // `serial_no` is no nitric oxide.
            let is_short = |text: &String| text == "no";
            let fit = if is(&whole) {
                if whole.len() < 2 {
                    Fit::Hint
                } else {
                    Fit::Whole
                }
            } else if neighbours(&parts)
                .iter()
                .any(|text| is(text) && !is_short(text))
            {
                if is_of_several { Fit::Hint } else { Fit::Part }
            } else if !is_beside
                && neighbours(&on_the_way)
                    .iter()
                    .any(|text| is(text) && !is_short(text))
            {
                Fit::Hint
            } else {
                return None;
            };
            Some((*property, fit))
        })
        .collect();
    // Stable: of equal fits the earlier in the table, which has the longer words first.
    found.sort_by_key(|(_, fit)| *fit);
    found
}

/// Returns the parts of a name, and each with the one behind it: `wind`, `speed`, `windspeed`.
fn neighbours(parts: &[String]) -> Vec<String> {
    let pairs = parts.windows(2).map(|pair| pair.concat());
    let triples = parts.windows(3).map(|three| three.concat());
    triples
        .chain(pairs)
        .chain(parts.iter().filter(|part| part.len() > 1).cloned())
        .collect()
}

/// Returns the units that a name can end in: `in` is an inch, and of rain in an hour an inch per hour.
pub(super) fn units(name: &str) -> Vec<&'static str> {
    let parts = tokens(name);
    let whole = plain(name);
    let says = |word: &&str| {
        let is_last_part = parts.len() > 1 && parts.last().is_some_and(|last| last == *word);
        // A short one may be the end of any word, so what stands before it must be one itself: `rainratein`, `tempf`.
        let is_end = whole.strip_suffix(*word).is_some_and(|before| {
            word.len() > 2 || (before.len() > 1 && is_word_of_property(before))
        });
        is_last_part || is_end
    };
    let ends_in = UNITS.iter().filter(|(_, words)| words.iter().any(says));
    ends_in.map(|(unit, _)| *unit).collect()
}

fn is_word_of_property(text: &str) -> bool {
    let mut properties = PROPERTIES.iter();
    properties.any(|(property, words)| words.contains(&text) || plain(property) == text)
}
