//! What the addresses of the public service are: the one description that the document is made of.

use super::{Answers, Kind, Operation, Parameter, Place};

/// A parameter of the query that may be left out.
const fn query(name: &'static str, kind: Kind, description: &'static str) -> Parameter {
    Parameter {
        name,
        kind,
        description,
        place: Place::Query,
    }
}

/// A part of the path.
const fn path(name: &'static str, description: &'static str) -> Parameter {
    Parameter {
        name,
        kind: Kind::Text,
        description,
        place: Place::Path,
    }
}

/// A header that may be left out.
const fn header(name: &'static str, kind: Kind, description: &'static str) -> Parameter {
    Parameter {
        name,
        kind,
        description,
        place: Place::Header,
    }
}

/// Four numbers, or two, with commas between them.
const BOX_PATTERN: &str = "^-?[0-9]+([.][0-9]+)?(,-?[0-9]+([.][0-9]+)?){3}$";
const PLACE_PATTERN: &str = "^-?[0-9]+([.][0-9]+)?,-?[0-9]+([.][0-9]+)?$";
const AGGREGATES_PATTERN: &str = "^(mean|min|max|sum|count|median|stddev|first|last|p[1-9][0-9]?)\
     (,(mean|min|max|sum|count|median|stddev|first|last|p[1-9][0-9]?))*$";

