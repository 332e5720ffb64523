use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crate::files::DiskFiles;

fn unpacked(folder: &Path, packed: &[u8]) -> Unpacked {
    let path = folder.join("packed");
    std::fs::write(&path, packed).expect("written");
    let handle = DiskFiles::PRIVATE.open_to_read(&path).expect("opens");
    Unpacked::new(handle).expect("unpacks")
}

/// Not to be compressed away: reads cross many blocks.
fn content(rng: &mut StdRng) -> Vec<u8> {
    (0..5_000_000).map(|_| rng.random_range(0..64)).collect()
}

#[test]
fn a_compressed_file_reads_as_what_is_in_it_forwards_and_backwards() {
    let mut rng = StdRng::seed_from_u64(3);
    let content = content(&mut rng);
    let folder = tempfile::tempdir().expect("a folder");
    let packed = zstd::encode_all(content.as_slice(), 3).expect("packs");
    let file = unpacked(folder.path(), &packed);
    assert_eq!(file.bytes().expect("measured"), content.len() as u64);
    for _ in 0..40 {
        let at = rng.random_range(0..content.len() + 1_000);
        let mut buffer = vec![0; rng.random_range(0..2_000_000)];
        let read = file.read_at(at as u64, &mut buffer).expect("reads");
        let expect = content.get(at..).unwrap_or_default();
        let expect = &expect[..buffer.len().min(expect.len())];
        assert_eq!((read, &buffer[..read]), (expect.len(), expect), "at {at}");
    }
}

#[test]
fn of_a_damaged_one_what_comes_before_the_damage_is_read() {
    let mut rng = StdRng::seed_from_u64(4);
    let content = content(&mut rng);
    let folder = tempfile::tempdir().expect("a folder");
    let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 3).expect("packs");
    encoder.include_checksum(true).expect("packs");
    io::Write::write_all(&mut encoder, &content).expect("packs");
    let mut packed = encoder.finish().expect("packs");
    let middle = packed.len() / 2;
    packed[middle] ^= 0x55;
    let file = unpacked(folder.path(), &packed);
    let (bytes, broken) = file.measure().expect("measured");
    assert!(broken.is_some(), "{bytes} of {} bytes", content.len());
    let mut buffer = vec![0; 1_000];
    assert_eq!(file.read_at(0, &mut buffer).expect("reads"), 1_000);
    assert_eq!(buffer, content[..1_000]);
}
