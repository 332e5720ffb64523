use super::*;

fn header() -> Header {
    Header {
        identity: Identity {
            id: Uuid::from_u128(7),
            salt: [9; 16],
        },
        number: 3,
        follows: Sequence(41),
        first: Sequence(50),
        recorded_after: 1_700_000_000_000_000,
    }
}

#[test]
fn names_are_printed_and_parsed() {
    let name = SegmentName {
        number: 3,
        first: Sequence(50),
    };
    assert_eq!(name.to_string(), "0000000003-00000000000000000050.journal");
    assert_eq!(SegmentName::parse(&name.to_string()), Some(name));
    for other in [
        "lock",
        "checkpoint",
        "1.journal",
        "1-2.journal.tmp",
        "1-2-3.journal",
        "a-b.journal",
    ] {
        assert_eq!(SegmentName::parse(other), None, "{other}");
    }
}

#[test]
fn headers_are_read_back_and_every_flipped_bit_is_noticed() {
    let mut bytes = Vec::new();
    header().encode(&mut bytes);
    assert_eq!(Header::decode(&bytes), ReadHeader::Valid(header()));
    assert_eq!(
        Header::decode(&bytes[..HEADER_BYTES - 1]),
        ReadHeader::Damaged
    );
    for bit in 0..HEADER_BYTES * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(Header::decode(&damaged), ReadHeader::Damaged, "bit {bit}");
    }
}

#[test]
fn a_newer_format_is_told_apart() {
    let mut bytes = Vec::new();
    header().encode(&mut bytes);
    bytes[8] = 2;
    let checksum = crc32c::crc32c(&bytes[..84]);
    bytes[84..].copy_from_slice(&checksum.to_le_bytes());
    assert_eq!(Header::decode(&bytes), ReadHeader::Newer(2));
}