const ID: Parameter = path("id", "Id of a dataset, as /api/v1/datasets lists them.");
const QUERY_NAME: Parameter = path("name", "Name of a saved query.");
const FILE_PATH: Parameter = path(
    "path",
    "Path of a file in its table, as the list of files gives it.",
);
const PROBLEM: Parameter = path("name", "Last part of a problem's type.");
const Q: Parameter = Parameter {
    place: Place::NeededQuery,
    ..query(
        "q",
        Kind::Statement,
        "One SELECT. Placeholders are $1 or $name.",
    )
};
const VALUES: Parameter = query(
    "parameters",
    Kind::Values,
    "param_NAME=VALUE for each placeholder $NAME.",
);
const FORMAT: Parameter = query(
    "format",
    Kind::Format,
    "Format of the answer; wins over Accept.",
);
const AS_OF: Parameter = query(
    "as_of",
    Kind::Time,
    "The time it is answered as of: what was known then. Up to the stable time, which every answer states.",
);
const LICENCE: Parameter = query(
    "licence",
    Kind::Licences,
    "Only rows under these licences: SPDX ids or IRIs.",
);
const DOWNLOAD: Parameter = query(
    "download",
    Kind::Flag,
    "1 or true: browsers save the answer as a file.",
);
const FROM: Parameter = query(
    "from",
    Kind::Time,
    "Rows from this time on. A day begins at 00:00 by the clocks of the zone that the dataset states, else UTC.",
);
const TO: Parameter = query(
    "to",
    Kind::Time,
    "Rows before this time. A day begins at 00:00 by the clocks of the zone that the dataset states, else UTC.",
);
const CHANGED_SINCE: Parameter = query(
    "changed_since",
    Kind::Time,
    "Rows that are new or revised since: whose version was recorded after this time. Give the Meetnet-As-Of of the answer before.",
);
const BBOX: Parameter = query(
    "bbox",
    Kind::Pattern(BOX_PATTERN, &["4.6,50.8,4.8,50.95"]),
    "west,south,east,north in degrees.",
);
const NEAR: Parameter = query(
    "near",
    Kind::Pattern(PLACE_PATTERN, &["4.7005,50.8798"]),
    "lon,lat in degrees: rows within radius of it.",
);
const RADIUS: Parameter = query(
    "radius",
    Kind::Metres,
    "Metres around near; 1000 where it is left out.",
);
const FIELDS: Parameter = query(
    "fields",
    Kind::Pattern("^[^,]+(,[^,]+)*$", &["time"]),
    "Columns of the answer, with commas between them; with every, those that are aggregated. Where stations or segments say where rows \
     are, lon and lat, too.",
);
const LATEST_FIELDS: Parameter = query(
    "fields",
    Kind::Pattern("^[^,]+(,[^,]+)*$", &["time"]),
    "Columns of the answer, with commas between them. Where stations or segments say where rows are, lon and lat, too.",
);
const ORDER: Parameter = query(
    "order",
    Kind::Pattern("^-?[^,]+(,-?[^,]+)*$", &["-time"]),
    "Columns of the key, with commas between them; from the greatest down with - before.",
);
const EVERY: Parameter = query(
    "every",
    Kind::Pattern("^[1-9][0-9]*(s|m|h|d|w|mo|y)$", &["1h"]),
    "Length of a bucket of time: a number and s, m, h, d, w, mo or y.",
);
const AGG: Parameter = query(
    "agg",
    Kind::Pattern(AGGREGATES_PATTERN, &["mean,p95"]),
    "With every: mean, min, max, sum, count, median, stddev, first, last, p1 to p99, with commas between them.",
);
const ZONE: Parameter = query(
    "zone",
    Kind::Pattern("^.+$", &["Europe/Brussels"]),
    "With every: the IANA time zone by whose clocks buckets begin; where it is left out that of the dataset, else UTC.",
);
const GAPS: Parameter = query(
    "gaps",
    Kind::Gaps,
    "With every, from and to: mark shows buckets without rows too.",
);
const LIMIT: Parameter = query("limit", Kind::Integer, "Rows of a page.");
const CURSOR: Parameter = query(
    "cursor",
    Kind::Pattern("^([0-9a-f]{2})+$", &[]),
    "Where the page before ended; made by the link rel=next.",
);
const CONDITIONS: Parameter = query(
    "conditions",
    Kind::Pairs,
    "COLUMN=VALUE or COLUMN.OP=VALUE; OP is eq, lt, lte, gt, gte or null. eq may be repeated: one value or the other. A day is one as \
     in from.",
);
const EQUALS: Parameter = query(
    "conditions",
    Kind::Pairs,
    "COLUMN=VALUE; may be repeated: one value or the other.",
);
const LANG: Parameter = query("lang", Kind::Language, "Texts in one language only.");
const SUPERSEDED: Parameter = query(
    "superseded",
    Kind::Bool,
    "true: earlier versions of rows only, false: current ones only.",
);
const FILE_LICENCE: Parameter = query(
    "licence",
    Kind::Licences,
    "Only files under these licences: SPDX ids or IRIs.",
);
const IF_NONE_MATCH: Parameter = header(
    "If-None-Match",
    Kind::Text,
    "ETags of answers that the client has: 304 where one of them is still the answer.",
);
const RANGE: Parameter = header(
    "Range",
    Kind::Range,
    "The bytes that are asked for (RFC 9110); what cannot be read is answered with the whole file.",
);
const IF_RANGE: Parameter = header(
    "If-Range",
    Kind::Text,
    "The ETag of the part that the client has: the whole file where it is another.",
);

