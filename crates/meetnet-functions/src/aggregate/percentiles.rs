//! Percentiles, described. DataFusion computes them, and the planner of meetnet-query spells `percentile_disc` by what there is;
//! who reads the view `functions` looks for them there, beside those that are computed here.

use crate::described::{FunctionDescription, FunctionKind};

/// `percentile_cont`.
pub(crate) static PERCENTILE_CONT: FunctionDescription = FunctionDescription {
    name: "percentile_cont",
    kind: FunctionKind::Aggregate,
    signature: "percentile_cont(fraction) WITHIN GROUP (ORDER BY value) → float64",
    description: "The exact percentile, of a fraction from 0 to 1: between two values it lies on the straight line, rounded to a \
                  millionth of their distance. All values of a group are held in memory. Rows without a value are left out, and \
                  NaN is greater than every number. Also called quantile_cont.",
    unit: None,
    example: "SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY value) FROM (VALUES (1.0), (2.0), (4.0)) AS t(value)",
};

/// `percentile_disc`.
pub(crate) static PERCENTILE_DISC: FunctionDescription = FunctionDescription {
    name: "percentile_disc",
    kind: FunctionKind::Aggregate,
    signature: "percentile_disc(fraction) WITHIN GROUP (ORDER BY value) → type of value",
    description: "The first value of a group, in its order, that at least a fraction of all values do not lie behind: an exact \
                  percentile that is one of the values. All of them are held in memory. Rows without a value are left out. \
                  Also called quantile_disc(value, fraction).",
    unit: None,
    example: "SELECT percentile_disc(0.95) WITHIN GROUP (ORDER BY value) FROM (VALUES (1.0), (2.0), (4.0)) AS t(value)",
};

/// `approx_percentile_cont`.
pub(crate) static APPROX_PERCENTILE_CONT: FunctionDescription = FunctionDescription {
    name: "approx_percentile_cont",
    kind: FunctionKind::Aggregate,
    signature: "approx_percentile_cont(fraction [, centroids]) WITHIN GROUP (ORDER BY value) → float64",
    description: "An approximate percentile, of a fraction from 0 to 1, by a t-digest: with an error of about 1 %, in little \
                  memory however many values there are. More centroids (left out: 100; at most 10,000) make it more exact. Rows \
                  without a value are left out.",
    unit: None,
    example: "SELECT approx_percentile_cont(0.95) WITHIN GROUP (ORDER BY value) FROM (VALUES (1.0), (2.0), (4.0)) AS t(value)",
};

/// `median`.
pub(crate) static MEDIAN: FunctionDescription = FunctionDescription {
    name: "median",
    kind: FunctionKind::Aggregate,
    signature: "median(value) → float64",
    description: "The middle of the values, exact; of an even number of them the mean of the two in the middle. All are held in \
                  memory. Rows without a value are left out. approx_median(value) is approximate, in little memory.",
    unit: None,
    example: "SELECT median(value), approx_median(value) FROM (VALUES (1.0), (2.0), (4.0)) AS t(value)",
};
