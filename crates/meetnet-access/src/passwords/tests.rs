use super::*;

#[test]
fn only_the_password_of_the_user_fits() {
    let user = |name: &str, password: &str| User {
        name: name.to_owned(),
        password: password.to_owned(),
    };
    let passwords = Passwords::new(&[user("a", "correct horse"), user("b", "battery staple")]);
    for (name, password, fits) in [
        ("a", "correct horse", true),
        ("b", "battery staple", true),
        ("a", "battery staple", false),
        ("a", "correct horsE", false),
        ("a", "", false),
        ("c", "correct horse", false),
        ("", "", false),
    ] {
        assert_eq!(passwords.fits(name, password), fits, "{name} {password}");
    }
}

#[test]
fn a_user_is_shown_without_its_password() {
    let user = User {
        name: "a".to_owned(),
        password: "correct horse".to_owned(),
    };
    assert_eq!(format!("{user:?}"), "User { name: \"a\", .. }");
}
