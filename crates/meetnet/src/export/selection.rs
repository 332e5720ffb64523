//! Which rows are exported, as SQL. Texts of the command line are quoted; nothing of them is read as SQL.

use std::str::FromStr;

use meetnet_model::common::INTERVAL_S;
use meetnet_model::time::format_rfc3339;

use super::windows::{Step, Subject, Window};
use crate::sql::{identifier, quoted};

#[cfg(test)]
mod tests;

/// Columns that say what a row is about.
const SUBJECTS: [&str; 3] = ["sensor_id", "segment_id", "id"];
/// Columns that say when.
const TIMES: [&str; 2] = ["time", "valid_from"];
const PROPERTY: &str = "property";

/// West, south, east and north in degrees; west may lie east of east, across the 180th meridian.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Area([f64; 4]);

impl FromStr for Area {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split(',').map(|number| number.trim().parse::<f64>());
        let numbers: Result<Vec<f64>, _> = numbers.collect();
        let sides: Option<[f64; 4]> = numbers.ok().and_then(|numbers| numbers.try_into().ok());
        let sides = sides.filter(|[west, south, east, north]| {
            let is_lon = |lon: &f64| (-180.0..=180.0).contains(lon);
            let is_lat = |lat: &f64| (-90.0..=90.0).contains(lat);
            is_lon(west) && is_lon(east) && is_lat(south) && is_lat(north)
        });
        let accepted = "write west,south,east,north in degrees, for example 4.6,50.8,4.8,51.0";
        match sides {
            // Each of the four is right by itself, so which two are not together is said.
            Some([_, south, _, north]) if south > north => Err(format!(
                "the south {south} lies above the north {north}; {accepted}"
            )),
            Some(sides) => Ok(Self(sides)),
            None => Err(accepted.to_owned()),
        }
    }
}

impl Area {
    fn condition(self) -> String {
        let Self([west, south, east, north]) = self;
        let lon = if west <= east {
            format!("lon BETWEEN {west} AND {east}")
        } else {
            format!("(lon >= {west} OR lon <= {east})")
        };
        format!("{lon} AND lat BETWEEN {south} AND {north}")
    }
}

/// The question for the names of all tables.
pub(super) const TABLES: &str = "SELECT table_name FROM information_schema.tables";

/// Returns the question for names and types of a dataset's columns.
pub(super) fn columns_of(dataset: &str) -> String {
    format!(
        "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = {} ORDER BY ordinal_position",
        quoted(dataset)
    )
}

/// Returns the question for the properties that a dataset has rows of.
pub(super) fn properties_of(dataset: &str) -> String {
    format!(
        "SELECT DISTINCT {PROPERTY} FROM {} ORDER BY 1",
        identifier(dataset)
    )
}

/// Which rows of a dataset.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    pub(super) dataset: String,
    /// Names and types.
    pub(super) columns: Vec<(String, String)>,
    /// µs since 1970 UTC.
    pub(super) from: Option<i64>,
    pub(super) to: Option<i64>,
    /// Empty: all, as for subjects.
    pub(super) properties: Vec<String>,
    pub(super) subjects: Vec<String>,
    pub(super) area: Option<Area>,
    /// The table of places whose `lon` and `lat` each row gets; None: rows are as they are.
    pub(super) places: Option<&'static str>,
    /// The columns in whose order the files lie; none: it is not known.
    pub(super) key: Vec<String>,
}

impl Selection {
    /// Selects all rows.
    pub(super) fn of(dataset: &str, columns: Vec<(String, String)>) -> Self {
        Self {
            dataset: dataset.to_owned(),
            columns,
            ..Self::default()
        }
    }

