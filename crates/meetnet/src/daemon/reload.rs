//! The configuration changes while the daemon runs: it is read again, checked whole, and put in force without losing a
//! message. One that is wrong changes nothing and is said until a good one comes.
//!
//! ```text
//! read ─▶ keys, secrets, decoders, tables, connections ─▶ tables made ready     nothing has changed so far
//!      ─▶ sources that differ stop, what they took is in the journal
//!      ─▶ declarations frame, synced                                            old before it, new behind it
//!      ─▶ sources that are missing start ─▶ pages, commands
//! ```
//!
//! So every message stands on the side of the frame that belongs to the subscription, endpoint or question it came by;
//! sources that are the same on both sides are not touched, even where their mapping changes. A crash at any moment is
//! one of before or behind the frame: the next start compares what is configured with what is in force, as ever.
//!
//! A process that only reads has no sources and no journal: it exchanges what its pages tell of properties, and finds
//! new datasets in the lake by itself.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use meetnet_decode::{Decoders, with_pseudonyms};
use meetnet_ingest::Sources;
use meetnet_ingest::status::Statuses;
use meetnet_lake::lake::check_property_units;
use meetnet_lake::storage::LakeStorage;
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::Sequence;
use meetnet_model::licence::StoredLicences;
use meetnet_model::privacy::PrivacyKey;
use tokio::time::Instant;
use tracing::{debug, error, info, warn};

use super::changes::{Changes, Facts};
use super::watch::{Cause, ConfigWatch};
use super::write_side::{Writing, declared_tables, tell_of_devices};
use super::{Daemon, Role, licences, sessions, sources};
use crate::config::{Config, Environment, Secrets};

/// How long the news of a new configuration waits until what is declared is in the answers, where the pipeline is behind.
const APPLIED_WAIT: Duration = Duration::from_secs(10);
/// How often that is looked at.
const APPLIED_PERIOD: Duration = Duration::from_millis(10);
/// Stands before what a table has against a declaration.
const REFUSED: &str = "the tables do not allow the declarations";

/// What a configuration is checked against.
struct Running {
    role: Role,
    config: Arc<Config>,
    storage: Arc<dyn LakeStorage>,
    /// The configured privacy secret.
    privacy: Option<String>,
    /// Of a process that writes: its key, and the declarations as they are in the journal.
    writing: Option<(PrivacyKey, Arc<Declarations>)>,
    /// Of a process that only reads: the licences of the rows that it sees.
    followed: StoredLicences,
}

/// A configuration that has been read and can be put in force, so far as that can be said without its connections.
struct Candidate {
    config: Config,
    secrets: Secrets,
    /// As they are journalled; none where those in force are the same.
    declarations: Option<Arc<Declarations>>,
}

impl Candidate {
    /// Reads what is on disk now; blocking.
    ///
    /// # Errors
    /// Everything that is wrong with it, first what is wrong with the file alone.
    fn read(running: &Running, environment: &Environment) -> anyhow::Result<Self> {
        let config = Config::load(&running.config.file, environment)?;
        config.check_live(&running.config)?;
        let secrets = if running.role.writes() {
            config.secrets(environment)?
        } else {
            config.serve_secrets(environment)?
        };
        ensure!(
            secrets.privacy == running.privacy,
            "the secret of [privacy] has changed: every device would get a new id; put it back"
        );
        let Some((key, in_force)) = &running.writing else {
            licences::allow(&config.declarations, &running.followed)?;
            if config.declarations.properties != running.config.declarations.properties {
                check_property_units(&running.storage, &config.declarations).context(REFUSED)?;
            }
            return Ok(Self {
                config,
                secrets,
                declarations: None,
            });
        };
        let declarations = with_pseudonyms(&config.declarations, key);
        let declarations = allowed(&running.storage, declarations)?;
        if declarations == *in_force {
            return Ok(Self {
                config,
                secrets,
                declarations: None,
            });
        }
        // Each source has been tried alone; the pipeline needs all of them together.
        Decoders::new(&declarations, key).context("the sources cannot be decoded together")?;
        Ok(Self {
            config,
            secrets,
            declarations: Some(declarations),
        })
    }
}

