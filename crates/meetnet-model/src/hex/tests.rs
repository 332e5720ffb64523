use super::{Hex, uuid};

#[test]
fn every_byte_has_two_digits() {
    assert_eq!(Hex(&[]).to_string(), "");
    assert_eq!(Hex(&[0, 1, 0x0a, 0xa0, 0xff]).to_string(), "00010aa0ff");
    for byte in 0..=u8::MAX {
        let text = Hex(&[byte]).to_string();
        assert_eq!(text.len(), 2, "{byte}");
        assert_eq!(u8::from_str_radix(&text, 16), Ok(byte));
        assert_eq!(text, text.to_lowercase());
    }
}

#[test]
fn a_uuid_has_the_digits_of_its_bytes() {
    let bytes: Vec<u8> = (0..16).map(|at| at * 17).collect();
    let text = "00112233-4455-6677-8899-aabbccddeeff";
    assert_eq!(uuid(&bytes).as_deref(), Some(text));
    assert_eq!(uuid(&bytes[1..]), None);
}
