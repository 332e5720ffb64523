//! Requests on the I/O runtime; their outcomes counted, and their errors cut to what may stand in a log.

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService, SpawnedReqwestConnector,
};
use tokio::runtime::Handle;

/// Code of an answer that there is no such bucket.
const NO_BUCKET: &str = "NoSuchBucket";
/// Status that stands for what says nothing of objects: to the client 404 says that one is missing.
const GONE: u16 = 410;
/// Status of an answer that something is missing.
const MISSING: u16 = 404;
/// Bytes of an error answer that is no S3 error.
const FOREIGN_ERROR_BYTES_MAX: usize = 200;

/// Makes connections whose I/O runs on one runtime.
#[derive(Debug)]
pub(super) struct Connector {
    runtime: Handle,
}

impl Connector {
    pub(super) fn new(runtime: Handle) -> Self {
        Self { runtime }
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = SpawnedReqwestConnector::new(self.runtime.clone()).connect(options)?;
        Ok(HttpClient::new(Connection(client)))
    }
}

#[derive(Debug)]
struct Connection(HttpClient);

#[async_trait]
impl HttpService for Connection {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let method = match request.method().as_str() {
            "GET" => "get",
            "HEAD" => "head",
            "PUT" => "put",
            "POST" => "post",
            _ => "delete",
        };
        let answer = self.0.execute(request).await;
        let outcome = match &answer {
            Ok(answer) => outcome(answer.status().as_u16()),
            Err(error) if error.kind() == HttpErrorKind::Timeout => "slow",
            Err(_) => "unreachable",
        };
        metrics::counter!("meetnet_s3_requests_total", "method" => method, "outcome" => outcome)
            .increment(1);
        let answer = answer?;
        let status = answer.status();
        if !(status.is_client_error() || status.is_server_error()) {
            return Ok(answer);
        }
        let (mut parts, body) = answer.into_parts();
        let (code, said) = summary(&body.bytes().await?);
        // Else every file would be taken for lost while a bucket is away, or the server behind a proxy: some say 404 of whatever
        // they do not reach. An answer to HEAD has no body, and does not say whose it is.
        let is_foreign = code.is_none() && method == "get" && status.as_u16() == MISSING;
        let is_of_bucket = code.is_some_and(|code| code == NO_BUCKET);
        if (is_foreign || is_of_bucket)
            && let Ok(gone) = GONE.try_into()
        {
            parts.status = gone;
        }
        Ok(HttpResponse::from_parts(
            parts,
            HttpResponseBody::from(said),
        ))
    }
}

fn outcome(status: u16) -> &'static str {
    match status {
        0..400 => "done",
        401 | 403 => "forbidden",
        404 => "missing",
        409 | 412 => "exists",
        429 | 503 => "throttled",
        400..500 => "refused",
        _ => "failed",
    }
}

/// Returns the code of an S3 error, and code and message in one text. The rest of the answer names the access key and what was
/// signed.
fn summary(body: &[u8]) -> (Option<String>, String) {
    let text = String::from_utf8_lossy(body);
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        let (value, _) = rest.split_once(&format!("</{name}>"))?;
        Some(value.trim().to_owned())
    };
    let code = element("Code");
    let said = match (code.as_deref(), element("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        // No S3 error: a proxy's or a load balancer's page.
        (None, _) => {
            let line = text.lines().map(str::trim).find(|line| !line.is_empty());
            let line = line.filter(|line| !line.contains('<')).unwrap_or("");
            line.chars().take(FOREIGN_ERROR_BYTES_MAX).collect()
        }
    };
    (code, said)
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn an_error_answer_loses_what_identifies_who_asked() {
        let check = |body: &str, expect: &str| assert_eq!(summary(body.as_bytes()).1, expect);
        check(
            "<?xml version=\"1.0\"?>\n<Error><Code>InvalidAccessKeyId</Code><Message>The key does not exist.</Message>\
             <AWSAccessKeyId>AKIAEXAMPLE</AWSAccessKeyId></Error>",
            "InvalidAccessKeyId: The key does not exist.",
        );
        check("<Error><Code>SlowDown</Code></Error>", "SlowDown");
        check("<html>\n<body>Bad gateway</body></html>", "");
        check(
            "\nupstream is gone\nAuthorization: AWS4",
            "upstream is gone",
        );
        check("", "");
    }
}
