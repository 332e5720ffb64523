//! Style sheet, script and icon: built into the binary, under names that carry their hash, so that browsers may keep
//! them for ever.

use std::sync::LazyLock;

use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use meetnet_model::hex::Hex;
use sha2::{Digest, Sha256};

use crate::parameters::InPath;
use crate::problem;

/// One file that pages load.
#[derive(Debug)]
pub(crate) struct Asset {
    name: String,
    content_type: &'static str,
    content: &'static str,
}

impl Asset {
    fn new(stem: &str, extension: &str, content_type: &'static str, content: &'static str) -> Self {
        let digest = Sha256::digest(content.as_bytes());
        let hash = Hex(&digest[..6]);
        Self {
            name: format!("{stem}-{hash}.{extension}"),
            content_type,
            content,
        }
    }

    /// Returns the path from the root of the service.
    pub(crate) fn path(&self) -> String {
        format!("/assets/{}", self.name)
    }
}

/// The style sheet of all pages.
pub(crate) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "meetnet",
        "css",
        "text/css; charset=utf-8",
        include_str!("../assets/meetnet.css"),
    )
});

/// The script of the portal: it refreshes figures and adds copy buttons; the page is whole without it.
pub(crate) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "portal",
        "js",
        "text/javascript; charset=utf-8",
        include_str!("../assets/portal.js"),
    )
});

/// The icon in the browser's tab.
pub(crate) static ICON: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new(
        "icon",
        "svg",
        "image/svg+xml",
        include_str!("../assets/icon.svg"),
    )
});

/// Answers `/assets/{name}`.
pub(crate) async fn serve(InPath(name): InPath<String>) -> Response {
    match [&*STYLE, &*SCRIPT, &*ICON]
        .into_iter()
        .find(|asset| asset.name == name)
    {
        Some(asset) => {
            let headers = [
                (CONTENT_TYPE, asset.content_type),
                (CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ];
            (headers, asset.content).into_response()
        }
        None => problem::unknown_address().await.into_response(),
    }
}
