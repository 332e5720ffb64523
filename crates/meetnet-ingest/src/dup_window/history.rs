//! Which source has, and had, which session at a broker: what was journalled of a session counts for whoever has it now.
//!
//! ```text
//! start, exchange of sources ─▶ [history], noted on disk before anybody connects
//! start ─▶ [routes] ─▶ frames and checkpoints, which name sources ─▶ DUP windows of sessions
//! ```
//!
//! A broker delivers what it saw no acknowledgement of once more to the session, whatever its source is called by then. While the
//! daemon runs, a source that is renamed and keeps its client id takes the window along. A restart puts the windows together
//! again: from the checkpoint, where each entry stands under the source that journalled it, and from the frames behind it. Where
//! that source has another session now, or is called otherwise, the history says so; without one, each source goes on with what
//! has its name.
//!
//! It decides nothing about rows: a frame stays one of the source that it names.

use std::collections::{BTreeMap, BTreeSet};

use meetnet_model::ids::{Sequence, SourceId};
use serde::{Deserialize, Serialize};

use crate::mqtt::Url;

/// Changes of sessions that are remembered beside the sessions that sources have now: entries of windows are far younger.
const PAST_MAX: usize = 256;

/// A session as its broker knows it. Paths and queries of websockets are none of it, and may hold a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    host: String,
    port: u16,
    tls: bool,
    client_id: String,
}

impl Session {
    fn new(broker: &Url, client_id: &str) -> Self {
        Self {
            host: broker.host.clone(),
            port: broker.port,
            tls: broker.tls,
            client_id: client_id.to_owned(),
        }
    }

    /// Returns whether it may be the same as another one: with TLS a broker listens on another port, and has the same sessions.
    fn may_be(&self, other: &Self) -> bool {
        let is_one_broker =
            self.host == other.host && (self.port == other.port || self.tls != other.tls);
        is_one_broker && self.client_id == other.client_id
    }
}

/// A source that took a session up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Holding {
    source: SourceId,
    session: Session,
    /// Another source had a session then that may be the same by its address, and is another broker's: each keeps its own.
    is_beside: bool,
    /// What the source journalled behind this position is of the session, until it takes another one up.
    after: Sequence,
}

impl Holding {
    /// Returns whether it is, or may be, of this session; `is_beside` as in [`Holding`].
    fn is_of(&self, session: &Session, is_beside: bool) -> bool {
        let may_move = !self.is_beside && !is_beside;
        self.session == *session || (may_move && self.session.may_be(session))
    }
}

/// Which sources took which sessions up, and behind which position of the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionHistory {
    /// In the order in which it happened.
    holdings: Vec<Holding>,
    /// Those that were there the last time.
    sources: BTreeSet<SourceId>,
}

impl SessionHistory {
    /// Forgets positions that a crash has taken back: `last` is the last one that the journal has. Returns whether there were
    /// such.
    pub fn recovered(&mut self, last: Sequence) -> bool {
        let mut is_changed = false;
        for holding in &mut self.holdings {
            is_changed |= holding.after > last;
            holding.after = holding.after.min(last);
        }
        is_changed
    }

    /// Notes the sessions that sources have for what they journal behind `after`: source, broker and client id of each. Returns
    /// whether one of them is new.
    pub fn take_up<'s>(
        &mut self,
        sources: impl IntoIterator<Item = (&'s SourceId, &'s Url, &'s str)>,
        after: Sequence,
    ) -> bool {
        let now: Vec<(&SourceId, Session)> = sources
            .into_iter()
            .map(|(source, broker, client_id)| (source, Session::new(broker, client_id)))
            .collect();
        self.sources = now.iter().map(|(id, _)| SourceId::clone(id)).collect();
        let mut is_new = false;
        for (source, session) in &now {
            let source: &SourceId = source;
            let mut others = now.iter().filter(|(other, _)| *other != source);
            let is_beside = others.any(|(_, of_other)| of_other.may_be(session));
            // Another source may have had it in between.
            let mut newest_first = self.holdings.iter().rev();
            let last = newest_first.find(|holding| holding.is_of(session, is_beside));
            let has_it =
                last.is_some_and(|last| last.source == *source && last.session == *session);
            let mut of_source = self.holdings.iter().rev();
            let newest = of_source.find(|holding| holding.source == *source);
            if has_it && newest.is_some_and(|newest| newest.session == *session) {
                continue;
            }
            is_new = true;
            self.holdings.push(Holding {
                source: source.clone(),
                session: session.clone(),
                is_beside,
                after,
            });
        }
        self.forget_oldest();
        is_new
    }

