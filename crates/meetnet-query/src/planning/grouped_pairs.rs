//! ROLLUP and CUBE of columns that are taken together, which DataFusion 55.2 refuses.
//!
//! | written | planned |
//! |---|---|
//! | `ROLLUP ((a, b), c)` | `GROUPING SETS ((a, b, c), (a, b), ())` |
//! | `CUBE ((a, b), c)` | `GROUPING SETS ((a, b, c), (a, b), (c), ())` |

use datafusion::sql::sqlparser::ast::Expr;

/// Parts of a ROLLUP: each makes a set as long as all before it.
const ROLLUP_PARTS_MAX: usize = 64;
/// Parts of a CUBE: each doubles the sets.
const CUBE_PARTS_MAX: usize = 8;

/// Returns the sets that a ROLLUP or a CUBE means which has several columns in one of its parts; None for every other expression.
pub(super) fn sets_of_pairs(expr: &Expr) -> Option<Expr> {
    let sets = match expr {
        Expr::Rollup(parts) if has_pair(parts) && parts.len() <= ROLLUP_PARTS_MAX => {
            let sets = (0..=parts.len()).rev().map(|taken| parts[..taken].concat());
            sets.collect()
        }
        Expr::Cube(parts) if has_pair(parts) && parts.len() <= CUBE_PARTS_MAX => {
            // The first part is the highest bit, so that it is left out last.
            let is_taken = |set: usize, at: usize| (set >> (parts.len() - 1 - at)) & 1 == 1;
            let sets = (0..1_usize << parts.len()).rev().map(|set| {
                let taken = parts.iter().enumerate();
                let taken = taken.filter(|(at, _)| is_taken(set, *at));
                taken.flat_map(|(_, part)| part.clone()).collect()
            });
            sets.collect()
        }
        _ => return None,
    };
    Some(Expr::GroupingSets(sets))
}

fn has_pair(parts: &[Vec<Expr>]) -> bool {
    parts.iter().any(|part| part.len() > 1)
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::ast::Ident;

    use super::*;

    #[test]
    fn parts_become_sets() {
        let column = |name: &str| Expr::Identifier(Ident::new(name));
        let part = |names: &[&str]| names.iter().map(|name| column(name)).collect::<Vec<_>>();
        let parts = || vec![part(&["a", "b"]), part(&["c"]), part(&["d"])];
        let check = |written: Expr, expect: Option<&str>| {
            let sets = sets_of_pairs(&written).map(|sets| sets.to_string());
            assert_eq!(sets.as_deref(), expect, "{written}");
        };
        check(
            Expr::Rollup(parts()),
            Some("GROUPING SETS ((a, b, c, d), (a, b, c), (a, b), ())"),
        );
        check(
            Expr::Cube(parts()),
            Some(
                "GROUPING SETS ((a, b, c, d), (a, b, c), (a, b, d), (a, b), (c, d), (c), (d), ())",
            ),
        );
        check(Expr::Rollup(vec![part(&["a"]), part(&["b"])]), None);
        check(Expr::Cube(vec![part(&["a"])]), None);
        // So many sets would take longer to plan than anybody waits.
        let many = vec![part(&["a", "b"]); CUBE_PARTS_MAX + 1];
        check(Expr::Cube(many), None);
    }
}
