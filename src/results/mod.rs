//! The Parquet schema of results, its writer and reader.
