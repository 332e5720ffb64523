use std::io::Read;

use axum::http::HeaderValue;

use super::*;

#[test]
fn the_client_chooses() {
    fn check(accept: Option<&'static str>, format: Format, expect: Coding) {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_static(accept));
        }
        assert_eq!(Coding::choose(format, &headers), expect, "{accept:?}");
    }
    check(None, Format::Json, Coding::Identity);
    check(Some(""), Format::Json, Coding::Identity);
    check(Some("br"), Format::Json, Coding::Identity);
    check(Some("gzip"), Format::Csv, Coding::Gzip);
    check(Some("gzip, deflate, br, zstd"), Format::Json, Coding::Zstd);
    check(Some("gzip;q=1.0, zstd;q=0.5"), Format::Arrow, Coding::Gzip);
    check(Some("gzip;q=0"), Format::Json, Coding::Identity);
    check(Some("*"), Format::Json, Coding::Zstd);
    check(Some("zstd;q=0, *"), Format::Json, Coding::Gzip);
    check(Some("identity, gzip;q=0.5"), Format::Json, Coding::Identity);
    check(
        Some("identity;q=0.1, gzip;q=0.5"),
        Format::Json,
        Coding::Gzip,
    );
    check(Some("gzip, zstd"), Format::Parquet, Coding::Identity);
}

fn decoded(coding: Coding, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    match coding {
        Coding::Identity => out.extend_from_slice(bytes),
        Coding::Gzip => {
            let mut decoder = flate2::read::GzDecoder::new(bytes);
            decoder.read_to_end(&mut out).expect("gzip");
        }
        Coding::Zstd => out = zstd::decode_all(bytes).expect("zstd"),
    }
    out
}

#[test]
fn pieces_make_the_whole() {
    let pieces: Vec<Bytes> = (0..50_u32)
        .map(|piece| format!("{piece},21.5,°C\n").repeat(1000).into())
        .collect();
    for coding in [Coding::Identity, Coding::Gzip, Coding::Zstd] {
        let mut coder = Coder::new(coding).expect("a coder");
        let mut coded = Vec::new();
        for piece in &pieces {
            coded.extend_from_slice(&coder.push(piece.clone()).expect("a piece"));
        }
        coded.extend_from_slice(&coder.finish().expect("an end"));
        assert_eq!(decoded(coding, &coded), pieces.concat(), "{coding:?}");
        let (whole, how) = coding.encode(pieces.concat().into()).expect("whole");
        assert_eq!(how, coding);
        assert_eq!(decoded(how, &whole), pieces.concat(), "{coding:?}");
        let small = coding.encode(Bytes::from_static(b"a,b")).expect("small");
        assert_eq!(small, (Bytes::from_static(b"a,b"), Coding::Identity));
    }
}