    /// Forgets the oldest changes beyond [`PAST_MAX`]; the newest of each source that is there stays.
    fn forget_oldest(&mut self) {
        let sources = &self.sources;
        let mut seen = BTreeSet::new();
        let of_now: Vec<bool> = self
            .holdings
            .iter()
            .rev()
            .map(|holding| sources.contains(&holding.source) && seen.insert(holding.source.clone()))
            .collect();
        let past = of_now.iter().filter(|is_of_now| !**is_of_now).count();
        let mut surplus = past.saturating_sub(PAST_MAX);
        let mut of_now = of_now.into_iter().rev();
        self.holdings.retain(|_| {
            let goes = surplus > 0 && of_now.next() == Some(false);
            surplus -= usize::from(goes);
            !goes
        });
    }
}

/// A history as it is asked: by position.
#[derive(Debug, Default)]
pub(super) struct Routes {
    /// By source: whose window what it journalled belongs into; none where nobody has that session any more.
    heirs: BTreeMap<SourceId, Vec<(Sequence, Option<SourceId>)>>,
    /// By source that has a window: who journalled what is in it.
    origins: BTreeMap<SourceId, Vec<(Sequence, SourceId)>>,
}

impl Routes {
    pub(super) fn of(history: &SessionHistory) -> Self {
        // What each source took up last, the newest first.
        let mut seen = BTreeSet::new();
        let mut now: Vec<&Holding> = Vec::new();
        for holding in history.holdings.iter().rev() {
            if seen.insert(&holding.source) {
                now.push(holding);
            }
        }
        let mut routes = Self::default();
        for holding in &history.holdings {
            let heir = heir_of(holding, &now, &history.sources);
            if let Some(heir) = &heir {
                let origins = routes.origins.entry(heir.clone()).or_default();
                origins.push((holding.after, holding.source.clone()));
            }
            let heirs = routes.heirs.entry(holding.source.clone()).or_default();
            heirs.push((holding.after, heir));
        }
        routes
    }

    /// Returns whose window a publish belongs into that `source` journalled at a position; None: nobody has its session any more,
    /// so that nothing of it is delivered again.
    pub(super) fn heir(&self, source: &SourceId, sequence: Sequence) -> Option<SourceId> {
        match self.heirs.get(source).and_then(|of| at(of, sequence)) {
            Some(heir) => heir.clone(),
            // Nothing is known of it.
            None => Some(source.clone()),
        }
    }

    /// Returns who journalled a publish that is in the window of `source`.
    pub(super) fn origin(&self, source: &SourceId, sequence: Sequence) -> SourceId {
        let of_window = self.origins.get(source);
        let origin = of_window.and_then(|of| at(of, sequence));
        origin.unwrap_or(source).clone()
    }
}

/// Returns who has the session of a holding: of those that are there before those that are gone, and whose address is the same
/// before who may have it. `now` is what each took up last, the newest first.
fn heir_of(of: &Holding, now: &[&Holding], sources: &BTreeSet<SourceId>) -> Option<SourceId> {
    let mut best: Option<((bool, bool), &Holding)> = None;
    for &holding in now {
        if !holding.is_of(&of.session, of.is_beside) {
            continue;
        }
        let is_there = sources.contains(&holding.source);
        let rank = (is_there, holding.session == of.session);
        if best.is_none_or(|(best, _)| rank > best) {
            best = Some((rank, holding));
        }
    }
    best.map(|(_, holding)| holding.source.clone())
}

/// Returns what holds at a position; for what comes before everything, the first.
fn at<T>(changes: &[(Sequence, T)], sequence: Sequence) -> Option<&T> {
    let mut newest_first = changes.iter().rev();
    let change = newest_first.find(|(after, _)| *after < sequence);
    change.or(changes.first()).map(|(_, value)| value)
}

#[cfg(test)]
mod tests;
