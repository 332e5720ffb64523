//! What the addresses of the public service are: the one description that the document is made of.

use super::{Answers, Kind, Operation, Parameter};

/// A parameter of the query that may be left out.
const fn query(name: &'static str, kind: Kind, description: &'static str) -> Parameter {
    Parameter {
        name,
        kind,
        description,
        is_of_path: false,
    }
}

/// A part of the path.
const fn path(name: &'static str, description: &'static str) -> Parameter {
    Parameter {
        name,
        kind: Kind::Text,
        description,
        is_of_path: true,
    }
}

const ID: Parameter = path("id", "Id of a dataset, as /api/v1/datasets lists them.");
const QUERY_NAME: Parameter = path("name", "Name of a saved query.");
const FILE_PATH: Parameter = path(
    "path",
    "Path of a file in its table, as the list of files gives it.",
);
const PROBLEM: Parameter = path("name", "Last part of a problem's type.");
const Q: Parameter = query("q", Kind::Text, "One SELECT. Placeholders are $1 or $name.");
const VALUES: Parameter = query(
    "parameters",
    Kind::Pairs,
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
    Kind::Texts,
    "Only rows under these licences: SPDX ids or IRIs.",
);
const DOWNLOAD: Parameter = query(
    "download",
    Kind::Flag,
    "1: browsers save the answer as a file.",
);
const FROM: Parameter = query("from", Kind::Time, "Rows from this time on.");
const TO: Parameter = query("to", Kind::Time, "Rows before this time.");
const BBOX: Parameter = query("bbox", Kind::Text, "west,south,east,north in degrees.");
const NEAR: Parameter = query(
    "near",
    Kind::Text,
    "lon,lat in degrees: rows within radius of it.",
);
const RADIUS: Parameter = query(
    "radius",
    Kind::Number,
    "Metres around near; 1000 where it is left out.",
);
const FIELDS: Parameter = query(
    "fields",
    Kind::Text,
    "Columns of the answer, with commas between them; with every, those that are aggregated.",
);
const ORDER: Parameter = query(
    "order",
    Kind::Text,
    "Columns of the key, with commas between them; from the greatest down with - before.",
);
const EVERY: Parameter = query(
    "every",
    Kind::Text,
    "Length of a bucket of time: a number and s, m, h, d, w, mo or y.",
);
const AGG: Parameter = query(
    "agg",
    Kind::Text,
    "With every: mean, min, max, sum, count, median, stddev, first, last, p1 to p99, with commas between them.",
);
const ZONE: Parameter = query(
    "zone",
    Kind::Text,
    "With every: the IANA time zone by whose clocks buckets begin; UTC where it is left out.",
);
const GAPS: Parameter = query(
    "gaps",
    Kind::Gaps,
    "With every, from and to: mark shows buckets without rows too.",
);
const LIMIT: Parameter = query("limit", Kind::Integer, "Rows of a page.");
const CURSOR: Parameter = query(
    "cursor",
    Kind::Text,
    "Where the page before ended; made by the link rel=next.",
);
const CONDITIONS: Parameter = query(
    "conditions",
    Kind::Pairs,
    "COLUMN=VALUE or COLUMN.OP=VALUE; OP is eq, lt, lte, gt, gte or null. eq may be repeated: one value or the other.",
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
const FILE_LICENCE: Parameter = query("licence", Kind::Text, "Files under this licence.");

/// Every operation, in the order to read about them.
pub(super) const ALL: &[Operation] = &[
    Operation {
        method: "get",
        path: "/api/v1/sql",
        id: "sql",
        summary: "Answers one SELECT.",
        answers: Answers::Rows,
        parameters: &[Q, VALUES, FORMAT, AS_OF, LICENCE, DOWNLOAD],
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
        answers: Answers::Json,
        parameters: &[],
    },
    Operation {
        method: "get",
        path: "/api/v1/queries/{name}",
        id: "query",
        summary: "Answers a statement by its name.",
        answers: Answers::Rows,
        parameters: &[QUERY_NAME, VALUES, FORMAT, AS_OF, LICENCE, DOWNLOAD],
    },
    Operation {
        method: "get",
        path: "/api/v1/datasets",
        id: "datasets",
        summary: "Lists the datasets.",
        answers: Answers::Json,
        parameters: &[LANG],
    },
    Operation {
        method: "get",
        path: "/api/v1/datasets/{id}",
        id: "dataset",
        summary: "Describes a dataset: columns, units, licences, texts.",
        answers: Answers::Json,
        parameters: &[ID, LANG],
    },
    Operation {
        method: "get",
        path: "/api/v1/datasets/{id}/rows",
        id: "rows",
        summary: "Answers rows of a dataset, or buckets of them, page by page.",
        answers: Answers::Rows,
        parameters: &[
            ID, CONDITIONS, FROM, TO, BBOX, NEAR, RADIUS, FIELDS, ORDER, EVERY, AGG, ZONE, GAPS,
            LIMIT, AS_OF, CURSOR, FORMAT, DOWNLOAD,
        ],
    },
    Operation {
        method: "get",
        path: "/api/v1/datasets/{id}/latest",
        id: "latest",
        summary: "Answers the newest row of every series of a dataset.",
        answers: Answers::Rows,
        parameters: &[ID, EQUALS, FIELDS, FORMAT, DOWNLOAD],
    },
    Operation {
        method: "get",
        path: "/api/v1/datasets/{id}/files",
        id: "files",
        summary: "Lists the files of a dataset.",
        answers: Answers::Json,
        parameters: &[ID, FROM, TO, FILE_LICENCE, SUPERSEDED],
    },
    Operation {
        method: "get",
        path: "/api/v1/datasets/{id}/quality",
        id: "quality",
        summary: "Says how complete, timely and trustworthy a dataset is, by the day, the month and in all.",
        answers: Answers::Json,
        parameters: &[ID],
    },
    Operation {
        method: "get",
        path: "/files/{id}/{path}",
        id: "file",
        summary: "Answers the bytes of a file, or a range of them.",
        answers: Answers::File,
        parameters: &[ID, FILE_PATH],
    },
    Operation {
        method: "get",
        path: "/problems/{name}",
        id: "problem",
        summary: "Explains a type of problem.",
        answers: Answers::Text,
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
        answers: Answers::Json,
        parameters: &[],
    },
];
