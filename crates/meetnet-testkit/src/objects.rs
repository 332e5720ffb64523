//! An object store in memory that fails on purpose.
//!
//! ```text
//! code under test ─▶ FaultyStore ─(fail_at: refused, answer lost, late, off)─▶ memory
//!                        │ restart: what is stored stays; what is on its way may still arrive
//! ```
//!
//! Requests are counted, reading ones too, so that a schedule of faults is a list of numbers and replays exactly.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreFault {
    /// The store does not take it (a 5xx, throttling).
    Refused,
    /// The store takes it, and the answer gets lost.
    AnswerLost,
    /// No answer comes; a conditional put takes effect this many requests later, after whatever was sent meanwhile. To
    /// another request it is [`StoreFault::AnswerLost`].
    Late {
        /// How many.
        requests: u64,
    },
    /// This request and all behind it fail: the process is gone, or the network is.
    Off,
}

/// The store; clones are the same one.
#[derive(Clone, Debug)]
pub struct FaultyStore {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    objects: Arc<InMemory>,
    /// Puts on their way, by the request before which they arrive.
    late: Vec<(u64, Path, PutPayload, PutOptions)>,
    requests: u64,
    faults: BTreeMap<u64, StoreFault>,
    failed: u64,
    off: bool,
}

impl Default for FaultyStore {
    fn default() -> Self {
        Self::new()
    }
}

impl FaultyStore {
    /// Returns an empty store without faults.
    pub fn new() -> Self {
        Self {
            state: Arc::default(),
        }
    }

    /// Returns how many requests have been tried.
    pub fn requests(&self) -> u64 {
        self.state().requests
    }

    /// Lets the request with this number (0 first) fail.
    pub fn fail_at(&self, request: u64, fault: StoreFault) {
        self.state().faults.insert(request, fault);
    }

    /// Forgets the faults that have not happened yet.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// Returns how many requests have failed.
    pub fn failed(&self) -> u64 {
        self.state().failed
    }

    /// Returns how many puts are on their way: see [`StoreFault::Late`].
    pub fn late_puts(&self) -> usize {
        self.state().late.len()
    }

    /// Returns true once [`StoreFault::Off`] has happened.
    pub fn is_off(&self) -> bool {
        self.state().off
    }

    /// Returns the store as the next process finds it, without planned faults. This one is off from now on.
    pub fn restart(&self) -> Self {
        let mut state = self.state();
        state.off = true;
        let next = State {
            objects: Arc::clone(&state.objects),
            late: std::mem::take(&mut state.late),
            requests: state.requests,
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(next)),
        }
    }

    /// Returns what is stored, past all faults.
    pub fn objects(&self) -> Arc<InMemory> {
        Arc::clone(&self.state().objects)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request; returns where it goes, and whether its answer gets lost.
    async fn request(&self) -> Result<(Arc<InMemory>, Option<StoreFault>)> {
        let (objects, fault, arriving) = {
            let mut state = self.state();
            let number = state.requests;
            if state.off {
                state.failed += 1;
                return Err(failed("the store is away"));
            }
            state.requests += 1;
            let fault = state.faults.remove(&number);
            state.failed += u64::from(fault.is_some());
            state.off |= fault == Some(StoreFault::Off);
            let (arriving, late) = std::mem::take(&mut state.late)
                .into_iter()
                .partition(|(at, ..)| *at <= number);
            state.late = late;
            let arriving: Vec<(u64, Path, PutPayload, PutOptions)> = arriving;
            (Arc::clone(&state.objects), fault, arriving)
        };
        for (_, path, payload, options) in arriving {
            // Nobody waits for the answer any more; a conditional put may well find another object there.
            let _ = objects.put_opts(&path, payload, options).await;
        }
        match fault {
            Some(StoreFault::Off | StoreFault::Refused) => Err(failed("refused")),
            fault => Ok((objects, fault)),
        }
    }
}

/// Takes an answer, or loses it.
fn answer<T>(result: Result<T>, fault: Option<StoreFault>) -> Result<T> {
    match fault {
        Some(_) => Err(failed("the answer is lost")),
        None => result,
    }
}

fn failed(what: &'static str) -> Error {
    Error::Generic {
        store: "faulty",
        source: what.into(),
    }
}

impl fmt::Display for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}

#[async_trait]
impl ObjectStore for FaultyStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let (objects, fault) = self.request().await?;
        if let (Some(StoreFault::Late { requests }), PutMode::Create) = (fault, &options.mode) {
            let mut state = self.state();
            let at = state.requests + requests;
            state.late.push((at, location.clone(), payload, options));
            return Err(failed("no answer"));
        }
        answer(objects.put_opts(location, payload, options).await, fault)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let (objects, fault) = self.request().await?;
        answer(objects.put_multipart_opts(location, options).await, fault)
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (objects, fault) = self.request().await?;
        answer(objects.get_opts(location, options).await, fault)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        let delete = move |location: Result<Path>| {
            let store = store.clone();
            async move {
                let location = location?;
                let (objects, fault) = store.request().await?;
                let one = stream::once(async move { Ok(location) }).boxed();
                let deleted = objects.delete_stream(one).next().await;
                answer(deleted.unwrap_or_else(|| Err(failed("no answer"))), fault)
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (store, prefix) = (self.clone(), prefix.cloned());
        let listing = async move {
            match store.request().await {
                Ok((objects, None)) => objects.list(prefix.as_ref()),
                Ok((_, Some(_))) => stream::once(async { Err(failed("no answer")) }).boxed(),
                Err(error) => stream::once(async { Err(error) }).boxed(),
            }
        };
        stream::once(listing).flatten().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let (objects, fault) = self.request().await?;
        answer(objects.list_with_delimiter(prefix).await, fault)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let (objects, fault) = self.request().await?;
        answer(objects.copy_opts(from, to, options).await, fault)
    }
}
