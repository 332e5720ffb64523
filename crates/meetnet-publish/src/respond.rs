//! One question to one HTTP answer: kept, not modified, or made and streamed.
//!
//! ```text
//! question ─▶ kept and still true? ─▶ yes ─▶ If-None-Match knows it? ─▶ 304, else the kept bytes
//!                                     no ──▶ query ─▶ the same ─▶ 304, else coded and streamed, kept where it is small
//! ```

use axum::http::HeaderMap;
use axum::http::header::TE;
use axum::response::{IntoResponse, Response};
use meetnet_query::{Format, QueryRequest};

use crate::body::{self, Delivered, Delivery};
use crate::coding::Coding;
use crate::conditional;
use crate::head::AnswerHead;
use crate::links::Address;
use crate::problem::Problem;
use crate::proof::{self, Proof};
use crate::results::{Key, Made};
use crate::state::PublishState;

#[cfg(test)]
mod tests;

/// What is asked, and how it is to be answered.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) request: QueryRequest,
    pub(crate) format: Format,
    /// Browsers should save the answer as a file of this name.
    pub(crate) file_name: Option<String>,
    /// Where the same is asked, but for the time, which makes it citable; None where no address holds the question.
    pub(crate) address: Option<Address>,
    /// The request is a HEAD.
    pub(crate) head_only: bool,
}

/// Answers a question.
///
/// # Errors
/// As [`meetnet_query::QueryService::query`].
pub(crate) async fn respond(
    state: &PublishState,
    question: Question,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let Question {
        request,
        format,
        file_name,
        address,
        head_only,
    } = question;
    let request = QueryRequest {
        // A cut answer in such a format breaks off: better before the first row.
        whole: !format.states_cut(),
        // What is kept was cut where it was cut: for a client with another limit it is another answer.
        row_limit: request.row_limit.or(Some(state.query.row_limit())),
        ..request
    };
    let coding = Coding::choose(format, headers);
    let key = Key::of(&request, format, coding);
    let head = |made: &Made, coding: Coding, proof: Option<&Proof>, response: Response| {
        let cite_as = address.as_ref().filter(|_| made.tag.is_some());
        let cite_as = cite_as.map(|address| address.as_of(made.as_of.unwrap_or(made.stable_time)));
        let head = AnswerHead {
            format,
            coding,
            through: made.through,
            stable_time: made.stable_time,
            as_of: made.as_of,
            rights: &made.rights,
            hints: &made.hints,
            is_settled: made.is_settled,
            tag: made.tag.as_deref(),
            file_name: file_name.as_deref(),
            links: cite_as.into_iter().map(|to| ("cite-as", to)).collect(),
            proof,
        };
        head.onto(response)
    };
    let is_known = |made: &Made| {
        let tag = made.tag.as_deref();
        tag.is_some_and(|tag| conditional::knows(headers, tag))
    };

    if let Some(kept) = state.results.get(&key, &state.query.snapshot().load()) {
        let bytes = kept.bytes.len() as u64;
        state.query.note_kept(&request, kept.proof.rows, bytes);
        let response = if is_known(&kept.made) {
            conditional::not_modified()
        } else if head_only {
            body::none().into_response()
        } else {
            kept.bytes.clone().into_response()
        };
        return Ok(head(&kept.made, kept.coding, Some(&kept.proof), response));
    }

    let answer = state.query.query(request).await?;
    let made = Made::of(&answer, &key, format);
    if is_known(&made) {
        return Ok(head(&made, coding, None, conditional::not_modified()));
    }
    // The query is checked and stops here.
    if head_only {
        return Ok(head(&made, coding, None, body::none().into_response()));
    }
    let has_trailers = reads_trailers(headers);
    let delivery = Delivery {
        coding,
        tally: answer.tally(),
        has_trailers,
        recording: answer
            .state
            .clone()
            .map(|tables| state.results.record(key, tables, made.clone())),
    };
    let chunks = meetnet_query::encode(answer, format);
    Ok(match body::deliver(chunks, delivery).await? {
        Delivered::Whole {
            bytes,
            coding,
            proof,
        } => head(&made, coding, Some(&proof), bytes.into_response()),
        Delivered::Streamed(body) => {
            let mut response = head(&made, coding, None, body.into_response());
            if has_trailers {
                proof::announce(response.headers_mut());
            }
            response
        }
    })
}

fn reads_trailers(headers: &HeaderMap) -> bool {
    let mut accepted = headers
        .get_all(TE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    accepted.any(|accepted| accepted.trim().eq_ignore_ascii_case("trailers"))
}
