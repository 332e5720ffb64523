//! Topic patterns with named captures: which part of a topic says which device speaks.
//!
//! | level | takes | captures |
//! |---|---|---|
//! | `tele` | that level | – |
//! | `+` | one level | – |
//! | `#` (last) | all further levels, also none | – |
//! | `{device}` | one level | it |
//! | `dev-{device}` | one level that begins so | the rest of it; likewise `{device}-out` and `dev-{device}-out` |
//! | `{device...}` (last) | one or more further levels | them, with the `/` between (zigbee2mqtt names may hold one) |
//!
//! A source may have several patterns; the first that takes a topic counts. A broker is asked for
//! [`TopicPattern::subscription`]; a `$share/GROUP/` in front of a pattern is the broker's business and not matched.

use crate::error::SetupProblem;
use crate::words;

/// Captures that one pattern can have.
const CAPTURES_MAX: usize = 8;

/// Characters that mean something in a pattern.
const SPECIAL: [char; 4] = ['+', '#', '{', '}'];

/// What the named captures of a pattern took, in the order of the pattern.
pub(crate) type Captures<'t> = [&'t str; CAPTURES_MAX];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Level {
    Literal(Box<str>),
    Any,
    AnyRest,
    Capture {
        /// What stands before and behind it in the level.
        prefix: Box<str>,
        suffix: Box<str>,
    },
    CaptureRest,
}

/// A topic pattern, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPattern {
    text: Box<str>,
    share: Option<Box<str>>,
    levels: Vec<Level>,
    names: Vec<Box<str>>,
}

impl TopicPattern {
    /// Reads a pattern; on error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, SetupProblem> {
        let wrong = |reason| SetupProblem::Topic {
            pattern: text.to_owned(),
            reason,
        };
        let (share, filter) = match text.strip_prefix("$share/") {
            None => (None, text),
            Some(rest) => {
                let (group, filter) = rest
                    .split_once('/')
                    .filter(|(group, _)| !group.is_empty() && !group.contains(['+', '#']))
                    .ok_or_else(|| wrong("$share needs a group and a topic"))?;
                (Some(group.into()), filter)
            }
        };
        if filter.is_empty() {
            return Err(wrong("it is empty"));
        }
        let mut levels: Vec<Level> = Vec::new();
        let mut names: Vec<Box<str>> = Vec::new();
        for level in filter.split('/') {
            if matches!(levels.last(), Some(Level::AnyRest | Level::CaptureRest)) {
                return Err(wrong(
                    "`#` and `{name...}` take all further levels, so they must stand last",
                ));
            }
            let capture = match level.split_once('{') {
                None => None,
                Some((prefix, rest)) => {
                    let (name, suffix) = rest
                        .split_once('}')
                        .ok_or_else(|| wrong("a brace is not closed"))?;
                    Some((prefix, name, suffix))
                }
            };
            levels.push(match (level, capture) {
                ("+", _) => Level::Any,
                ("#", _) => Level::AnyRest,
                (_, Some((prefix, name, suffix))) => {
                    if [prefix, suffix].iter().any(|part| part.contains(SPECIAL)) {
                        return Err(wrong(
                            "a level has one capture at most, and `+` and `#` take a whole level",
                        ));
                    }
                    let is_whole = prefix.is_empty() && suffix.is_empty();
                    let (name, level) = match name.strip_suffix("...") {
                        Some(name) if is_whole => (name, Level::CaptureRest),
                        Some(_) => return Err(wrong("`{name...}` takes whole levels")),
                        None => {
                            let (prefix, suffix) = (prefix.into(), suffix.into());
                            (name, Level::Capture { prefix, suffix })
                        }
                    };
                    if !is_capture_name(name) {
                        return Err(wrong("a capture is named with a-z, 0-9 and _: `{device}`"));
                    }
                    if names.iter().any(|known| &**known == name) {
                        return Err(wrong("two captures have one name"));
                    }
                    if names.len() == CAPTURES_MAX {
                        return Err(wrong("it has more than 8 captures"));
                    }
                    names.push(name.into());
                    level
                }
                (literal, None) => {
                    if literal.contains(SPECIAL) {
                        return Err(wrong("`+` and `#` take a whole level, and braces a name"));
                    }
                    Level::Literal(literal.into())
                }
            });
        }
        Ok(Self {
            text: text.into(),
            share,
            levels,
            names,
        })
    }

    /// Returns the topic filter that a broker understands.
    pub fn subscription(&self) -> String {
        let levels: Vec<&str> = self
            .levels
            .iter()
            .map(|level| match level {
                Level::Literal(literal) => literal,
                // MQTT has no wildcard for a part of a level: the rest is compared here.
                Level::Any | Level::Capture { .. } => "+",
                Level::AnyRest | Level::CaptureRest => "#",
            })
            .collect();
        match &self.share {
            None => levels.join("/"),
            Some(group) => format!("$share/{group}/{}", levels.join("/")),
        }
    }

    /// Returns true where members of a group share what the broker sends.
    pub fn is_shared(&self) -> bool {
        self.share.is_some()
    }

    /// Returns true where a topic that the pattern subscribes to can be one that `other` takes.
    pub fn may_bring(&self, other: &Self) -> bool {
        let is_wild = self
            .levels
            .first()
            .is_some_and(|level| !matches!(level, Level::Literal(_)));
        let is_reserved = matches!(
            other.levels.first(),
            Some(Level::Literal(literal)) if literal.starts_with('$')
        );
        // A broker sends what it says of itself (`$SYS`) to those who name it only.
        !(is_wild && is_reserved) && can_meet(&self.levels, &other.levels)
    }

    /// Returns the pattern as it was declared.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the end of a path that the pattern takes, the shortest of several; none where it takes none.
    pub fn end_of<'p>(&self, path: &'p str) -> Option<&'p str> {
        let behind = path.match_indices('/').map(|(at, _)| at + 1);
        let starts: Vec<usize> = std::iter::once(0).chain(behind).collect();
        let mut ends = starts.into_iter().rev().map(|start| &path[start..]);
        ends.find(|end| self.matches(end).is_some())
    }

    /// Returns true where the pattern takes a topic.
    pub fn takes(&self, topic: &str) -> bool {
        self.matches(topic).is_some()
    }

    /// Returns the position of a capture by name.
    pub(crate) fn capture(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| &**known == name)
    }

    /// Returns what the captures took of `topic`, or none where the pattern does not take it.
    pub(crate) fn matches<'t>(&self, topic: &'t str) -> Option<Captures<'t>> {
        let mut captures = Captures::default();
        self.take(topic, |at, text| captures[at] = text)?;
        Some(captures)
    }

    /// Returns what the capture at position `wanted` took of `topic`; none where the pattern does not take it.
    pub(crate) fn captured<'t>(&self, topic: &'t str, wanted: usize) -> Option<&'t str> {
        let mut captured = "";
        self.take(topic, |at, text| {
            if at == wanted {
                captured = text;
            }
        })?;
        Some(captured)
    }

    /// Gives what each capture takes of `topic`, with its position, to `capture`; none where the pattern does not take
    /// the topic.
    #[inline]
    fn take<'t>(&self, topic: &'t str, mut capture: impl FnMut(usize, &'t str)) -> Option<()> {
        let mut taken = 0;
        let mut rest = Some(topic);
        for level in &self.levels {
            if matches!(level, Level::AnyRest) {
                return Some(());
            }
            let all = rest?;
            if let Level::Literal(literal) = level {
                // Before a slash that a topic begins with there is nothing, not even to compare.
                let behind = match &**literal {
                    "" => all,
                    literal => all.strip_prefix(literal)?,
                };
                rest = match behind.strip_prefix('/') {
                    None if !behind.is_empty() => return None,
                    behind => behind,
                };
                continue;
            }
            let (head, tail) = split_level(all);
            match level {
                Level::Literal(_) | Level::Any | Level::AnyRest => {}
                Level::Capture { prefix, suffix } => {
                    let text = match (&**prefix, &**suffix) {
                        ("", "") => head,
                        (prefix, suffix) => head.strip_prefix(prefix)?.strip_suffix(suffix)?,
                    };
                    capture(taken, text);
                    taken += 1;
                }
                Level::CaptureRest => {
                    capture(taken, all);
                    return Some(());
                }
            }
            rest = tail;
        }
        rest.is_none().then_some(())
    }
}