impl Daemon {
    /// Reads the configuration again and puts it in force, or says why not.
    pub(super) async fn reload(
        &mut self,
        cause: Cause,
        environment: &Environment,
        watch: &mut ConfigWatch,
    ) {
        match self.put_in_force(environment).await {
            Ok(changes) => {
                let was_refused = self.refused.take().is_some();
                self.readiness.config_error(None);
                watch.follow(&self.config.load());
                metrics::gauge!("meetnet_config_refused").set(0.0);
                if !changes.is_empty() {
                    if self.role.writes() {
                        sources::tell_where_none(&self.config.load(), &self.readiness);
                    }
                    changes.log();
                } else if was_refused {
                    info!("the configuration on disk is the one in force again");
                } else if cause == Cause::Asked {
                    info!("configuration read again: nothing has changed");
                } else {
                    debug!("configuration read again: nothing has changed");
                }
            }
            Err(error) => {
                watch.try_again();
                metrics::gauge!("meetnet_config_refused").set(1.0);
                let message = format!("{error:#}");
                self.readiness.config_error(Some(message.clone()));
                // Once for each thing that is wrong, and whenever somebody asks.
                if self.refused.as_ref() != Some(&message) || cause == Cause::Asked {
                    error!(
                        error = message,
                        "configuration refused: the one before stays in force"
                    );
                }
                self.refused = Some(message);
            }
        }
    }

    /// Returns what is different now.
    async fn put_in_force(&mut self, environment: &Environment) -> anyhow::Result<Changes> {
        let before = self.config.load_full();
        let running = Running {
            role: self.role,
            config: Arc::clone(&before),
            storage: Arc::clone(&self.storage),
            privacy: self.secrets.privacy.clone(),
            writing: self.writing.as_ref().map(|writing| {
                let in_force = Arc::clone(&writing.in_force);
                (writing.parts.key.clone(), in_force)
            }),
            followed: self
                .follower
                .as_ref()
                .map_or_else(StoredLicences::new, |follower| {
                    follower.shared().load().stored_licences()
                }),
        };
        let environment = environment.clone();
        let read = move || Candidate::read(&running, &environment);
        let Candidate {
            config,
            secrets,
            declarations,
        } = tokio::task::spawn_blocking(read)
            .await
            .context("a thread ended abnormally")??;
        let config = Arc::new(config);
        let changes = match &mut self.writing {
            Some(writing) => {
                let all = |config: &Config, secrets: &Secrets| {
                    sources::all(config, secrets, &writing.parts, &self.statuses)
                };
                let (old, new) = (all(&before, &self.secrets), all(&config, &secrets));
                let (old_facts, new_facts) = (Facts::of(&before, &old), Facts::of(&config, &new));
                let exchange = Exchange {
                    before: &before,
                    after: &config,
                    statuses: &self.statuses,
                    storage: &self.storage,
                    declarations,
                };
                let (had, has) = (sessions::of(&old), sessions::of(&new));
                // A source that is connected now ends its subscriptions when it goes.
                let statuses = self.statuses.read();
                exchange.carry_out(writing, old, new).await?;
                let now = jiff::Timestamp::now().as_microsecond();
                self.left_sessions.exchanged(&had, &has, &statuses, now);
                Changes::between(&old_facts, &new_facts)
            }
            None => {
                let none = || Sources {
                    mqtt: Vec::new(),
                    polls: Vec::new(),
                    push: Vec::new(),
                };
                let facts = |config: &Config| Facts::of(config, &none());
                Changes::between(&facts(&before), &facts(&config))
            }
        };
        self.secrets = secrets;
        self.declarations.store(Arc::clone(&config.declarations));
        self.config.store(config);
        Ok(changes)
    }
}

/// The exchange of one configuration for another in a process that writes.
struct Exchange<'a> {
    before: &'a Config,
    after: &'a Config,
    statuses: &'a Statuses,
    storage: &'a Arc<dyn LakeStorage>,
    /// As they are journalled; none where those in force are the same.
    declarations: Option<Arc<Declarations>>,
}

