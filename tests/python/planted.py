"""A folder of a table, a column and a text -> a Parquet file beside those of the table, in which each row says that text there.

Prints {"file": its path, "rows": how many say it}.
"""
import json
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

folder, column, text = sys.argv[1:4]
stored = sorted(Path(folder).rglob("*.parquet"))[0]
rows = pq.ParquetFile(stored).read()
texts = pa.array([text] * rows.num_rows, pa.string())
rows = rows.set_column(rows.column_names.index(column), column, texts)
# A footer of others: that of the writer has the least and greatest values once more.
planted = stored.with_name("00000000-planted.parquet")
pq.write_table(rows.replace_schema_metadata(None), planted)
print(json.dumps({"file": str(planted), "rows": rows.num_rows}))
