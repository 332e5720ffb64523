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
/// Status that stands for it: to the client 404 says that an object is missing, and this one nothing of objects.
const GONE: u16 = 410;
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
        let said = summary(&body.bytes().await?);
        // Else every file would be taken for lost while a bucket is away.
        if said.starts_with(NO_BUCKET)
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

/// Returns code and message of an error answer. The rest of it names the access key and what was signed.
fn summary(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        let (value, _) = rest.split_once(&format!("</{name}>"))?;
        Some(value.trim().to_owned())
    };
    match (element("Code"), element("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code,
        // No S3 error: a proxy's or a load balancer's page.
        (None, _) => {
            let line = text.lines().map(str::trim).find(|line| !line.is_empty());
            let line = line.filter(|line| !line.contains('<')).unwrap_or("");
            line.chars().take(FOREIGN_ERROR_BYTES_MAX).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn an_error_answer_loses_what_identifies_who_asked() {
        let check = |body: &str, expect: &str| assert_eq!(summary(body.as_bytes()), expect);
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