/// Returns true where one topic has the levels of both.
fn can_meet(one: &[Level], other: &[Level]) -> bool {
    match (one.split_first(), other.split_first()) {
        (None, None) | (Some((Level::AnyRest, _)), _) | (_, Some((Level::AnyRest, _))) => true,
        (None, _) | (_, None) => false,
        (Some((Level::CaptureRest, _)), _) | (_, Some((Level::CaptureRest, _))) => true,
        (Some((a, behind_a)), Some((b, behind_b))) => {
            can_be_same(a, b) && can_meet(behind_a, behind_b)
        }
    }
}

/// Returns true where one level is taken by both.
fn can_be_same(one: &Level, other: &Level) -> bool {
    match (one, other) {
        (Level::Literal(one), Level::Literal(other)) => one == other,
        (Level::Literal(literal), Level::Capture { prefix, suffix })
        | (Level::Capture { prefix, suffix }, Level::Literal(literal)) => {
            let behind = literal.strip_prefix(&**prefix);
            behind.is_some_and(|behind| behind.ends_with(&**suffix))
        }
        (
            Level::Capture { prefix, suffix },
            Level::Capture {
                prefix: other_prefix,
                suffix: other_suffix,
            },
        ) => {
            let begin = prefix.starts_with(&**other_prefix) || other_prefix.starts_with(&**prefix);
            let end = suffix.ends_with(&**other_suffix) || other_suffix.ends_with(&**suffix);
            begin && end
        }
        // The others take any level.
        _ => true,
    }
}

/// Returns the first level of a topic, and those behind it.
#[inline]
fn split_level(topic: &str) -> (&str, Option<&str>) {
    match words::find(topic.as_bytes(), b'/') {
        Some(slash) => (&topic[..slash], Some(&topic[slash + 1..])),
        None => (topic, None),
    }
}

fn is_capture_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests;