    /// Returns the first of some columns that there is, with its type.
    fn column(&self, names: &[&'static str]) -> Option<(&'static str, &str)> {
        names.iter().find_map(|name| {
            let (_, data_type) = self.columns.iter().find(|(known, _)| known == name)?;
            Some((*name, data_type.as_str()))
        })
    }

    /// Returns true where what rows are about are numbers.
    pub(super) fn has_number_subjects(&self) -> bool {
        let subject = self.column(&SUBJECTS);
        subject.is_some_and(|(_, data_type)| data_type != "text")
    }

    /// Says what is asked for and the dataset does not have.
    ///
    /// # Errors
    /// That.
    pub(super) fn check(&self) -> Result<(), String> {
        let dataset = &self.dataset;
        let is_of_time = self.from.is_some() || self.to.is_some();
        if is_of_time && self.column(&TIMES).is_none() {
            return Err(format!(
                "`{dataset}` has no times; leave out --from and --to"
            ));
        }
        if !self.properties.is_empty() && self.column(&[PROPERTY]).is_none() {
            return Err(format!(
                "`{dataset}` has a column for each property and no --property; `meetnet sql` takes single columns"
            ));
        }
        let Some((subject, data_type)) = self.column(&SUBJECTS) else {
            if self.subjects.is_empty() && self.area.is_none() {
                return Ok(());
            }
            let option = if self.subjects.is_empty() {
                "--bbox"
            } else {
                "--sensor"
            };
            let mut cells = self
                .columns
                .iter()
                .filter(|(name, _)| name.starts_with("h3_"));
            let hint = cells.next().map_or_else(String::new, |(cells, _)| {
                format!("; it tells of the H3 cells in `{cells}`, and `meetnet sql` takes any condition on them")
            });
            return Err(format!(
                "`{dataset}` tells of no sensors or segments and has no {option}{hint}"
            ));
        };
        let is_number = data_type != "text";
        let wrong = self
            .subjects
            .iter()
            .find(|id| is_number && id.parse::<i64>().is_err());
        match wrong {
            Some(id) => Err(format!(
                "{subject} in `{dataset}` is a number, and `{id}` is none"
            )),
            None => Ok(()),
        }
    }

    /// Returns the conditions, within a window.
    fn conditions(&self, window: &Window) -> String {
        let mut conditions = Vec::new();
        if let Some((time, _)) = self.column(&TIMES) {
            let from = self.from.max(window.from);
            let to = [self.to, window.to].into_iter().flatten().min();
            let at = |time: i64| quoted(&format_rfc3339(time));
            conditions.extend(from.map(|from| format!("{time} >= {}", at(from))));
            conditions.extend(to.map(|to| format!("{time} < {}", at(to))));
        }
        if !self.properties.is_empty() {
            let names = self.properties.iter().map(|name| quoted(name));
            conditions.push(one_of(PROPERTY, names));
        }
        if let Some((subject, data_type)) = self.column(&SUBJECTS) {
            let bounds = [(">=", &window.first), ("<", &window.behind)];
            for (comparison, bound) in bounds {
                match bound {
                    Some(Subject::Number(id)) => {
                        conditions.push(format!("{subject} {comparison} {id}"));
                    }
                    Some(Subject::Text(id)) => {
                        conditions.push(format!("{subject} {comparison} {}", quoted(id)));
                    }
                    None => {}
                }
            }
            if !self.subjects.is_empty() {
                let ids = self.subjects.iter();
                conditions.push(if data_type == "text" {
                    one_of(subject, ids.map(|id| quoted(id)))
                } else {
                    one_of(subject, ids.cloned())
                });
            }
            if let Some(area) = self.area {
                conditions.push(self.within(area, subject));
            }
        }
        if conditions.is_empty() {
            return String::new();
        }
        format!(" WHERE {}", conditions.join(" AND "))
    }

    fn has_position(&self) -> bool {
        self.column(&["lon"]).is_some() && self.column(&["lat"]).is_some()
    }

    /// Returns the table that says where rows are which do not say it themselves; None where no table does.
    pub(super) fn told_by(&self) -> Option<&'static str> {
        if self.has_position() || self.column(&["geometry"]).is_some() {
            return None;
        }
        self.column(&["time"])?;
        let (subject, _) = self.column(&["sensor_id", "segment_id"])?;
        Some(places_of(subject))
    }

