//! What a polled source is configured with, checked once.

use std::time::Duration;

use reqwest::Url;

use super::fetch::{Answer, Credential, Request};
use super::pace::HostLimits;
use super::plan::{Target, Window, WindowRule};
use super::verdict::Verdict;
use super::{ircel, opensensemap, sensor_community, telraam};

/// Which API is polled, and what of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Api {
    /// Telraam's traffic reports.
    Telraam(TelraamOptions),
    /// sensor.community: what its sensors said in the last minutes, and its archive.
    SensorCommunity(SensorCommunityOptions),
    /// IRCEL-CELINE: time series of the official stations, and layers of their newest values.
    Ircel(IrcelOptions),
    /// openSenseMap: sensors of boxes.
    OpenSenseMap(Vec<Series>),
}

/// Which sensors of sensor.community are polled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SensorCommunityOptions {
    /// Around a place: latitude, longitude, kilometres.
    pub area: Option<[f64; 3]>,
    /// Within a box: latitude and longitude of two corners.
    pub within: Option<[f64; 4]>,
    /// In a country, two letters.
    pub country: Option<String>,
    /// Sensors whose days are taken from the archive, as its files are named: `sds011_sensor_12345`.
    pub archive: Vec<String>,
    /// Where the archive is.
    pub archive_url: Option<Url>,
}

impl SensorCommunityOptions {
    /// Reads the address of an archive.
    ///
    /// # Errors
    /// Where it is none.
    pub fn archive_at(url: &str) -> Result<Url, PollOptionsError> {
        read_url(url)
    }
}

/// What of IRCEL-CELINE is polled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IrcelOptions {
    /// Time series of the REST API.
    pub series: Vec<Series>,
    /// Layers of the WFS: `pm10_hmean_station`.
    pub layers: Vec<Layer>,
}

/// One time series of an API, and what it measures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// How the API names it; at openSenseMap box and sensor, `BOX/SENSOR`.
    pub id: String,
    /// The sensor id of its rows, without the namespace.
    pub sensor: String,
    /// The property that it measures.
    pub property: String,
    /// The unit of its values; none: the property's own.
    pub unit: Option<String>,
    /// Length of the averaging interval, seconds.
    pub interval_s: Option<i64>,
}

/// One layer of the newest values of all stations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Its name without the workspace.
    pub id: String,
    /// The property that it shows.
    pub property: String,
    /// The unit of its values; none: the property's own.
    pub unit: Option<String>,
    /// Length of the averaging interval, seconds.
    pub interval_s: Option<i64>,
}

/// What of Telraam is polled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TelraamOptions {
    /// Road segments by their number.
    pub segments: Vec<i64>,
    /// Whether the advanced API is asked, which counts per quarter of an hour and by finer modes; it has to be paid for.
    pub advanced: bool,
    /// Whether the segments themselves are asked for, once a week: their lines.
    pub geometry: bool,
}

/// How a source is polled.
#[derive(Clone, Debug, PartialEq)]
pub struct PollOptions {
    /// The API.
    pub api: Api,
    /// Where it is: `https://…`, or `http://…` for a server of one's own network.
    pub url: Url,
    /// How often each target is asked.
    pub interval: Duration,
    /// Once a day, everything up to this long ago is asked for again: APIs correct what they said.
    pub reask: Duration,
    /// Where a target without a cursor begins, µs since 1970 UTC; none: `reask` ago.
    pub since: Option<i64>,
    /// How fast the host may be asked.
    pub limits: HostLimits,
    /// Largest body of an answer, bytes; it must also fit into the journal's `pending_bytes_max`.
    pub body_bytes_max: usize,
    /// Longest time for a whole answer.
    pub request_time_max: Duration,
    /// Who runs this, for the `User-Agent`: an address that the API's operator can write to.
    pub contact: Option<String>,
}

