use super::{Parameters, parse};

#[test]
fn values_become_literals() {
    let check = |text: &str, expect: Result<(&str, &str), &str>| match (parse(text), expect) {
        (Ok((name, literal)), Ok(expect)) => {
            assert_eq!((name.as_str(), literal.as_str()), expect, "{text}");
        }
        (Err(said), Err(part)) => assert!(said.contains(part), "{text}: {said}"),
        (found, _) => panic!("{text}: {found:?}"),
    };
    check("n=5", Ok(("n", "5")));
    check("n=-1.5e3", Ok(("n", "-1.5e3")));
    check("n='5'", Ok(("n", "'5'")));
    check("n=inf", Ok(("n", "'inf'")));
    check("n=1.2.3", Ok(("n", "'1.2.3'")));
    check("n=-", Ok(("n", "'-'")));
    check("on=TRUE", Ok(("on", "TRUE")));
    check("x=null", Ok(("x", "null")));
    check("sensor=ts-1", Ok(("sensor", "'ts-1'")));
    check("day=2026-01-31", Ok(("day", "'2026-01-31'")));
    check("t=a=b", Ok(("t", "'a=b'")));
    check("t=", Ok(("t", "''")));
    check("t=it's' OR 1=1 --", Ok(("t", "'it''s'' OR 1=1 --'")));
    check("t", Err("NAME=VALUE"));
    check("=1", Err("no name"));
    check("a b=1", Err("no name"));
}

#[test]
fn statements_take_values_outside_of_texts() {
    let mut parameters = Parameters::default();
    for text in ["n=5", "name=it's"] {
        let (name, literal) = parse(text).expect("a parameter");
        parameters.set(name, literal);
    }
    let check = |statement: &str, expect: &str| {
        assert_eq!(parameters.bind(statement).expect("values"), expect);
    };
    check("SELECT $n", "SELECT 5");
    check("SELECT $n+$n, $name", "SELECT 5+5, 'it''s'");
    check(
        "SELECT '$n', \"$n\" -- $x\n, $n",
        "SELECT '$n', \"$n\" -- $x\n, 5",
    );
    check("SELECT $$n;$n$$, $n", "SELECT $$n;$n$$, 5");
    check("SELECT $ n", "SELECT $ n");
    check("SELECT 'ü', $n", "SELECT 'ü', 5");
    let said = parameters.bind("SELECT $nn").expect_err("no value");
    assert!(
        said.contains("$nn has no value") && said.contains("n, name"),
        "{said}"
    );
}
