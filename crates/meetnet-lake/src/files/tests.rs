use std::os::unix::fs::PermissionsExt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::*;

const MIB: usize = 1 << 20;

/// Notes how long it was at each sync.
#[derive(Debug, Default)]
struct Noting(Mutex<Noted>);

#[derive(Debug, Default)]
struct Noted {
    bytes: u64,
    synced_at: Vec<u64>,
    /// The next sync fails.
    fails: bool,
}

impl Noting {
    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileHandle for Noting {
    fn append(&self, bytes: &[u8]) -> io::Result<()> {
        self.noted().bytes += bytes.len() as u64;
        Ok(())
    }

    fn read_at(&self, _: u64, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut noted = self.noted();
        if std::mem::take(&mut noted.fails) {
            return Err(io::Error::other("sync failed"));
        }
        let bytes = noted.bytes;
        noted.synced_at.push(bytes);
        Ok(())
    }

    fn truncate(&self, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn bytes(&self) -> io::Result<u64> {
        Ok(self.noted().bytes)
    }
}

#[test]
fn a_large_file_is_synced_as_it_grows_and_once_at_its_end() {
    // MiB of each write; MiB at which it is synced.
    let check = |writes: &[usize], syncs: &[u64]| {
        let file = Arc::new(Noting::default());
        let mut writer = GradualWriter::new(Arc::clone(&file) as Arc<dyn FileHandle>);
        for mib in writes {
            writer.write_all(&vec![7; mib * MIB]).unwrap();
        }
        writer.finish().unwrap();
        let at: Vec<u64> = file.noted().synced_at.clone();
        let expected: Vec<u64> = syncs.iter().map(|mib| mib * MIB as u64).collect();
        assert_eq!(at, expected, "{writes:?}");
    };
    check(&[], &[0]);
    check(&[1, 1, 1], &[3]);
    check(&[1; 10], &[4, 8, 10]);
    // The last sync is that of the end.
    check(&[1; 8], &[4, 8]);
    check(&[3, 3, 3, 3], &[6, 12]);
    check(&[20, 1], &[20, 21]);
}

#[test]
fn nothing_is_written_after_a_sync_that_failed() {
    let file = Arc::new(Noting::default());
    let mut writer = GradualWriter::new(Arc::clone(&file) as Arc<dyn FileHandle>);
    writer.write_all(&[7; MIB]).unwrap();
    file.noted().fails = true;
    writer.write_all(&vec![7; 3 * MIB]).unwrap_err();
    // The disk would report success now.
    writer.write_all(&[7; 10]).unwrap_err();
    writer.finish().unwrap_err();
    assert_eq!(file.noted().bytes, 4 * MIB as u64);
    assert!(file.noted().synced_at.is_empty());
}

#[test]
fn a_file_is_written_over_from_its_start_and_goes_on_where_it_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let files = DiskFiles::PRIVATE;
    files.create(&path).unwrap().append(&[b'.'; 10]).unwrap();
    let over = files.open_to_overwrite(&path).unwrap();
    let check = |expect: &str| {
        let content = read_all(&files, &path).unwrap();
        assert_eq!(String::from_utf8_lossy(&content), expect);
        assert_eq!(over.bytes().unwrap(), expect.len() as u64);
    };
    over.append(b"one").unwrap();
    over.append(b"two").unwrap();
    check("onetwo....");
    over.append(b"three").unwrap();
    check("onetwothree");
    over.truncate(3).unwrap();
    over.append(b"four").unwrap();
    check("onefour");
}

#[test]
fn a_private_folder_does_not_shut_its_neighbours_away() {
    let folder = tempfile::tempdir().unwrap();
    let mode = |path: &str| {
        let metadata = fs::metadata(folder.path().join(path)).unwrap();
        metadata.permissions().mode() & 0o777
    };
    // What the umask allows.
    fs::create_dir(folder.path().join("plain")).unwrap();
    let plain = mode("plain");
    let check = |path: &str, expect: &[(&str, u32)]| {
        let dir = folder.path().join(path);
        DiskFiles::PRIVATE.create_dir(&dir).unwrap();
        // It may be there already.
        DiskFiles::PRIVATE.create_dir(&dir).unwrap();
        for (path, expect) in expect {
            assert_eq!(mode(path), *expect, "{path}");
        }
    };
    check("data/journal", &[("data", plain), ("data/journal", 0o700)]);
    check(
        "data/journal/archive",
        &[("data/journal", 0o700), ("data/journal/archive", 0o700)],
    );
    check("a/b/c", &[("a", plain), ("a/b", plain), ("a/b/c", 0o700)]);
    DiskFiles::PUBLIC
        .create_dir(&folder.path().join("data/lake/heat"))
        .unwrap();
    assert_eq!((mode("data/lake"), mode("data/lake/heat")), (plain, plain));
}

/// Files of a disk that the system has made read-only after errors.
#[derive(Debug)]
struct ReadOnly;

fn refused<T>() -> io::Result<T> {
    Err(io::ErrorKind::ReadOnlyFilesystem.into())
}

impl Files for ReadOnly {
    fn create(&self, _: &Path) -> io::Result<Arc<dyn FileHandle>> {
        refused()
    }

    fn open(&self, _: &Path) -> io::Result<Arc<dyn FileHandle>> {
        refused()
    }

    fn open_to_overwrite(&self, _: &Path) -> io::Result<Arc<dyn FileHandle>> {
        refused()
    }

    fn open_to_read(&self, path: &Path) -> io::Result<Arc<dyn FileHandle>> {
        DiskFiles::PRIVATE.open_to_read(path)
    }

    fn rename(&self, _: &Path, _: &Path) -> io::Result<()> {
        refused()
    }

    fn remove(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<ListedFile>> {
        DiskFiles::PRIVATE.list(dir)
    }

    fn folders(&self, dir: &Path) -> io::Result<Vec<String>> {
        DiskFiles::PRIVATE.folders(dir)
    }

    fn create_dir(&self, _: &Path) -> io::Result<()> {
        refused()
    }

    fn link(&self, _: &Path, _: &Path) -> io::Result<()> {
        refused()
    }

    fn lock(&self, _: &Path, _: &str) -> io::Result<LockGuard> {
        refused()
    }
}

#[test]
fn a_file_on_a_disk_that_cannot_be_written_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("identity");
    fs::write(&path, b"it").unwrap();
    assert_eq!(read_all(&ReadOnly, &path).unwrap(), b"it");
}
