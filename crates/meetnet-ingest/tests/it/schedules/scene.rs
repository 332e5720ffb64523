//! The machine of a schedule: sources and datasets, disk and clocks, and one life of the daemon on it.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use meetnet_ingest::DupWindows;
use meetnet_ingest::outcomes::OutcomeRegistry;
use meetnet_ingest::pipeline::{PipelineError, PipelineLimits, PipelineOptions, Runner};
use meetnet_lake::journal::{Journal, JournalOptions, Recovery};
use meetnet_lake::lake::{DeclaredTables, LakeClock, LakeLimits, LakeOptions};
use meetnet_lake::snapshot::SharedSnapshot;
use meetnet_lake::storage::{FolderStorage, LakeStorage, ObjectStorage};
use meetnet_model::declarations::Declarations;
use meetnet_model::ids::DatasetId;
use meetnet_model::privacy::PrivacyKey;
use meetnet_model::source::{
    MapEntry, SourceDeclaration, SourceKind, TimeDeclaration, TimeFormat, ValueRef, WireFormat,
};
use meetnet_testkit::clock::ManualClock;
use meetnet_testkit::files::{Crash, FaultyFiles};
use meetnet_testkit::objects::FaultyStore;
use object_store::ObjectStore;
use tokio::runtime::Runtime;

use super::model::DATASETS;

/// Sources and their licences. The first two share a namespace, so that they name the same sensors.
pub(super) const SOURCES: [(&str, &str); 3] = [
    ("timed", "CC0-1.0"),
    ("official", "ODbL-1.0"),
    ("timeless", "CC0-1.0"),
];

/// Declarations in which `official` has a precedence of `precedence`.
pub(super) fn declarations(precedence: i32) -> Arc<Declarations> {
    let map = |dataset: &str, property: &str, pointer: &str, unit: &str| {
        MapEntry::property(dataset, property)
            .at_pointer(pointer)
            .in_unit(unit)
    };
    let source = |(id, licence): (&str, &str)| SourceDeclaration {
        namespace: if id == "timeless" { "t" } else { "g" }.to_owned(),
        topics: vec![format!("{id}/{{device}}")],
        sensor_id: Some(ValueRef::Template("{device}".to_owned())),
        time: (id != "timeless").then(|| TimeDeclaration::at_pointer("/ts", TimeFormat::UnixMs)),
        map: vec![
            map("heat", "air_temperature", "/t", "Cel"),
            map("air", "co2", "/c", "[ppm]"),
        ],
        precedence: if id == "official" { precedence } else { 0 },
        ..SourceDeclaration::new(id, SourceKind::Mqtt, WireFormat::Json, licence)
    };
    let sources = SOURCES.map(source);
    let mut declarations = meetnet_model::schemas::builtin().into_declarations(sources);
    let datasets = &mut declarations.datasets;
    datasets.retain(|id, _| DATASETS.contains(&id.as_str()));
    Arc::new(declarations)
}

/// Where the tables of a schedule lie.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// On the disk that the journal is on.
    Folder,
    /// In an object store.
    Store(FaultyStore),
}

/// What stays when the daemon goes.
pub(super) struct Machine {
    pub(super) files: FaultyFiles,
    pub(super) place: Place,
    /// The journal's wall clock, which people set.
    pub(super) journal_clock: ManualClock,
    /// The lake's: it starts at the real time, because names of files say it.
    pub(super) lake_clock: ManualClock,
    pub(super) retention: BTreeMap<DatasetId, Duration>,
}

/// Requests to a store wait here.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).enable_time().build().unwrap()
});

fn objects(store: Arc<dyn ObjectStore>) -> Arc<dyn LakeStorage> {
    let prefix = object_store::path::Path::from("lake");
    let runtime = RUNTIME.handle().clone();
    Arc::new(ObjectStorage::new("memory://lake", store, prefix, runtime))
}

impl Machine {
    /// The lake's files, as the daemon has them.
    fn storage(&self) -> Arc<dyn LakeStorage> {
        match &self.place {
            Place::Folder => self.folder(),
            Place::Store(store) => objects(Arc::new(store.clone())),
        }
    }

