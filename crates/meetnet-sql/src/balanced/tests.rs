use datafusion::logical_expr::{col, lit};

use super::*;

/// A chain of comparisons of `car` with 0, 1 and so on.
fn chain(terms: i64, join: fn(Expr, Expr) -> Expr) -> Expr {
    let terms = (0..terms).map(|term| col("car").eq(lit(term)));
    terms.reduce(join).expect("a chain")
}

fn depth(expr: &Expr) -> usize {
    match expr {
        Expr::BinaryExpr(binary) => 1 + depth(&binary.left).max(depth(&binary.right)),
        _ => 0,
    }
}

fn numbers(expr: &Expr, found: &mut Vec<String>) {
    match expr {
        Expr::BinaryExpr(binary) => {
            numbers(&binary.left, found);
            numbers(&binary.right, found);
        }
        Expr::Literal(..) => found.push(expr.to_string()),
        _ => {}
    }
}

fn tree(expr: Expr) -> Transformed<Expr> {
    let tree = expr.transform_down(|expr| Ok(balanced_chain(expr)));
    tree.expect("a tree")
}

#[test]
fn chains_become_trees_of_the_same_terms_in_their_order() {
    let joins: [fn(Expr, Expr) -> Expr; 2] = [Expr::or, Expr::and];
    for join in joins {
        for terms in [17_i64, 100, 250, 700] {
            let chain = chain(terms, join);
            let (mut before, mut after) = (Vec::new(), Vec::new());
            numbers(&chain, &mut before);
            let tree = tree(chain);
            assert!(tree.transformed, "{terms}");
            numbers(&tree.data, &mut after);
            assert_eq!(before, after);
            // The comparison itself is the last level.
            let least = terms.ilog2() as usize + 2;
            assert_eq!(depth(&tree.data), least, "{terms}");
        }
    }
    let short = chain(16, Expr::or);
    assert!(!tree(short).transformed);
    let again = tree(tree(chain(250, Expr::or)).data);
    assert!(!again.transformed, "it is one already");
    // Chains in the terms of others.
    let nested = chain(100, Expr::and).or(chain(100, Expr::and));
    assert_eq!(depth(&tree(nested).data), 1 + 8);
}

fn deepest_condition(plan: &Arc<dyn ExecutionPlan>) -> usize {
    fn depth(expr: &Arc<dyn PhysicalExpr>) -> usize {
        let binary = expr.downcast_ref::<expressions::BinaryExpr>();
        binary.map_or(0, |binary| {
            1 + depth(binary.left()).max(depth(binary.right()))
        })
    }
    let of_node = plan.downcast_ref::<FilterExec>();
    let of_node = of_node.map_or(0, |filter| depth(filter.predicate()));
    let below = plan.children().into_iter().map(deepest_condition);
    below.fold(of_node, usize::max)
}

#[test]
fn conditions_of_filters_become_trees() {
    use arrow::datatypes::{DataType, Field, Schema};
    use datafusion::physical_plan::empty::EmptyExec;
    let schema = Arc::new(Schema::new(vec![Field::new("car", DataType::Int64, true)]));
    for operator in [Operator::And, Operator::Or] {
        let terms = (0..250_i64).map(|term| {
            let column = expressions::col("car", &schema).expect("a column");
            let less = expressions::BinaryExpr::new(column, Operator::Lt, expressions::lit(term));
            Arc::new(less) as Arc<dyn PhysicalExpr>
        });
        let chain = terms.reduce(|left, right| {
            let both = expressions::BinaryExpr::new(left, operator, right);
            Arc::new(both) as Arc<dyn PhysicalExpr>
        });
        let input = Arc::new(EmptyExec::new(Arc::clone(&schema)));
        let filter = FilterExecBuilder::new(chain.expect("a chain"), input).with_fetch(Some(7));
        let plan: Arc<dyn ExecutionPlan> = Arc::new(filter.build().expect("a filter"));
        assert_eq!(deepest_condition(&plan), 250);
        let plan = BalancedConditions.optimize(plan, &ConfigOptions::default());
        let plan = plan.expect("a plan");
        assert_eq!(deepest_condition(&plan), 9);
        assert_eq!(plan.fetch(), Some(7));
    }
}
