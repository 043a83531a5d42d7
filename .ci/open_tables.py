"""Opens a table in pandas, polars and DuckDB, and checks that the types are what a user would expect."""

import sys

import duckdb
import pandas
import polars

path = sys.argv[1]

frame = pandas.read_parquet(path)
assert len(frame) > 0
assert pandas.api.types.is_float_dtype(frame["value"]), frame.dtypes
assert pandas.api.types.is_string_dtype(frame["metric"]) or frame["metric"].dtype == object, frame.dtypes
assert pandas.api.types.is_integer_dtype(frame["seed"]), frame.dtypes
assert pandas.api.types.is_float_dtype(frame["eps"]), frame.dtypes

lazy = polars.read_parquet(path)
assert lazy.schema["value"] == polars.Float64, lazy.schema
assert lazy.schema["metric"] == polars.String, lazy.schema
assert lazy.schema["seed"] == polars.Int64, lazy.schema
assert lazy.height == len(frame)

[(rows,)] = duckdb.connect().execute(f"select count(*) from '{path}'").fetchall()
assert rows == len(frame)
described = duckdb.connect().execute(f"describe select * from '{path}'").fetchall()
types = {row[0]: row[1] for row in described}
assert types["value"] == "DOUBLE", types
assert types["metric"] == "VARCHAR", types
assert types["seed"] == "BIGINT", types

print(f"pandas {pandas.__version__}, polars {polars.__version__}, duckdb {duckdb.__version__}: {rows} rows, types as expected")
