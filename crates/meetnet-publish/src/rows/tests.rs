mod answers;
mod conditions;
mod pages;
mod places;
mod refusals;

use crate::fixture::{self, Answer};

const HEAT: &str = "/api/v1/datasets/heat/rows";

async fn ask(path: &str) -> Answer {
    fixture::get(fixture::router(), path).await
}

/// The address in `Link: <…>; rel="next"`; empty where there is none.
fn next(answer: &Answer) -> String {
    let mut links = answer.header("link").split(", ");
    let next = links.find_map(|link| link.strip_suffix(">; rel=\"next\""));
    let target = next.and_then(|link| link.strip_prefix('<'));
    target.unwrap_or_default().to_owned()
}
