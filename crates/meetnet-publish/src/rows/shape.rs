//! The parameters that shape a page: where its rows are, in which order they come, and whether they are made into buckets.

use meetnet_model::time::day_or_time_in;
use meetnet_query::{BucketAggregate, Every, PageArea, PageBuckets};

use super::bad;
use crate::parameters::{cut, wrong_value};
use crate::problem::Problem;

/// Metres around `near` where `radius` is left out.
const RADIUS_DEFAULT_M: f64 = 1000.0;
/// Half the way around the Earth.
pub(crate) const RADIUS_MAX_M: f64 = 20_100_000.0;
/// What is computed where `agg` is left out.
const AGGREGATE_DEFAULT: &str = "mean";

/// The parameters as they are written.
#[derive(Debug, Default)]
pub(super) struct Shape {
    pub(super) bbox: Option<String>,
    pub(super) near: Option<String>,
    pub(super) radius: Option<String>,
    pub(super) order: Option<String>,
    pub(super) every: Option<String>,
    pub(super) agg: Option<String>,
    pub(super) zone: Option<String>,
    pub(super) gaps: Option<String>,
}

impl Shape {
    /// Reads `bbox=west,south,east,north`, or `near=lon,lat` with `radius` in metres.
    pub(super) fn area(&self) -> Result<Option<PageArea>, Problem> {
        if let Some(bbox) = &self.bbox {
            if let Some(near) = &self.near {
                return Err(bad(format!(
                    "give bbox or near, not both: they were given `{}` and `{}`",
                    cut(bbox),
                    cut(near)
                )));
            }
            if let Some(radius) = &self.radius {
                return Err(without_near(radius));
            }
            let accepted = "west,south,east,north in degrees, such as 4.6,50.8,4.8,50.95";
            let numbers = numbers::<4>(bbox).filter(|[west, south, east, north]| {
                is_place(*west, *south) && is_place(*east, *north)
            });
            let Some([west, south, east, north]) = numbers else {
                return Err(wrong_value("bbox", bbox, accepted));
            };
            if south > north {
                // Each of the four is right by itself, so which two are not together is said.
                return Err(bad(format!(
                    "bbox takes {accepted}; it was given `{}`, whose south {south} lies above its north {north}",
                    cut(bbox)
                )));
            }
            return Ok(Some(PageArea::Box {
                west,
                south,
                east,
                north,
            }));
        }
        let Some(near) = &self.near else {
            return match &self.radius {
                None => Ok(None),
                Some(radius) => Err(without_near(radius)),
            };
        };
        let place = numbers::<2>(near).filter(|[lon, lat]| is_place(*lon, *lat));
        let Some([lon, lat]) = place else {
            let accepted = "lon,lat in degrees, such as 4.7005,50.8798";
            return Err(wrong_value("near", near, accepted));
        };
        let radius_m = match &self.radius {
            None => RADIUS_DEFAULT_M,
            Some(text) => {
                let metres = text.parse::<f64>().ok();
                let metres = metres.filter(|metres| (0.0..=RADIUS_MAX_M).contains(metres));
                metres.ok_or_else(|| {
                    let accepted = format!("metres from 0 to {RADIUS_MAX_M}, such as 500");
                    wrong_value("radius", text, &accepted)
                })?
            }
        };
        Ok(Some(PageArea::Around { lon, lat, radius_m }))
    }

    /// Reads `order=-time,sensor_id`: columns of the key, those from the greatest down with `-`.
    pub(super) fn order(&self) -> Result<Vec<(String, bool)>, Problem> {
        let mut order = Vec::new();
        let given = self.order.as_deref();
        for name in given.into_iter().flat_map(|order| order.split(',')) {
            let name = name.trim();
            let down = name.strip_prefix('-');
            let column = down.unwrap_or(name);
            if column.is_empty() {
                let accepted = "names of columns with commas between them, from the greatest down with - before, such as \
                                -time,sensor_id";
                return Err(wrong_value("order", given.unwrap_or_default(), accepted));
            }
            order.push((column.to_owned(), down.is_some()));
        }
        Ok(order)
    }

    /// Reads `every=1h&agg=mean,p95&zone=Europe/Brussels&gaps=mark`; `span` is from when to when rows are asked for, and `zone` by
    /// whose clocks the rows of the dataset are days.
    pub(super) fn buckets(
        &self,
        span: Option<(i64, i64)>,
        zone: Option<&str>,
    ) -> Result<Option<PageBuckets>, Problem> {
        let Some(every) = &self.every else {
            let alone = [
                ("agg", &self.agg),
                ("zone", &self.zone),
                ("gaps", &self.gaps),
            ];
            let mut alone = alone.iter();
            return match alone.find_map(|(name, value)| Some((name, value.as_deref()?))) {
                None => Ok(None),
                Some((name, value)) => Err(bad(format!(
                    "{name} goes with every, such as every=1h; it was given `{}`",
                    cut(value)
                ))),
            };
        };
        let every = every
            .parse::<Every>()
            .map_err(|accepted| wrong_value("every", every, accepted))?;
        if let Some(named) = &self.zone
            && day_or_time_in("2026-01-01", Some(named)).is_none()
        {
            let accepted = "the IANA name of a time zone, such as Europe/Brussels or UTC";
            return Err(wrong_value("zone", named, accepted));
        }
        let named = self.agg.as_deref().unwrap_or(AGGREGATE_DEFAULT);
        let mut aggregates: Vec<BucketAggregate> = Vec::new();
        for name in named.split(',') {
            let aggregate = BucketAggregate::parse(name.trim());
            let aggregate = aggregate.filter(|aggregate| !aggregates.contains(aggregate));
            aggregates.push(aggregate.ok_or_else(|| {
                let names = BucketAggregate::NAMES;
                let accepted =
                    format!("{names}, each once, with commas between them, such as mean,max");
                wrong_value("agg", named, &accepted)
            })?);
        }
        let gaps = match self.gaps.as_deref() {
            None => None,
            Some("mark") => Some(span.ok_or_else(|| {
                bad(
                    "gaps=mark needs from and to, or there would be no end of gaps: such as from=2026-01-01&to=2026-01-02",
                )
            })?),
            Some(gaps) => return Err(wrong_value("gaps", gaps, "mark, as in gaps=mark")),
        };
        Ok(Some(PageBuckets {
            every,
            zone: self.zone.as_deref().or(zone).unwrap_or("UTC").to_owned(),
            aggregates,
            gaps,
        }))
    }
}

fn without_near(radius: &str) -> Problem {
    bad(format!(
        "radius goes with near=lon,lat, such as near=4.7005,50.8798&radius=500; it was given `{}`",
        cut(radius)
    ))
}

fn is_place(lon: f64, lat: f64) -> bool {
    (-180.0..=180.0).contains(&lon) && (-90.0..=90.0).contains(&lat)
}

/// Reads so many finite numbers with commas between them.
fn numbers<const COUNT: usize>(text: &str) -> Option<[f64; COUNT]> {
    let numbers: Vec<f64> = text
        .split(',')
        .map(|number| {
            number
                .trim()
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite())
        })
        .collect::<Option<_>>()?;
    numbers.try_into().ok()
}