impl Exchange<'_> {
    /// Carries it out. Where it cannot, everything is as it was; dropped half-way, all that runs is stopped as ever.
    async fn carry_out(
        self,
        writing: &mut Writing,
        old: Sources,
        new: Sources,
    ) -> anyhow::Result<()> {
        new.check()?;
        let commands = writing.pipeline.commands();
        let declarations = match self.declarations {
            Some(declarations) => Some(prepare(writing, self.storage, declarations).await?),
            None => None,
        };
        writing.sources.retire(&new).await;
        let mut frame = None;
        if let Some(declarations) = declarations {
            match journal(writing, &declarations).await {
                Ok(sequence) => frame = Some(sequence),
                Err(error) => {
                    if let Err(error) = writing.sources.start_missing(old) {
                        let error: &dyn std::error::Error = &error;
                        error!(
                            error,
                            "failed to start the sources again: restart the daemon"
                        );
                    }
                    return Err(error);
                }
            }
            writing.in_force = declarations;
        }
        // From here on nothing can be wrong: all has been checked.
        if frame.is_some() {
            tell_of_devices(&writing.parts.intake, &self.after.declarations);
        }
        announce(self.before, self.after, self.statuses);
        note_sessions(writing, &new).await?;
        writing.sources.start_missing(new)?;
        let declared = self.after.lake.retention.clone();
        if declared != self.before.lake.retention {
            let retention = writing.retention.clone();
            tokio::task::spawn_blocking(move || retention.declare(declared, &commands))
                .await
                .context("a thread ended abnormally")??;
        }
        if let Some(frame) = frame {
            wait_until_applied(writing, frame).await;
        }
        Ok(())
    }
}

/// Returns declarations with the names of former sources, where the tables allow them; blocking.
fn allowed(
    storage: &Arc<dyn LakeStorage>,
    declarations: Arc<Declarations>,
) -> anyhow::Result<Arc<Declarations>> {
    let tables = declared_tables(storage, declarations).map_err(|failure| {
        let error = failure.into_error();
        error.context(REFUSED)
    })?;
    Ok(Arc::clone(tables.declarations()))
}

/// Makes the tables ready for declarations, and asks them once more: rows that were only in memory are in files now, and
/// their licences count. A start would refuse what they do not allow.
async fn prepare(
    writing: &Writing,
    storage: &Arc<dyn LakeStorage>,
    declarations: Arc<Declarations>,
) -> anyhow::Result<Arc<Declarations>> {
    let (commands, storage) = (writing.pipeline.commands(), Arc::clone(storage));
    let ask = move || {
        let prepared = commands.prepare(Arc::clone(&declarations));
        prepared.context("the tables cannot be made ready")?;
        allowed(&storage, declarations)
    };
    tokio::task::spawn_blocking(ask)
        .await
        .context("a thread ended abnormally")?
}

/// Puts declarations in force for everything that is journalled from here on, and waits for the sync.
async fn journal(writing: &Writing, declarations: &Declarations) -> anyhow::Result<Sequence> {
    let appended = writing
        .journal
        .append_declarations(&declarations.to_bytes());
    let frame = appended.context("the declarations cannot be journalled")?;
    if !writing.parts.intake.wait_durable(frame.sequence).await {
        bail!("the journal has stopped");
    }
    Ok(frame.sequence)
}

/// Notes who has which session at a broker from here on, before anybody connects: after a crash it is told what belongs together.
async fn note_sessions(writing: &Writing, new: &Sources) -> anyhow::Result<()> {
    // Those that were stopped journal nothing more.
    let (sessions, after) = (sessions::of(new), writing.journal.last_sequence());
    let note = writing.parts.sessions.clone();
    let noted = tokio::task::spawn_blocking(move || note.take_up(&sessions, after)).await;
    let history = noted.context("a thread ended abnormally")?;
    writing.parts.dup_windows.exchange_by(&history);
    Ok(())
}

/// Says which sources there are from now on: pages, metrics and `/readyz` show no others.
fn announce(before: &Config, after: &Config, statuses: &Statuses) {
    for source in &before.sources {
        let declaration = &source.declaration;
        let mut next = after.sources.iter();
        let is_same = next.any(|next| {
            let next = &next.declaration;
            next.id == declaration.id && next.kind == declaration.kind
        });
        if !is_same {
            statuses.forget(&declaration.id);
        }
    }
    for source in &after.sources {
        let declaration = &source.declaration;
        statuses.expect(&declaration.id, declaration.kind, source.silent_after);
    }
}

/// Waits until readers see what is declared behind a frame. Nothing is lost where the pipeline is behind.
async fn wait_until_applied(writing: &Writing, frame: Sequence) {
    let snapshot = writing.pipeline.shared();
    let deadline = Instant::now() + APPLIED_WAIT;
    loop {
        let is_applied = {
            let snapshot = snapshot.load();
            let mut tables = snapshot.tables.values();
            tables.all(|table| table.through >= frame)
        };
        if is_applied {
            return;
        }
        if Instant::now() >= deadline {
            warn!("the answers are behind: what is newly declared shows once they catch up");
            return;
        }
        tokio::time::sleep(APPLIED_PERIOD).await;
    }
}

#[cfg(test)]
mod tests;