/// Every operation, in the order to read about them.
pub(super) const ALL: &[Operation] = &[
    Operation {
        method: "get",
        path: "/api/v1/sql",
        id: "sql",
        summary: "Answers one SELECT.",
        answers: Answers::Rows,
        parameters: &[Q, VALUES, FORMAT, AS_OF, LICENCE, DOWNLOAD, IF_NONE_MATCH],
    },
    Operation {
        method: "post",
        path: "/api/v1/sql",
        id: "sqlByBody",
        summary: "Answers one SELECT that stands in the body.",
        answers: Answers::Rows,
        parameters: &[FORMAT, AS_OF, LICENCE, DOWNLOAD],
    },
    Operation {
        method: "get",
        path: "/api/v1/queries",
        id: "queries",
        summary: "Lists the statements that have names.",
        answers: Answers::Json("QueryList"),
        parameters: &[IF_NONE_MATCH],
    },
    Operation {
        method: "get",
        path: "/api/v1/queries/{name}",
        id: "query",
        summary: "Answers a statement by its name.",
        answers: Answers::Rows,
        parameters: &[
            QUERY_NAME,
            VALUES,
            FORMAT,
            AS_OF,
            LICENCE,
            DOWNLOAD,
            IF_NONE_MATCH,
        ],
    },
    Operation {
        method: "get",
        path: "/api/v1/datasets",
        id: "datasets",
        summary: "Lists the datasets.",
        answers: Answers::Json("DatasetList"),
        parameters: &[LANG, IF_NONE_MATCH],
    },
    Operation {
        method: "get",
        path: "/api/v1/datasets/{id}",
        id: "dataset",
        summary: "Describes a dataset: columns, units, licences, texts.",
        answers: Answers::Json("Dataset"),
        parameters: &[ID, LANG, IF_NONE_MATCH],
    },
    Operation {
        method: "get",
        path: "/api/v1/datasets/{id}/rows",
        id: "rows",
        summary: "Answers rows of a dataset, or buckets of them, page by page.",
        answers: Answers::Page,
        parameters: &[
            ID,
            CONDITIONS,
            FROM,
            TO,
            CHANGED_SINCE,
            BBOX,
            NEAR,
            RADIUS,
            FIELDS,
            ORDER,
            EVERY,
            AGG,
            ZONE,
            GAPS,
            LIMIT,
            AS_OF,
            CURSOR,
            FORMAT,
            DOWNLOAD,
            IF_NONE_MATCH,
        ],
    },
    Operation {
        method: "get",
        path: "/api/v1/datasets/{id}/latest",
        id: "latest",
        summary: "Answers the newest row of every series of a dataset.",
        answers: Answers::Page,
        parameters: &[ID, EQUALS, LATEST_FIELDS, FORMAT, DOWNLOAD],
    },
    Operation {
        method: "get",
        path: "/api/v1/datasets/{id}/files",
        id: "files",
        summary: "Lists the files of a dataset.",
        answers: Answers::Json("FileList"),
        parameters: &[ID, FROM, TO, FILE_LICENCE, SUPERSEDED, IF_NONE_MATCH],
    },
    Operation {
        method: "get",
        path: "/api/v1/datasets/{id}/quality",
        id: "quality",
        summary: "Says how complete, timely and trustworthy a dataset is, by the day, the month and in all.",
        answers: Answers::Json("Quality"),
        parameters: &[ID, IF_NONE_MATCH],
    },
    Operation {
        method: "get",
        path: "/api/v1/dcat.jsonld",
        id: "catalogue",
        summary: "Describes all datasets for portals of open data: DCAT-AP 3 in JSON-LD, or in Turtle for who likes that better.",
        answers: Answers::Catalogue,
        parameters: &[IF_NONE_MATCH],
    },
    Operation {
        method: "get",
        path: "/files/{id}/{path}",
        id: "file",
        summary: "Answers the bytes of a file, or a range of them.",
        answers: Answers::File,
        parameters: &[ID, FILE_PATH, RANGE, IF_RANGE, IF_NONE_MATCH],
    },
    Operation {
        method: "get",
        path: "/api/v1/openapi.json",
        id: "openapi",
        summary: "Describes all of this.",
        answers: Answers::Description,
        parameters: &[],
    },
    Operation {
        method: "get",
        path: "/problems/{name}",
        id: "problem",
        summary: "Explains a type of problem.",
        answers: Answers::Explanation,
        parameters: &[PROBLEM],
    },
    Operation {
        method: "get",
        path: "/healthz",
        id: "healthz",
        summary: "Says that the service runs.",
        answers: Answers::Text,
        parameters: &[],
    },
    Operation {
        method: "get",
        path: "/readyz",
        id: "readyz",
        summary: "Says whether the service has caught up.",
        answers: Answers::Json("Readiness"),
        parameters: &[],
    },
];