    /// The lake's files, past what fails.
    pub(super) fn stored(&self) -> Arc<dyn LakeStorage> {
        match &self.place {
            Place::Folder => self.folder(),
            Place::Store(store) => objects(store.objects()),
        }
    }

    fn folder(&self) -> Arc<dyn LakeStorage> {
        let files = Arc::new(self.files.clone());
        Arc::new(FolderStorage::with_files("/data/lake", files))
    }

    /// Operations of the disk and requests to the store that have been tried.
    pub(super) fn operations(&self) -> (u64, u64) {
        let requests = match &self.place {
            Place::Folder => 0,
            Place::Store(store) => store.requests(),
        };
        (self.files.operations(), requests)
    }

    /// How many of them have failed.
    pub(super) fn failed(&self) -> u64 {
        let requests = match &self.place {
            Place::Folder => 0,
            Place::Store(store) => store.failed(),
        };
        self.files.failed() + requests
    }

    /// Whether the process is dead, and only has not noticed.
    pub(super) fn is_off(&self) -> bool {
        self.files.is_off() || matches!(&self.place, Place::Store(store) if store.is_off())
    }

    /// Whether the tables lie in a store, where what a process has sent may arrive after its end.
    pub(super) fn is_store(&self) -> bool {
        matches!(&self.place, Place::Store(_))
    }

    /// Whether something is on its way.
    pub(super) fn awaits_puts(&self) -> bool {
        matches!(&self.place, Place::Store(store) if store.late_puts() > 0)
    }

    /// Nothing fails from here on.
    pub(super) fn heal(&self) {
        self.files.clear_faults();
        self.files.set_bytes_max(None);
        if let Place::Store(store) = &self.place {
            store.clear_faults();
        }
    }

    /// The process is gone.
    pub(super) fn restart(&mut self, crash: Crash) {
        self.files = self.files.restart(crash);
        if let Place::Store(store) = &mut self.place {
            *store = store.restart();
        }
    }
}

/// One process.
pub(super) struct Life {
    pub(super) journal: Journal,
    pub(super) recovery: Recovery,
    pub(super) runner: Runner,
    pub(super) shared: SharedSnapshot,
}

impl Life {
    /// Opens journal and lake; nothing is replayed yet.
    pub(super) fn open(
        machine: &Machine,
        limits: LakeLimits,
        precedence: i32,
    ) -> Result<Self, PipelineError> {
        let declarations = declarations(precedence);
        let options = JournalOptions {
            segment_bytes_max: 60_000,
            reserve_bytes: 0,
            clock: machine.journal_clock.function(),
            monotonic_clock: machine.journal_clock.monotonic_function(),
            files: Arc::new(machine.files.clone()),
            background: false,
            ..JournalOptions::new("/data/journal", "/data/archive")
        };
        let tables = DeclaredTables::read(machine.storage(), Arc::clone(&declarations))?;
        let (journal, recovery) = Journal::open(options, &declarations.to_bytes())?;
        let lake = LakeOptions {
            openings: Some(journal.openings()),
            limits,
            retention: machine.retention.clone(),
            clock: LakeClock::new(
                machine.lake_clock.function(),
                machine.lake_clock.monotonic_function(),
            ),
            background: false,
            ..LakeOptions::new(journal.id())
        };
        let limits = PipelineLimits {
            group_bytes_max: 4_000,
            // Ticks are steps of the schedule.
            idle_tick: Duration::MAX,
            checkpoint_pause: Duration::ZERO,
            // A replay reads as far ahead on every machine.
            replay_threads_max: 1,
            ..PipelineLimits::default()
        };
        let mut runner = Runner::open(
            PipelineOptions {
                limits,
                ..PipelineOptions::new(lake)
            },
            journal.clone(),
            &recovery,
            tables,
            PrivacyKey::new("a key for tests"),
            OutcomeRegistry::new(16),
            DupWindows::default(),
        )?;
        let shared = runner.lake().shared();
        Ok(Self {
            journal,
            recovery,
            runner,
            shared,
        })
    }
}