    /// Places have their own position, other rows that of their subject at any time.
    fn within(&self, area: Area, subject: &str) -> String {
        let condition = area.condition();
        if self.has_position() {
            return format!("({condition})");
        }
        let places = places_of(subject);
        format!("{subject} IN (SELECT id FROM {places} WHERE {condition})")
    }

    fn source(&self, window: &Window) -> String {
        format!(
            "FROM {}{}",
            identifier(&self.dataset),
            self.conditions(window)
        )
    }

    /// Returns a question for no rows of everything that an export reads.
    pub(super) fn nothing(&self) -> String {
        let all = Window::default();
        match self.places {
            None => format!("SELECT 1 {} LIMIT 0", self.source(&all)),
            Some(_) => format!("SELECT 1 FROM ({}) AS selected LIMIT 0", self.rows(&all)),
        }
    }

    /// Returns the question for the number of rows per subject; none where rows are about nothing.
    pub(super) fn subject_counts(&self) -> Option<String> {
        let (subject, _) = self.column(&SUBJECTS)?;
        let source = self.source(&Window::default());
        Some(format!(
            "SELECT {subject}, count(*) AS n {source} GROUP BY 1 ORDER BY 1"
        ))
    }

    /// Returns the question for the number of rows per step of time; without times all rows are of 1970.
    pub(super) fn counts(&self, window: &Window, step: Step) -> String {
        let source = self.source(window);
        match self.column(&TIMES) {
            Some((time, _)) => format!(
                "SELECT date_trunc('{}', {time}) AS step, count(*) AS n {source} GROUP BY 1 ORDER BY 1",
                step.as_str()
            ),
            None => format!(
                "SELECT '1970-01-01T00:00:00Z' AS step, count(*) AS n {source} HAVING count(*) > 0"
            ),
        }
    }

    /// Returns the question for the rows of a window. Their order is that of the key, so that an export as of a time is one
    /// file and no other. It is the key as it is declared, neither exchanged nor with more behind it: so files lie already,
    /// and in any other order each window would be sorted in memory.
    pub(super) fn rows(&self, window: &Window) -> String {
        let mut order: Vec<String> = if self.key.is_empty() {
            let parts = [&SUBJECTS[..], &[PROPERTY], &[INTERVAL_S], &TIMES];
            let order = parts.iter().filter_map(|names| self.column(names));
            order.map(|(name, _)| name.to_owned()).collect()
        } else {
            self.key.iter().map(|name| identifier(name)).collect()
        };
        let mut statement = format!("SELECT * {}", self.source(window));
        if let Some((places, (subject, _))) = self.places.zip(self.column(&SUBJECTS)) {
            let columns = self.columns.iter();
            let columns: Vec<String> = columns
                .map(|(name, _)| format!("held.{}", identifier(name)))
                .collect();
            // As the rows API tells it: the first period of a place holds from the beginning, each until the next.
            statement = format!(
                "SELECT {}, place.lon, place.lat FROM ({statement}) AS held LEFT JOIN (SELECT id, lon, lat, valid_from, valid_to, \
                 lag(valid_from) OVER (PARTITION BY id ORDER BY valid_from) AS earlier, \
                 lead(valid_from) OVER (PARTITION BY id ORDER BY valid_from) AS later FROM {places}) AS place \
                 ON place.id = held.{subject} AND (place.earlier IS NULL OR place.valid_from <= held.time) \
                 AND (place.valid_to IS NULL OR place.valid_to > held.time) \
                 AND (place.later IS NULL OR place.later > held.time)",
                columns.join(", ")
            );
            for name in &mut order {
                name.insert_str(0, "held.");
            }
        }
        if !order.is_empty() {
            statement.push_str(&format!(" ORDER BY {}", order.join(", ")));
        }
        statement
    }
}

/// Returns the table that says where a subject is.
fn places_of(subject: &str) -> &'static str {
    match subject {
        "segment_id" => "segments",
        _ => "stations",
    }
}

fn one_of(column: &str, literals: impl Iterator<Item = String>) -> String {
    let literals: Vec<String> = literals.collect();
    format!("{column} IN ({})", literals.join(", "))
}
