//! Threads that do one thing after the other: the pipeline hands jobs over and fetches what they give back.

use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, unbounded};

use crate::error::LakeError;

/// One thread with its jobs. Its owner keeps the number of jobs small: at most one per dataset.
#[derive(Debug)]
pub(super) struct Worker<Job, Outcome> {
    jobs: Option<Sender<Job>>,
    outcomes: Receiver<Outcome>,
    thread: Option<JoinHandle<()>>,
    running: usize,
}

impl<Job: Send + 'static, Outcome: Send + 'static> Worker<Job, Outcome> {
    /// Starts the thread; it ends when the worker is dropped, after the job it is at.
    pub(super) fn start(
        name: &'static str,
        run: impl Fn(Job) -> Outcome + Send + 'static,
    ) -> Result<Self, LakeError> {
        let (jobs, inbox) = unbounded::<Job>();
        let (outbox, outcomes) = unbounded();
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                for job in inbox {
                    if outbox.send(run(job)).is_err() {
                        break;
                    }
                }
            })
            .map_err(|error| {
                LakeError::Usage(format!("failed to start the thread `{name}`: {error}"))
            })?;
        Ok(Self {
            jobs: Some(jobs),
            outcomes,
            thread: Some(thread),
            running: 0,
        })
    }

    /// Hands a job over.
    pub(super) fn send(&mut self, job: Job) -> Result<(), LakeError> {
        let jobs = self.jobs.as_ref().filter(|jobs| jobs.send(job).is_ok());
        jobs.ok_or_else(|| LakeError::Usage("a thread of the lake is gone".to_owned()))?;
        self.running += 1;
        Ok(())
    }

    /// Returns an outcome that is there.
    pub(super) fn finished(&mut self) -> Option<Outcome> {
        let outcome = self.outcomes.try_recv().ok()?;
        self.running -= 1;
        Some(outcome)
    }

    /// Waits for the next outcome; None where no job is running.
    pub(super) fn wait(&mut self) -> Option<Outcome> {
        if self.running == 0 {
            return None;
        }
        let outcome = self.outcomes.recv().ok()?;
        self.running -= 1;
        Some(outcome)
    }
}

impl<Job, Outcome> Drop for Worker<Job, Outcome> {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
