//! Arrow Flight SQL: the open datasets for ADBC, JDBC and notebooks, as record batches over gRPC.