/// Why options cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PollOptionsError {
    /// No `http` or `https` URL with a host.
    #[error("`{0}` is no address of an API; write https://HOST")]
    Url(String),
    /// A user, query or fragment in the URL.
    #[error("the url is https://HOST or https://HOST/PATH, without user, query or fragment")]
    UrlParts,
    /// There is nothing to poll.
    #[error("there is nothing to poll; name {0}")]
    NothingToPoll(&'static str),
    /// Asked too often.
    #[error("an interval below 10 s is no polling; write \"1m\" or more")]
    Interval,
    /// A number that cannot be right.
    #[error("{0}")]
    Value(String),
    /// A key with characters that no header can carry.
    #[error(
        "the api_key has characters that a header cannot carry; it is read from another place by mistake"
    )]
    Key,
}

impl PollOptions {
    /// Returns the options of an API with its defaults.
    ///
    /// # Errors
    /// Where the URL is none that can be polled.
    pub fn new(api: Api, url: &str) -> Result<Self, PollOptionsError> {
        let parsed = read_url(url)?;
        let defaults = api.defaults();
        Ok(Self {
            api,
            url: parsed,
            interval: defaults.interval,
            reask: defaults.reask,
            since: None,
            limits: defaults.limits,
            body_bytes_max: 8 * 1024 * 1024,
            request_time_max: Duration::from_secs(60),
            contact: None,
        })
    }

    /// Checks what can be checked without asking.
    ///
    /// # Errors
    /// The first thing that cannot work.
    pub fn check(&self) -> Result<(), PollOptionsError> {
        if self.interval < Duration::from_secs(10) {
            return Err(PollOptionsError::Interval);
        }
        match &self.api {
            Api::Telraam(telraam) => telraam::check(telraam),
            Api::SensorCommunity(of) => sensor_community::check(of, self),
            Api::Ircel(of) => ircel::check(of),
            Api::OpenSenseMap(series) => opensensemap::check(series),
        }
    }

    pub(crate) fn user_agent(&self) -> String {
        let contact = self.contact.as_deref().unwrap_or("no contact given");
        format!("meetnet/{} ({contact})", env!("CARGO_PKG_VERSION"))
    }

    /// Returns the URL of a path below the API's own.
    pub(crate) fn endpoint(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}{path}"));
        url
    }

    pub(crate) fn micros(duration: Duration) -> i64 {
        i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
    }

    /// Returns a rule with what is configured; what the API is like comes as `api`.
    pub(crate) fn windows(&self, api: WindowsOfApi) -> WindowRule {
        let reask = Self::micros(self.reask).max(api.align);
        WindowRule {
            align: api.align,
            closed_after: api.closed_after,
            overlap: api.overlap.min(reask),
            reask,
            since: self.since,
            chunk_max: api.chunk_max,
        }
    }
}

fn read_url(url: &str) -> Result<Url, PollOptionsError> {
    let parsed = Url::parse(url)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| PollOptionsError::Url(url.to_owned()))?;
    let has_user = !parsed.username().is_empty() || parsed.password().is_some();
    if has_user || parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(PollOptionsError::UrlParts);
    }
    Ok(parsed)
}

/// What an API says of its periods; see [`WindowRule`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct WindowsOfApi {
    pub(crate) align: i64,
    pub(crate) closed_after: i64,
    pub(crate) overlap: i64,
    pub(crate) chunk_max: i64,
}

/// Returns the host of a URL, which its limits are kept by.
pub(crate) fn host_of(url: &Url) -> String {
    let port = url.port_or_known_default().unwrap_or(0);
    format!("{}:{port}", url.host_str().unwrap_or_default())
}

struct Defaults {
    interval: Duration,
    reask: Duration,
    limits: HostLimits,
}

const HOUR: Duration = Duration::from_secs(3_600);

