use super::*;

/// The exchange of RFC 7677, section 3: user `user`, password `pencil`.
const SALT: &str = "W22ZaJ0SNY7soEsUEjb6gQ==";
const CLIENT_FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
const CLIENT_FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                            p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

fn begin(password: &str) -> (Exchange, String) {
    let salt = STANDARD.decode(SALT).expect("base64");
    let verifier = Verifier::salted(password, salt.try_into().expect("16 bytes"));
    Exchange::begin_with(verifier, CLIENT_FIRST.as_bytes(), SERVER_NONCE).expect("a first message")
}

#[test]
fn the_exchange_of_the_standard_succeeds() {
    let (exchange, first) = begin("pencil");
    assert_eq!(
        first,
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    );
    assert_eq!(
        exchange.finish(CLIENT_FINAL.as_bytes()).as_deref(),
        Ok("v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    );
}

#[test]
fn anything_else_fails() {
    let check = |password: &str, last: &str, expected: ScramError| {
        let (exchange, _) = begin(password);
        assert_eq!(exchange.finish(last.as_bytes()), Err(expected), "{last}");
    };
    check("pencils", CLIENT_FINAL, ScramError::WrongPassword);
    let other_nonce = CLIENT_FINAL.replace("r=rOpr", "r=xOpr");
    check("pencil", &other_nonce, ScramError::Malformed);
    let other_binding = CLIENT_FINAL.replace("c=biws", "c=eSws");
    check("pencil", &other_binding, ScramError::Malformed);
    let other_proof = CLIENT_FINAL.replace("p=dHzb", "p=eHzb");
    check("pencil", &other_proof, ScramError::WrongPassword);
    for broken in ["", "c=biws", "p=", "c=biws,r=x,p=!"] {
        check("pencil", broken, ScramError::Malformed);
    }
    let verifier = Verifier::new("pencil");
    for broken in [
        "",
        "n,,",
        "n,,n=user",
        "n,,n=user,r=",
        "p=tls-unique,,n=u,r=x",
    ] {
        let begun = Exchange::begin(verifier.clone(), broken.as_bytes());
        assert!(begun.is_err(), "{broken}");
    }
}

#[test]
fn somebody_unknown_is_asked_with_the_same_salt_each_time() {
    let secret = [7; 32];
    let of = |user: &str| Verifier::of_nobody(&secret, user).salt;
    assert_eq!(of("alice"), of("alice"));
    assert_ne!(of("alice"), of("bob"));
}
