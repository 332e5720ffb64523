//! Threads that do one thing after the other: the pipeline hands jobs over and fetches what they give back.
//!
//! Or no threads: a test decides between which two steps a job runs, and every schedule can be repeated.

use std::collections::VecDeque;
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};

use crate::error::LakeError;

/// One thread with its jobs, or the jobs alone. Its owner keeps their number small: at most one per dataset.
#[derive(Debug)]
pub(super) struct Worker<Job, Outcome> {
    kind: Kind<Job, Outcome>,
    running: usize,
}

#[derive(Debug)]
enum Kind<Job, Outcome> {
    Thread {
        jobs: Option<Sender<Job>>,
        outcomes: Receiver<Outcome>,
        thread: Option<JoinHandle<()>>,
    },
    ByHand {
        run: fn(Job) -> Outcome,
        jobs: VecDeque<Job>,
        outcomes: VecDeque<Outcome>,
    },
}

impl<Job: Send + 'static, Outcome: Send + 'static> Worker<Job, Outcome> {
    /// Starts the thread; it ends when the worker is dropped, after the job it is at. `give_back` is called on it once
    /// whenever it has had nothing to do for `rest_after`: an allocator may keep memory by thread.
    pub(super) fn start(
        name: &'static str,
        run: fn(Job) -> Outcome,
        rest_after: Duration,
        give_back: fn(),
    ) -> Result<Self, LakeError> {
        let (jobs, inbox) = unbounded::<Job>();
        let (outbox, outcomes) = unbounded();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let mut worked = false;
                loop {
                    let next = match worked {
                        true => inbox.recv_timeout(rest_after),
                        false => inbox.recv().map_err(RecvTimeoutError::from),
                    };
                    match next {
                        Ok(job) => {
                            worked = true;
                            if outbox.send(run(job)).is_err() {
                                break;
                            }
                        }
                        Err(RecvTimeoutError::Timeout) => {
                            give_back();
                            worked = false;
                        }
                        Err(RecvTimeoutError::Disconnected) => break,
                    }
                }
            })
            .map_err(|error| {
                LakeError::Usage(format!("failed to start the thread `{name}`: {error}"))
            })?;
        Ok(Self {
            kind: Kind::Thread {
                jobs: Some(jobs),
                outcomes,
                thread: Some(thread),
            },
            running: 0,
        })
    }

    /// Returns a worker without a thread: jobs wait until [`Worker::run_one`].
    pub(super) fn by_hand(run: fn(Job) -> Outcome) -> Self {
        Self {
            kind: Kind::ByHand {
                run,
                jobs: VecDeque::new(),
                outcomes: VecDeque::new(),
            },
            running: 0,
        }
    }

    /// Hands a job over.
    pub(super) fn send(&mut self, job: Job) -> Result<(), LakeError> {
        match &mut self.kind {
            Kind::Thread { jobs, .. } => {
                let sent = jobs.as_ref().filter(|jobs| jobs.send(job).is_ok());
                sent.ok_or_else(|| LakeError::Usage("a thread of the lake is gone".to_owned()))?;
            }
            Kind::ByHand { jobs, .. } => jobs.push_back(job),
        }
        self.running += 1;
        Ok(())
    }

    /// Without a thread: runs the oldest job that waits; false where none does.
    pub(super) fn run_one(&mut self) -> bool {
        let Kind::ByHand {
            run,
            jobs,
            outcomes,
        } = &mut self.kind
        else {
            return false;
        };
        let job = jobs.pop_front();
        let found = job.is_some();
        outcomes.extend(job.map(*run));
        found
    }

    /// Returns an outcome that is there.
    pub(super) fn finished(&mut self) -> Option<Outcome> {
        let outcome = match &mut self.kind {
            Kind::Thread { outcomes, .. } => outcomes.try_recv().ok(),
            Kind::ByHand { outcomes, .. } => outcomes.pop_front(),
        }?;
        self.running -= 1;
        Some(outcome)
    }

    /// Waits for the next outcome; None where no job is running.
    pub(super) fn wait(&mut self) -> Option<Outcome> {
        if self.running == 0 {
            return None;
        }
        if let Kind::Thread { outcomes, .. } = &self.kind {
            let outcome = outcomes.recv().ok()?;
            self.running -= 1;
            return Some(outcome);
        }
        self.finished().or_else(|| {
            self.run_one();
            self.finished()
        })
    }
}

impl<Job, Outcome> Drop for Worker<Job, Outcome> {
    fn drop(&mut self) {
        if let Kind::Thread { jobs, thread, .. } = &mut self.kind {
            *jobs = None;
            if let Some(thread) = thread.take() {
                let _ = thread.join();
            }
        }
    }
}

#[cfg(test)]
mod tests;
