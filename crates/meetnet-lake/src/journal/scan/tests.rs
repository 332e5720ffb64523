use meetnet_model::ids::Sequence;

use super::super::frame::{FrameKind, NewEnvelope, Stamp, encode};
use super::*;
use crate::files::{DiskFiles, Files};

const SALT: [u8; 16] = [3; 16];

fn frame(sequence: u64, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let stamp = Stamp {
        kind: FrameKind::Envelope,
        head: false,
        sequence: Sequence(sequence),
        recorded_at: 1,
        clock_step: false,
        erased: false,
        decoder_version: 1,
        in_group: 0,
        original: None,
    };
    let envelope = NewEnvelope {
        payload,
        ..NewEnvelope::default()
    };
    encode(&mut bytes, FrameKey::new(&SALT), &stamp, &envelope);
    bytes
}

/// Scans `content` behind 5 other bytes: sequences, and damage as `offset+bytes` with `!` where nothing follows.
fn check(content: &[u8], expect: &str) {
    assert_eq!(scanned(content, |scanner| scanner), expect);
}

/// The same of a segment that was written over a spare.
fn check_over_zeros(content: &[u8], expect: &str) {
    assert_eq!(scanned(content, Scanner::over_zeros), expect);
}

fn scanned(content: &[u8], prepare: impl FnOnce(Scanner) -> Scanner) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let handle = DiskFiles::PRIVATE
        .create(&folder.path().join("segment"))
        .expect("a file");
    handle.append(b"other").expect("written");
    handle.append(content).expect("written");
    let end = 5 + content.len() as u64;
    let mut scanner = prepare(Scanner::new(handle, FrameKey::new(&SALT), 5, end));
    let mut found = Vec::new();
    loop {
        found.push(match scanner.next().expect("readable") {
            Scanned::End => break,
            Scanned::Newer(version) => format!("newer {version}"),
            Scanned::Frame { frame, .. } => frame.sequence.to_string(),
            Scanned::Damage {
                offset,
                bytes,
                followed,
            } => {
                format!("{}+{bytes}{}", offset - 5, if followed { "" } else { "!" })
            }
        });
    }
    found.join(" ")
}

#[test]
fn frames_and_damage_are_walked_in_order() {
    let (a, b) = (frame(1, b"one"), frame(2, b"two"));
    let size = a.len();
    check(&[], "");
    check(&[a.as_slice(), &b].concat(), "1 2");
    check(
        &[a.as_slice(), b"mnj", &b].concat(),
        &format!("1 {size}+3 2"),
    );
    check(&[a.as_slice(), &b[..10]].concat(), &format!("1 {size}+10!"));
    check(
        &[a.as_slice(), &[0; 1000]].concat(),
        &format!("1 {size}+1000!"),
    );
    check(&[&b"mnjfmnjfmnjf"[..], &b].concat(), "0+12 2");
}

#[test]
fn zeros_behind_the_last_frame_are_what_is_left_of_a_spare() {
    let (a, b, zeros) = (frame(1, &[0; 40]), frame(2, b"two"), [0; 1000]);
    let size = a.len();
    check_over_zeros(&zeros, "");
    check_over_zeros(&[a.as_slice(), &zeros].concat(), "1");
    check_over_zeros(&[a.as_slice(), &b, &[0]].concat(), "1 2");
    check_over_zeros(&[a.as_slice(), &vec![0; 3 * CHUNK_BYTES]].concat(), "1");
    // A hole has a frame behind it.
    check_over_zeros(
        &[a.as_slice(), &zeros, &b, &zeros].concat(),
        &format!("1 {size}+1000 2"),
    );
    // A torn group does not count what it did not write.
    let torn = b.len() - 1;
    assert_ne!(b[torn - 1], 0);
    check_over_zeros(
        &[a.as_slice(), &b[..torn], &zeros].concat(),
        &format!("1 {size}+{torn}!"),
    );
    check_over_zeros(
        &[a.as_slice(), &zeros, b"x", &zeros].concat(),
        &format!("1 {size}+1001!"),
    );
}

