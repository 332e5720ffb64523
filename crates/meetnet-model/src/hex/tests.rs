use super::Hex;

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
