//! Flags of regular expressions as PostgreSQL has them, in those of the crate that matches.
//!
//! | flag | a point matches the end of a line | `^` and `$` match at lines | written |
//! |---|---|---|---|
//! | `s` | yes | no | `s` |
//! | `n`, `m` | no | yes | `m` |
//! | `p` | no | no | – |
//! | `w` | yes | yes | `ms` |
//!
//! Of these, and of `c` and `i`, the last one counts. `e` and `t` say what every expression is here.

use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Value,
};

/// Returns at which position a function takes flags; None for one that takes none.
fn position(function: &str) -> Option<usize> {
    match function {
        "regexp_like" | "regexp_match" => Some(2),
        "regexp_replace" | "regexp_count" => Some(3),
        "regexp_instr" => Some(5),
        _ => None,
    }
}

/// Writes the flags of a call in the words of the crate that matches; what has none is called without.
pub(super) fn respell_flags(name: &str, function: &mut Function) {
    let Some(position) = position(name) else {
        return;
    };
    let FunctionArguments::List(list) = &mut function.args else {
        return;
    };
    let is_last = list.args.len() == position + 1;
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value)))) =
        list.args.get_mut(position)
    else {
        return;
    };
    let (Value::SingleQuotedString(written) | Value::EscapedStringLiteral(written)) =
        &mut value.value
    else {
        return;
    };
    match flags_of(written) {
        Some(flags) if flags.is_empty() && is_last => {
            list.args.pop();
        }
        // No flag at all is none that the crate knows, and this one says what is so without it.
        Some(flags) if flags.is_empty() => "u".clone_into(written),
        Some(flags) => *written = flags,
        None => {}
    }
}

/// Returns other flags for what has one that only PostgreSQL knows, or none at all; None where both know all.
fn flags_of(written: &str) -> Option<String> {
    let is_of_postgres = |flag: char| "cenptw".contains(flag);
    if !written.is_empty() && !written.contains(is_of_postgres) {
        return None;
    }
    let mut others = String::new();
    let mut case = "";
    let mut lines = "";
    for flag in written.chars() {
        match flag {
            'c' => case = "",
            'i' => case = "i",
            'n' | 'm' => lines = "m",
            'p' => lines = "",
            's' => lines = "s",
            'w' => lines = "ms",
            'e' | 't' => {}
            other if others.contains(other) => {}
            other => others.push(other),
        }
    }
    Some(format!("{others}{case}{lines}"))
}

#[cfg(test)]
mod tests {
    use super::flags_of;

    #[test]
    fn flags_of_postgresql_are_written_otherwise() {
        let check = |written: &str, expect: Option<&str>| {
            assert_eq!(flags_of(written).as_deref(), expect, "{written}");
        };
        check("n", Some("m"));
        check("gn", Some("gm"));
        check("w", Some("ms"));
        check("p", Some(""));
        check("in", Some("im"));
        check("ic", Some(""));
        check("ci", Some("i"));
        check("sn", Some("m"));
        check("ns", Some("s"));
        check("nxx", Some("xm"));
        check("nz", Some("zm"));
        check("", Some(""));
        for known in ["g", "i", "gi", "ms", "x", "z"] {
            check(known, None);
        }
    }
}