#[test]
fn a_group_written_over_the_zeros_while_they_are_read_is_no_damage() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("segment");
    let files = DiskFiles::PRIVATE;
    let group = |from: u64| [frame(from, b"x"), frame(from + 1, b"y")].concat();
    let content = [group(1), vec![0; 4000]].concat();
    let end = content.len() as u64;
    files
        .create(&path)
        .and_then(|handle| handle.append(&content))
        .expect("written");
    let handle = files.open_to_read(&path).expect("opened");
    let mut scanner = Scanner::new(handle, FrameKey::new(&SALT), 0, end).over_zeros();
    let mut sequences = Vec::new();
    let writer = files.open_to_overwrite(&path).expect("opened");
    writer.append(&group(1)).expect("written");
    loop {
        match scanner.next().expect("readable") {
            Scanned::Frame { frame, .. } => sequences.push(frame.sequence.0),
            Scanned::End => break,
            other => panic!("{other:?} after {sequences:?}"),
        }
        // The zeros behind them are in the scanner's buffer.
        if sequences.len() == 2 {
            writer.append(&group(3)).expect("written");
        }
    }
    assert_eq!(sequences, [1, 2, 3, 4]);
}

#[test]
fn frames_and_damage_may_be_longer_than_a_chunk() {
    let large = frame(1, &vec![7; 3 * CHUNK_BYTES]);
    let small = frame(2, b"two");
    check(&[large.as_slice(), &small].concat(), "1 2");
    let mut damaged = large.clone();
    damaged[2 * CHUNK_BYTES] ^= 1;
    check(
        &[damaged.as_slice(), &small].concat(),
        &format!("0+{} 2", large.len()),
    );
    // The magic that ends the damage lies across two chunks, at every possible cut.
    for shift in 0..6 {
        let junk = vec![b'm'; CHUNK_BYTES - 2 + shift];
        check(
            &[junk.as_slice(), &small].concat(),
            &format!("0+{} 2", junk.len()),
        );
    }
}

#[test]
fn a_frame_inside_a_payload_is_found_only_with_the_key() {
    let inner = frame(99, b"ours");
    let mut foreign = Vec::new();
    let stamp = Stamp {
        kind: FrameKind::Envelope,
        head: false,
        sequence: Sequence(98),
        recorded_at: 1,
        clock_step: false,
        erased: false,
        decoder_version: 1,
        in_group: 0,
        original: None,
    };
    encode(
        &mut foreign,
        FrameKey::new(&[4; 16]),
        &stamp,
        &NewEnvelope::default(),
    );
    // Somebody who does not know the salt sends a frame as a payload, and the frame around it is damaged.
    let mut outer = frame(1, &foreign);
    outer[8] ^= 1;
    check(
        &[outer.as_slice(), &inner].concat(),
        &format!("0+{} 99", outer.len()),
    );
}

#[test]
fn the_memory_of_a_large_frame_is_not_kept_for_small_ones() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("segment");
    let handle = DiskFiles::PRIVATE.create(&path).expect("a file");
    let large = frame(1, &vec![b'.'; 8 * CHUNK_BYTES]);
    handle.append(&large).expect("written");
    for sequence in 2..60 {
        handle
            .append(&frame(sequence, &[b'.'; 50_000]))
            .expect("written");
    }
    let end = handle.bytes().expect("known");
    let mut scanner = Scanner::new(handle, FrameKey::new(&SALT), 0, end);
    let mut frames = 0;
    let mut greatest = 0;
    loop {
        let is_frame = matches!(scanner.next().expect("readable"), Scanned::Frame { .. });
        if !is_frame {
            break;
        }
        frames += 1;
        greatest = greatest.max(scanner.buffer.capacity());
    }
    assert_eq!(frames, 59);
    let kept = scanner.buffer.capacity();
    assert!(
        greatest >= 8 * CHUNK_BYTES && kept <= 4 * CHUNK_BYTES,
        "{kept} bytes of {greatest}"
    );
}