impl Api {
    fn defaults(&self) -> Defaults {
        match self {
            // Not documented by Telraam; what its clients keep to, with the quota of a free key.
            Self::Telraam(_) => Defaults {
                interval: HOUR,
                reask: 72 * HOUR,
                limits: HostLimits {
                    pause: Duration::from_secs(1),
                    requests_per_day_max: Some(1_000),
                },
            },
            // Its data is made anew every five minutes; archives of a day appear the next morning.
            Self::SensorCommunity(_) => Defaults {
                interval: HOUR / 12,
                reask: 48 * HOUR,
                limits: HostLimits {
                    pause: Duration::from_secs(2),
                    requests_per_day_max: None,
                },
            },
            Self::Ircel(_) => Defaults {
                interval: HOUR / 2,
                reask: 72 * HOUR,
                limits: HostLimits {
                    pause: Duration::from_secs(1),
                    requests_per_day_max: None,
                },
            },
            Self::OpenSenseMap(_) => Defaults {
                interval: HOUR / 6,
                reask: 24 * HOUR,
                limits: HostLimits {
                    pause: Duration::from_secs(1),
                    requests_per_day_max: None,
                },
            },
        }
    }

    /// Returns a second host that the API has, if it has one.
    pub(crate) fn second_host(&self) -> Option<String> {
        match self {
            Self::SensorCommunity(of) => Some(host_of(&sensor_community::archive_url(of))),
            Self::Telraam(_) | Self::Ircel(_) | Self::OpenSenseMap(_) => None,
        }
    }

    /// Returns what is asked one by one.
    pub(crate) fn targets(&self, options: &PollOptions) -> Vec<Target> {
        match self {
            Self::Telraam(telraam) => telraam::targets(telraam, options),
            Self::SensorCommunity(of) => sensor_community::targets(of, options),
            Self::Ircel(of) => ircel::targets(of, options),
            Self::OpenSenseMap(series) => opensensemap::targets(series, options),
        }
    }

    /// Returns the request for a window of a target.
    pub(crate) fn request(
        &self,
        options: &PollOptions,
        target: &Target,
        window: Option<Window>,
    ) -> Request {
        match self {
            Self::Telraam(telraam) => telraam::request(telraam, options, target, window),
            Self::SensorCommunity(of) => sensor_community::request(of, options, target, window),
            Self::Ircel(_) => ircel::request(options, target, window),
            Self::OpenSenseMap(_) => opensensemap::request(options, target, window),
        }
    }

    /// Says what an answer means.
    pub(crate) fn read(&self, target: &Target, answer: &Answer) -> Verdict {
        match self {
            Self::Telraam(_) => telraam::read(answer),
            Self::SensorCommunity(_) => sensor_community::read(target, answer),
            Self::Ircel(_) => ircel::read(target, answer),
            Self::OpenSenseMap(_) => opensensemap::read(target, answer),
        }
    }

    /// Returns what decoding needs to know of a target beside its body.
    pub(crate) fn meta(&self, target: &Target) -> Vec<(&'static str, String)> {
        match self {
            Self::Telraam(_) | Self::SensorCommunity(_) => Vec::new(),
            Self::Ircel(of) => ircel::meta(of, target),
            Self::OpenSenseMap(series) => opensensemap::meta(series, target),
        }
    }

    /// Returns how the API wants its key.
    pub(crate) fn credential(&self, key: &str) -> Result<Credential, PollOptionsError> {
        match self {
            Self::Telraam(_) => telraam::credential(key),
            Self::SensorCommunity(_) | Self::Ircel(_) | Self::OpenSenseMap(_) => {
                let message = "the API takes no key; remove api_key";
                Err(PollOptionsError::Value(message.to_owned()))
            }
        }
    }

    /// Names of members that are personal data: dropped before the journal.
    pub(crate) fn personal_members(&self) -> &'static [&'static str] {
        match self {
            Self::Telraam(_) => &telraam::PERSONAL_MEMBERS,
            Self::OpenSenseMap(_) => &opensensemap::PERSONAL_MEMBERS,
            Self::SensorCommunity(_) | Self::Ircel(_) => &[],
        }
    }
}
