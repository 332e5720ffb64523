//! What the quality tests of a property must keep, and what to do where they do not.

use std::ops::Range;

use toml::Spanned;

use super::dataset_rules::check_range;
use super::{Problems, raw};
use crate::quality::{AttenuatedSignal, FlatLine, MonthLimits, PropertyTests};

/// Checks the tests of one property; what is wrong goes to `problems`. `range` is its plausible range, where it has one.
pub(super) fn check(
    raw: raw::Tests,
    range: Option<[f64; 2]>,
    problems: &mut Problems<'_>,
) -> PropertyTests {
    let suspect_range = raw.suspect_range.and_then(|suspect| {
        let span = suspect.span();
        let suspect = check_range(&suspect, problems)?;
        if range.is_some_and(|range| !is_within(suspect, range)) {
            problems.add(
                span,
                "`suspect_range` reaches beyond `range`, where values fail; make it narrower",
            );
        }
        Some(suspect)
    });
    check_climatology(&raw.climatology, problems);
    if let Some(rate) = &raw.rate_of_change {
        let limits = rate.get_ref();
        let limits = (limits.suspect_per_hour, limits.fail_per_hour);
        check_limits("rate_of_change", limits, rate.span(), problems);
        if rate.get_ref().distance_min_s == Some(0) {
            problems.add(
                rate.span(),
                "`distance_min_s` is a time; use 1 or more seconds, or leave it out",
            );
        }
    }
    if let Some(flat) = &raw.flat_line {
        check_flat_line(flat, problems);
    }
    if let Some(attenuated) = &raw.attenuated_signal {
        check_attenuated_signal(attenuated, problems);
    }
    if let Some(spike) = &raw.spike {
        let limits = (spike.get_ref().suspect, spike.get_ref().fail);
        check_limits("spike", limits, spike.span(), problems);
    }
    if let Some(neighbour) = &raw.neighbour {
        let declared = neighbour.get_ref();
        let limits = (declared.suspect, declared.fail);
        check_limits("neighbour", limits, neighbour.span(), problems);
        if declared.neighbours_min < 3 || declared.radius_m == 0 {
            problems.add(
                neighbour.span(),
                "`neighbour` needs at least 3 neighbours within a radius; raise `neighbours_min` or `radius_m`",
            );
        }
        if !is_positive(declared.deviation_min) {
            problems.add(
                neighbour.span(),
                "`deviation_min` of `neighbour` is a positive number in the unit of the property; correct it",
            );
        }
    }
    PropertyTests {
        suspect_range,
        climatology: raw
            .climatology
            .into_iter()
            .map(Spanned::into_inner)
            .collect(),
        rate_of_change: raw.rate_of_change.map(Spanned::into_inner),
        flat_line: raw.flat_line.map(Spanned::into_inner),
        attenuated_signal: raw.attenuated_signal.map(Spanned::into_inner),
        spike: raw.spike.map(Spanned::into_inner),
        neighbour: raw.neighbour.map(Spanned::into_inner),
    }
}

fn check_climatology(declared: &[Spanned<MonthLimits>], problems: &mut Problems<'_>) {
    let mut seen = [false; 12];
    for limits in declared {
        let span = limits.span();
        let MonthLimits {
            months,
            suspect,
            fail,
        } = limits.get_ref();
        if months.is_empty() {
            problems.add(
                span.clone(),
                "`climatology` names no months; write `months = [1, 2, …]`",
            );
        }
        for month in months {
            match usize::from(*month)
                .checked_sub(1)
                .and_then(|index| seen.get_mut(index))
            {
                None => problems.add(
                    span.clone(),
                    format!("month {month} does not exist; months are numbers from 1 to 12"),
                ),
                Some(true) => problems.add(
                    span.clone(),
                    format!("month {month} has limits already; name it once"),
                ),
                Some(seen) => *seen = true,
            }
        }
        for [min, max] in [Some(*suspect), *fail].into_iter().flatten() {
            if !(min.is_finite() && max.is_finite() && min <= max) {
                problems.add(
                    span.clone(),
                    "limits of a month are two numbers, the lower one first; write `suspect = [min, max]`",
                );
            }
        }
        if fail.is_some_and(|fail| !is_within(*suspect, fail)) {
            problems.add(
                span,
                "`suspect` of `climatology` reaches beyond `fail`; make it narrower",
            );
        }
    }
}

fn check_flat_line(flat: &Spanned<FlatLine>, problems: &mut Problems<'_>) {
    let FlatLine {
        tolerance,
        suspect_s,
        fail_s,
    } = *flat.get_ref();
    if !is_positive(tolerance) {
        // Nothing lies less than 0 apart: the test would never find anything.
        problems.add(
            flat.span(),
            "`tolerance` of `flat_line` is a positive number; use what the sensors resolve, or a little less",
        );
    }
    if suspect_s == 0 || fail_s < suspect_s {
        problems.add(
            flat.span(),
            "`flat_line` is suspect after some time and fails after as long or longer; correct `suspect_s` or `fail_s`",
        );
    }
}

fn check_attenuated_signal(attenuated: &Spanned<AttenuatedSignal>, problems: &mut Problems<'_>) {
    let AttenuatedSignal {
        period_s,
        observations_min,
        span_min_s,
        suspect,
        fail,
        ..
    } = *attenuated.get_ref();
    if period_s == 0 || observations_min < 2 {
        problems.add(
            attenuated.span(),
            "`attenuated_signal` needs a period and at least 2 observations in it; raise `period_s` or `observations_min`",
        );
    }
    if span_min_s.is_some_and(|span_min_s| span_min_s >= period_s) {
        problems.add(
            attenuated.span(),
            "`span_min_s` of `attenuated_signal` is shorter than the period, or no values would span it; correct it",
        );
    }
    if !(is_positive(suspect) && fail >= 0.0 && fail <= suspect) {
        problems.add(
            attenuated.span(),
            "`attenuated_signal` fails below a smaller variation than it is suspect below; correct `suspect` or `fail`",
        );
    }
}

/// Checks the limits of what should not be exceeded.
fn check_limits(
    test: &str,
    (suspect, fail): (f64, Option<f64>),
    span: Range<usize>,
    problems: &mut Problems<'_>,
) {
    let is_ordered = fail.is_none_or(|fail| fail.is_finite() && fail >= suspect);
    if !(is_positive(suspect) && is_ordered) {
        problems.add(
            span,
            format!("the limits of `{test}` are positive, and `fail` is not below `suspect`; correct them"),
        );
    }
}

fn is_positive(number: f64) -> bool {
    number.is_finite() && number > 0.0
}

fn is_within(inner: [f64; 2], outer: [f64; 2]) -> bool {
    outer[0] <= inner[0] && inner[1] <= outer[1]
}
